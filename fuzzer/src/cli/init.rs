//! `fuzz init`: a manifest to begin with, from flags.

use super::arguments::{Init, Speaks};
use super::exit::Exit;
use super::output::Output;
use anyhow::{Context, bail};
use fuzzer::target::Manifest;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes it; never over another.
pub fn main(args: &Init, output: &mut Output) -> anyhow::Result<Exit> {
    let text = manifest(args);
    let directory = args.out.clone().unwrap_or_else(|| place(&args.name));
    let file = directory.join("target.toml");
    let shown = file.display().to_string();
    Manifest::parse(&text, &shown)?;
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut made = match OpenOptions::new().write(true).create_new(true).open(&file) {
        Ok(made) => made,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{shown} is there already; give another name or --out")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {shown}")),
    };
    made.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    output.json(&json!({ "event": "made", "file": shown }));
    output.text(format!("{shown} is made; look it over, then"));
    let word = if directory.components().count() > 1 {
        directory.display().to_string()
    } else {
        format!("./{}", directory.display())
    };
    output.text(format!("  fuzz targets --check {shown}\n  fuzz run --target {word}"));
    Ok(Exit::Clean)
}

fn place(name: &str) -> PathBuf {
    let all = Path::new("targets");
    if all.is_dir() { all.join(name) } else { PathBuf::from(name) }
}

/// A word as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn manifest(args: &Init) -> String {
    let Init { name, nodes, port, peer, ready, .. } = args;
    let words = |text: &str| text.split_whitespace().map(quoted).collect::<Vec<_>>().join(", ");
    let ready = match ready.starts_with('/') {
        true => format!("http = {}", quoted(ready)),
        false => format!("command = [{}]", words(ready)),
    };
    let client = match args.client {
        Speaks::Http => HTTP,
        Speaks::Resp => RESP,
        Speaks::KvHttp => KV_HTTP,
        Speaks::Exec => EXEC,
    };
    format!(
        "version = 1\n\
         name = {name}\n\
         about = \"what it is, in one sentence\"\n\
         nodes = {nodes}\n\n\
         [build]\n\
         # command = [\"make\"] # what makes the program, if anything has to\n\
         binary = {binary}\n\n\
         [node]\n\
         # {{bin}} the program, {{id}} from 1, {{ip}} its address, {{ip:2}} that of node 2, {{data}} its directory, {{peers}} all\n\
         command = [{command}]\n\
         peer = {peer} # one of {{peers}}, which are joined with commas\n\
         # env = {{ LANG = \"C\" }}\n\
         # exits = [0] # statuses with which a node may end by itself\n\n\
         # [[node.file]] # what a node finds in {{data}} at its first start\n\
         # path = \"server.conf\"\n\
         # text = \"listen {{ip}}\"\n\n\
         [[ready]] # every node must answer before clients begin\n\
         {ready}\n\
         port = {port}\n\n\
         {client}\n\
         [faults]\n\
         # max_down = 1 # how many nodes may be down at once\n\
         # without = [\"power-loss\"] # what it does not promise to survive\n\n\
         [oracles]\n\
         recovery_ms = 5000 # it must answer again within this time after the last fault\n",
        name = quoted(name),
        binary = quoted(&args.binary),
        command = words(&args.command),
        peer = quoted(peer),
        client = client.replace("PORT", &port.to_string()),
    )
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

[workload]
families = ["register", "set"]
"#;

const KV_HTTP: &str = "[client.kv-http]\nport = PORT\n";

const EXEC: &str = r#"[client.exec] # told what to do on standard input, a JSON object a line; see targets/README.md
command = ["/usr/bin/python3", "-I", "-S", "{data}/client.py"]
operations = ["read", "write"]
[[client.exec.file]]
path = "client.py" # beside this manifest

[workload]
families = ["register"] # or set, log, lock
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_client_makes_a_manifest_that_can_be_read() {
        for (client, ready) in [
            (Speaks::Http, "/health"),
            (Speaks::Resp, "PING"),
            (Speaks::KvHttp, "/status"),
            (Speaks::Exec, "/"),
        ] {
            let args = Init {
                name: "shop".into(),
                out: None,
                nodes: 3,
                binary: "./a \"strange\" name".into(),
                command: "{bin} --peers {peers}".into(),
                peer: "{ip}:7000".into(),
                client,
                port: 81,
                ready: ready.into(),
            };
            let manifest = Manifest::parse(&manifest(&args), "target.toml").unwrap();
            assert_eq!(manifest.build.binary, Path::new("./a \"strange\" name"), "{client:?}");
            assert_eq!(manifest.node.command, ["{bin}", "--peers", "{peers}"]);
        }
    }
}
