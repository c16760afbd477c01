//! What a manifest begins with, and its text.

use super::super::arguments::{Init, Speaks};
use fuzzer::compose::service::program_of;
use fuzzer::compose::{Cluster, Health};

/// Other ports for which an example is written.
const PORTS_SHOWN: usize = 16;

/// A manifest to be.
#[derive(Clone, Debug)]
pub struct Draft {
    pub name: String,
    pub about: String,
    pub nodes: u8,
    /// The program: a path, or a name in PATH.
    pub binary: String,
    /// The command line, in words.
    pub command: Vec<String>,
    /// One peer, or nothing where the command has no use for it.
    pub peer: String,
    pub environment: Vec<(String, String)>,
    pub client: Speaks,
    /// The port that clients speak to.
    pub port: u16,
    /// The path of an HTTP GET, or a command of RESP; absent, where it is enough that the port accepts.
    pub ready: Option<String>,
    /// The port that is asked whether a node is ready, where it is another.
    pub ready_port: Option<u16>,
    /// Other ports that nodes listen on.
    pub ports: Vec<u16>,
    /// The image, and the program in it.
    pub image: Option<(String, String)>,
    /// What the reader must look after.
    pub notes: Vec<String>,
}

impl Draft {
    /// An example to change.
    pub fn example(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            about: "what it is, in one sentence".to_owned(),
            nodes: 3,
            binary: "./server".to_owned(),
            command: words("{bin} --listen {ip}:7000 --peers {peers} --dir {data}"),
            peer: "{ip}:7000".to_owned(),
            environment: Vec::new(),
            client: Speaks::Http,
            port: 8000,
            ready: None,
            ready_port: None,
            ports: Vec::new(),
            image: None,
            notes: Vec::new(),
        }
    }

    /// The nodes of a Docker Compose file.
    pub fn compose(&mut self, cluster: Cluster, file: &str) {
        let image = cluster.image.clone();
        let basename = image.as_deref().map_or(self.name.as_str(), program_of);
        let program = cluster.program.clone().unwrap_or_else(|| basename.to_owned());
        let inside = match program.starts_with('/') {
            true => program.clone(),
            false => format!("/usr/local/bin/{}", program.rsplit('/').next().unwrap_or(&program)),
        };
        self.about = format!("the cluster of {file}");
        self.nodes = cluster.nodes;
        self.notes.extend(cluster.notes);
        if cluster.program.is_none() {
            self.notes.push(format!("the file names no program; `{program}` is taken from the image's name"));
        }
        self.image = Some((image.unwrap_or_else(|| self.name.clone()), inside));
        self.binary = program;
        self.command = std::iter::once("{bin}".to_owned()).chain(cluster.arguments).collect();
        self.peer = String::new();
        self.environment = cluster.environment;
        let is_resp = cluster.ports.contains(&6379) || matches!(cluster.health, Some(Health::Resp(_)));
        self.client = if is_resp { Speaks::Resp } else { Speaks::Http };
        match &cluster.health {
            Some(Health::Http { path, port }) => {
                self.ready = Some(path.clone());
                self.ready_port = Some(*port);
            }
            Some(Health::Resp(words)) => self.ready = Some(words.join(" ")),
            Some(Health::Program(_)) | None if is_resp => self.ready = Some("PING".to_owned()),
            Some(Health::Program(_)) | None => {}
        }
        if !is_resp {
            self.notes
                .push("what clients say is in no such file: [client.http] is an example, mend it".to_owned());
        }
        let usual = cluster.ports.iter().find(|port| is_resp && **port == 6379);
        match usual.or(cluster.ports.first()).or(self.ready_port.as_ref()) {
            Some(port) => self.port = *port,
            None => self.notes.push(format!("the file names no port; {} is a guess, mend it", self.port)),
        }
        self.ports = cluster.ports.into_iter().filter(|port| *port != self.port).collect();
    }

    /// What flags say.
    pub fn flags(&mut self, args: &Init) {
        let set = |to: &mut String, from: &Option<String>| {
            if let Some(from) = from {
                to.clone_from(from);
            }
        };
        set(&mut self.binary, &args.binary);
        set(&mut self.peer, &args.peer);
        if let Some(command) = &args.command {
            self.command = words(command);
        }
        self.nodes = args.nodes.unwrap_or(self.nodes);
        self.client = args.client.unwrap_or(self.client);
        self.port = args.port.unwrap_or(self.port);
        if args.ready.is_some() {
            (self.ready, self.ready_port) = (args.ready.clone(), None);
        }
    }

    /// The manifest.
    pub fn text(&self) -> String {
        let list = |words: &[String]| words.iter().map(quoted).collect::<Vec<_>>().join(", ");
        let ready = match &self.ready {
            None => {
                "# http = \"/health\" # or command = [\"PING\"]: what it answers; without, its port accepts"
                    .to_owned()
            }
            Some(path) if path.starts_with('/') => format!("http = {}", quoted(path)),
            Some(command) => format!("command = [{}]", list(&words(command))),
        };
        let client = match self.client {
            Speaks::Http => HTTP,
            Speaks::Resp => RESP,
            Speaks::KvHttp => KV_HTTP,
            Speaks::Exec => EXEC,
        };
        // A comment has no characters of control in it.
        let line = |note: &String| note.replace(char::is_control, " ");
        let notes: String = self.notes.iter().map(|note| format!("# - {}\n", line(note))).collect();
        let notes = if notes.is_empty() { notes } else { format!("# look after this:\n{notes}\n") };
        let peer = match self.peer.is_empty() {
            true => "# peer = \"{ip}:7000\" # one of {peers}, which are joined with commas\n".to_owned(),
            false => {
                format!("peer = {} # one of {{peers}}, which are joined with commas\n", quoted(&self.peer))
            }
        };
        let pairs: Vec<String> = self
            .environment
            .iter()
            .map(|(name, text)| format!("{} = {}", quoted(name), quoted(text)))
            .collect();
        let env = match pairs.is_empty() {
            true => "# env = { LANG = \"C\" }\n".to_owned(),
            false => format!("env = {{ {} }}\n", pairs.join(", ")),
        };
        let image = self.image.as_ref().map(|(image, binary)| {
            let (image, binary) = (quoted(image), quoted(binary));
            format!("[docker] # for --launcher docker\nimage = {image}\nbinary = {binary} # the program, in the image\n\n")
        });
        let dissector = match self.client {
            Speaks::Http | Speaks::KvHttp => Some("http"),
            Speaks::Resp => Some("resp"),
            Speaks::Exec => None,
        };
        let known = dissector.filter(|_| self.image.is_some());
        let others = &self.ports[..self.ports.len().min(PORTS_SHOWN)];
        let port = |port, dissector| format!("[[port]]\nport = {port}\ndissector = {dissector}\n\n");
        let ports =
            known.map(|name| port(self.port, quoted(name))).into_iter().chain(others.iter().map(|other| {
                let example = port(*other, "\"http\" # or resp, frame32-json:FIELD".to_owned());
                example.trim_end().lines().map(|line| format!("# {line}\n")).collect::<String>() + "\n"
            }));
        format!(
            "{notes}version = 1\n\
             name = {name}\n\
             about = {about}\n\
             nodes = {nodes}\n\n\
             [build]\n\
             # command = [\"make\"] # what makes the program, if anything has to\n\
             binary = {binary}\n\n\
             {image}\
             [node]\n\
             # {{bin}} the program, {{id}} from 1, {{ip}} its address, {{ip:2}} that of node 2, {{data}} its directory, {{peers}} all\n\
             command = [{command}]\n\
             {peer}\
             {env}\
             # exits = [0] # statuses with which a node may end by itself\n\n\
             # [[node.file]] # what a node finds in {{data}} at its first start\n\
             # path = \"server.conf\"\n\
             # text = \"listen {{ip}}\"\n\n\
             {ports}\
             [[ready]] # every node must answer, or accept, before clients begin\n\
             {ready}\n\
             port = {ready_port}\n\n\
             {client}\n\
             [faults]\n\
             # max_down = 1 # how many nodes may be down at once\n\
             # without = [\"power-loss\"] # what it does not promise to survive\n\n\
             [oracles]\n\
             recovery_ms = 5000 # it must answer again within this time after the last fault\n",
            name = quoted(&self.name),
            about = quoted(&self.about),
            nodes = self.nodes,
            binary = quoted(&self.binary),
            image = image.unwrap_or_default(),
            command = list(&self.command),
            ports = ports.collect::<String>(),
            ready_port = self.ready_port.unwrap_or(self.port),
            client = client.replace("PORT", &self.port.to_string()),
        )
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A word as TOML writes it.
fn quoted(text: impl AsRef<str>) -> String {
    toml::Value::String(text.as_ref().to_owned()).to_string()
}

const HTTP: &str = r#"[client.http]
port = PORT
# elsewhere = [421] # statuses that promise that nothing was done
[client.http.ask.read] # {key} and {value} are filled in; {key|base64} encodes
path = "/v/{key}"
answer = "/value" # where the value is in the JSON that comes back
[client.http.ask.write]
method = "PUT"
path = "/v/{key}"
body = '{"value":"{value}"}'

[workload]
families = ["register"] # or set, with add and elements
"#;

const RESP: &str = r#"[client.resp]
port = PORT
# greeting = { command = ["ROLE"], expect = "master" } # asked first on every connection
[client.resp.ask]
read = ["GET", "{key}"]
write = ["SET", "{key}", "{value}"]
create = ["SET", "{key}", "{value}", "NX"]
delete = ["DEL", "{key}"]
add = ["SADD", "{key}", "{value}"]
elements = ["SMEMBERS", "{key}"]
increment = ["INCRBY", "{key}", "{amount}"]

[workload]
families = ["register", "set", "counter"]
"#;

const KV_HTTP: &str = "[client.kv-http]\nport = PORT\n";

const EXEC: &str = r#"[client.exec] # told what to do on standard input, a JSON object a line; see targets/README.md
command = ["/usr/bin/python3", "-I", "-S", "{data}/client.py"]
operations = ["read", "write"]
[[client.exec.file]]
path = "client.py" # beside this manifest

[workload]
families = ["register"] # or another; each has its operations
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use fuzzer::target::Manifest;
    use std::path::Path;

    #[test]
    fn every_kind_of_client_makes_a_manifest_that_can_be_read() {
        for (client, ready) in [
            (Speaks::Http, Some("/health")),
            (Speaks::Resp, Some("PING")),
            (Speaks::KvHttp, None),
            (Speaks::Exec, Some("/")),
        ] {
            let draft = Draft {
                binary: "./a \"strange\" name".into(),
                command: words("{bin} --peers {peers}"),
                environment: vec![("A.B".into(), "{data}".into())],
                client,
                ready: ready.map(str::to_owned),
                image: Some(("shop:1".into(), "/shop".into())),
                ports: vec![7000],
                notes: vec!["a note\nname = \"other\"\u{7f}".into()],
                ..Draft::example("shop")
            };
            let manifest = Manifest::parse(&draft.text(), "target.toml").unwrap();
            assert_eq!(manifest.build.binary, Path::new("./a \"strange\" name"), "{client:?}");
            assert_eq!((manifest.name.as_str(), manifest.ready.len()), ("shop", 1));
            assert_eq!(manifest.node.command, ["{bin}", "--peers", "{peers}"]);
            assert_eq!(manifest.node.env["A.B"], "{data}");
        }
    }

    #[test]
    fn images_are_named_after_their_program() {
        assert_eq!(program_of("quay.io:5000/coreos/etcd:v3.5@sha256:00"), "etcd");
        assert_eq!(program_of("redis"), "redis");
    }
}
