//! One service: how it is started, where it listens, how its health is asked.

use super::words;
use super::yaml::{Content, Fault, Node};

/// Fields of a service that change how it runs and that a manifest has no word for.
const LEFT_OUT: [&str; 18] = [
    "cap_add",
    "configs",
    "devices",
    "env_file",
    "extends",
    "extra_hosts",
    "init",
    "network_mode",
    "pid",
    "privileged",
    "read_only",
    "secrets",
    "shm_size",
    "sysctls",
    "tmpfs",
    "user",
    "volumes_from",
    "working_dir",
];

/// A service of a Compose file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Under which others reach it: its name, its container's, its host's and its aliases.
    pub hosts: Vec<String>,
    /// Its image.
    pub image: Option<String>,
    /// It is built from sources: where they lie.
    pub build: Option<String>,
    /// The program and its first arguments, where the image's own are not used.
    pub entrypoint: Vec<String>,
    /// Arguments, or the whole command line.
    pub command: Vec<String>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Ports that it listens on, in its container.
    pub ports: Vec<u16>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// How its health is asked.
    pub health: Option<Health>,
    /// How many of it run.
    pub copies: u8,
}

/// A volume or a directory of the host in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted: a volume's name, or a path of the host.
    pub source: String,
    /// Where, in the container.
    pub target: String,
}

/// A question that tells whether a service is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// A GET over HTTP.
    Http {
        /// The path.
        path: String,
        /// The port.
        port: u16,
    },
    /// A command of RESP.
    Resp(Vec<String>),
    /// A program: its command line.
    Program(String),
}

impl Service {
    /// Reads a service; what is left out of it is noted.
    pub(super) fn read(name: &str, node: &Node, notes: &mut Vec<String>) -> Result<Self, Fault> {
        let mut unknown = Vec::new();
        let mut service =
            Self { name: name.to_owned(), hosts: vec![name.to_owned()], copies: 1, ..Self::default() };
        for (field, value) in node.fields()? {
            match field {
                "image" => service.image = Some(filled(value, &mut unknown)?),
                "build" => {
                    let context = if matches!(value.content, Content::Map(_)) {
                        value.get("context")?
                    } else {
                        Some(value)
                    };
                    service.build = Some(context.map_or(Ok(".".into()), |at| filled(at, &mut unknown))?);
                }
                "entrypoint" => service.entrypoint = line(value, &mut unknown)?,
                "command" => service.command = line(value, &mut unknown)?,
                "environment" => service.environment = environment(value, &mut unknown)?,
                "hostname" | "container_name" => service.hosts.push(filled(value, &mut unknown)?),
                "networks" if matches!(value.content, Content::Map(_)) => {
                    for (_, network) in value.fields()? {
                        let aliases = if network.content == Content::Nothing {
                            None
                        } else {
                            network.get("aliases")?
                        };
                        for alias in aliases.map_or(Ok(&[][..]), Node::list)? {
                            service.hosts.push(filled(alias, &mut unknown)?);
                        }
                    }
                }
                "ports" | "expose" => {
                    for port in value.list()? {
                        let ports = ports(port, &mut unknown)?;
                        let fresh: Vec<u16> =
                            ports.into_iter().filter(|port| !service.ports.contains(port)).collect();
                        service.ports.extend(fresh);
                    }
                }
                "volumes" => {
                    let mounts = value.list()?.iter().map(|mount| self::mount(mount, &mut unknown));
                    service.mounts = mounts.collect::<Result<_, _>>()?;
                }
                "healthcheck" => service.health = health(value, &mut unknown)?,
                "scale" => service.copies = count(value, &mut unknown)?,
                "deploy" => {
                    if let Some(replicas) = value.get("replicas")? {
                        service.copies = count(replicas, &mut unknown)?;
                    }
                }
                _ if LEFT_OUT.contains(&field) => notes.push(format!("`{field}` of `{name}` is left out")),
                _ => {}
            }
        }
        service.hosts.dedup();
        unknown.sort();
        unknown.dedup();
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            notes.push(format!("`{name}` uses variables without a default, which are empty here: {names}"));
        }
        Ok(service)
    }

    /// Program and arguments as far as the file says them: the image's own entry is not known.
    #[must_use]
    pub fn line(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.command).cloned().collect()
    }
}

fn filled(node: &Node, unknown: &mut Vec<String>) -> Result<String, Fault> {
    Ok(words::filled(node.text()?, unknown))
}

/// A command line: a list of words, or a text that is cut into them.
fn line(node: &Node, unknown: &mut Vec<String>) -> Result<Vec<String>, Fault> {
    match &node.content {
        Content::List(list) => list.iter().map(|word| filled(word, unknown)).collect(),
        _ => Ok(words::split(&filled(node, unknown)?)),
    }
}

fn environment(node: &Node, unknown: &mut Vec<String>) -> Result<Vec<(String, String)>, Fault> {
    let Content::List(list) = &node.content else {
        let fields = node.fields()?.into_iter();
        return fields.map(|(name, value)| Ok((name.to_owned(), filled(value, unknown)?))).collect();
    };
    let mut all = Vec::new();
    for one in list {
        let text = filled(one, unknown)?;
        match text.split_once('=') {
            Some((name, value)) => all.push((name.to_owned(), value.to_owned())),
            None => unknown.push(text),
        }
    }
    Ok(all)
}

/// `80`, `8080:80`, `127.0.0.1:8080-8082:80-82/tcp`, or a map with `target`; ports of UDP are none of ours.
fn ports(node: &Node, unknown: &mut Vec<String>) -> Result<Vec<u16>, Fault> {
    let text = match &node.content {
        Content::Map(_) => {
            if node.get("protocol")?.map_or(Ok("tcp"), Node::text)? != "tcp" {
                return Ok(Vec::new());
            }
            let target = node.get("target")?.ok_or_else(|| node.fault("a port without `target`"))?;
            filled(target, unknown)?
        }
        _ => filled(node, unknown)?,
    };
    let inside = text.rsplit(':').next().unwrap_or_default();
    let (inside, protocol) = inside.split_once('/').unwrap_or((inside, "tcp"));
    if protocol != "tcp" {
        return Ok(Vec::new());
    }
    let (first, last) = inside.split_once('-').unwrap_or((inside, inside));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok((first..=last).collect()),
        _ => Err(node.fault(format!("`{text}` is no port; expected such as 8080 or 80:8080"))),
    }
}

/// `source:target:mode`, `target`, or a map with `source` and `target`.
fn mount(node: &Node, unknown: &mut Vec<String>) -> Result<Mount, Fault> {
    if let Content::Map(_) = node.content {
        let field = |name| node.get(name)?.map_or(Ok(""), Node::text);
        let (source, target) = (field("source")?, field("target")?);
        return Ok(Mount { source: words::filled(source, unknown), target: words::filled(target, unknown) });
    }
    let text = filled(node, unknown)?;
    let mut parts = text.split(':');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    Ok(match second {
        Some(target) => Mount { source: first.to_owned(), target: target.to_owned() },
        None => Mount { source: String::new(), target: first.to_owned() },
    })
}

fn count(node: &Node, unknown: &mut Vec<String>) -> Result<u8, Fault> {
    let text = filled(node, unknown)?;
    text.parse().map_err(|_| node.fault(format!("`{text}` is no number of copies")))
}

/// What a health check asks: `curl` and `wget` of a URL, `redis-cli ping`, or any program.
fn health(node: &Node, unknown: &mut Vec<String>) -> Result<Option<Health>, Fault> {
    let is_off = node.get("disable")?.map_or(Ok(""), Node::text)? == "true";
    let Some(test) = node.get("test")?.filter(|_| !is_off) else { return Ok(None) };
    let mut words = line(test, unknown)?;
    if let Content::List(_) = test.content {
        match words.first().map(String::as_str) {
            Some("CMD") => drop(words.remove(0)),
            Some("CMD-SHELL") => words = words::split(&words[1..].join(" ")),
            _ => return Ok(None),
        }
    }
    let shown = words.join(" ");
    let program = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or_default());
    Ok(Some(match program {
        "curl" | "wget" => words.iter().find_map(|word| asked(word)).unwrap_or(Health::Program(shown)),
        "redis-cli" if words.iter().any(|word| word.eq_ignore_ascii_case("ping")) => {
            Health::Resp(vec!["PING".into()])
        }
        _ => Health::Program(shown),
    }))
}

/// The path and port of a URL.
fn asked(url: &str) -> Option<Health> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = match host.rsplit_once(':') {
        Some((_, port)) => port.parse().ok()?,
        None => 80,
    };
    let path = if path.is_empty() { "/" } else { path };
    Some(Health::Http { path: path.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::super::Compose;
    use super::*;

    fn read(text: &str) -> (Service, Vec<String>) {
        let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
        let compose = Compose::parse(&format!("services:\n  s:\n{indented}")).unwrap();
        (compose.services[0].clone(), compose.notes)
    }

    #[test]
    fn fields_have_a_short_and_a_long_form() {
        let short = "image: x:1\ncommand: run --dir '/a b'\nenvironment: [A=1, B]\nports: ['127.0.0.1:8000:80', '90-91', '53:53/udp']\nvolumes: ['v:/data:ro', /tmp]\nscale: 2";
        let (service, notes) = read(short);
        assert_eq!(service.line(), ["run", "--dir", "/a b"]);
        assert_eq!(service.environment, [("A".to_owned(), "1".to_owned())]);
        assert_eq!((service.ports, service.copies), (vec![80, 90, 91], 2));
        assert_eq!(service.mounts[0], Mount { source: "v".into(), target: "/data".into() });
        assert_eq!(notes, ["`s` uses variables without a default, which are empty here: B"]);
        let long = "build: {context: ./src}\nentrypoint: [/bin/s]\ncommand: [-x, '${Y:-3}']\nenvironment: {A: 1}\nports: [{target: 80, published: 8000}]\nvolumes: [{type: bind, source: ./c, target: /c}]\ndeploy: {replicas: 3}\nprivileged: true";
        let (service, notes) = read(long);
        assert_eq!(service.line(), ["/bin/s", "-x", "3"]);
        assert_eq!((service.build.as_deref(), service.copies), (Some("./src"), 3));
        assert_eq!((service.ports, service.mounts.len()), (vec![80], 1));
        assert_eq!(notes, ["`privileged` of `s` is left out"]);
    }

    #[test]
    fn health_checks_are_questions_where_they_can_be() {
        let of = |test: &str| read(&format!("healthcheck: {{test: {test}}}")).0.health;
        let http = |path: &str, port| Some(Health::Http { path: path.into(), port });
        assert_eq!(of("[CMD, curl, -f, 'http://localhost:8080/health?x=1']"), http("/health?x=1", 8080));
        assert_eq!(of("wget -q --spider http://127.0.0.1 || exit 1"), http("/", 80));
        assert_eq!(of("[CMD-SHELL, 'redis-cli ping | grep PONG']"), Some(Health::Resp(vec!["PING".into()])));
        assert_eq!(
            of("[CMD, etcdctl, endpoint, health]"),
            Some(Health::Program("etcdctl endpoint health".into()))
        );
        assert_eq!(of("[NONE]"), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |text: &str| Compose::parse(text).unwrap_err().to_string();
        assert_eq!(told("version: 3\n"), "line 1, column 1: there are no `services`");
        assert_eq!(
            told("services:\n  s:\n    ports: [http]\n"),
            "line 3, column 13: `http` is no port; expected such as 8080 or 80:8080"
        );
        assert_eq!(told("services:\n  s: 5\n"), "line 2, column 6: expected a map, found a text");
    }
}
