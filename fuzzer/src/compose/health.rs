//! How a service's health is asked.

use super::words;
use super::yaml::{Content, Fault, Node};

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

/// What a health check asks: `curl` and `wget` of a URL, `redis-cli ping`, or any program.
pub(super) fn read(node: &Node) -> Result<Option<Health>, Fault> {
    let is_off = node.get("disable")?.map_or(Ok(""), Node::text)? == "true";
    let Some(test) = node.get("test")?.filter(|_| !is_off) else { return Ok(None) };
    let mut words = line(test)?;
    if let Content::List(_) = test.content {
        match words.first().map(String::as_str) {
            Some("CMD") => drop(words.remove(0)),
            Some("CMD-SHELL") => {
                words = words::split(&words[1..].join(" ")).map_err(|why| test.fault(why))?;
            }
            Some("NONE") | None => return Ok(None),
            Some(_) => return Err(test.fault("a list begins with CMD, CMD-SHELL or NONE")),
        }
    }
    if words.is_empty() {
        return Ok(None);
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

/// A command line: a list of words, or a text that is cut into them.
pub(super) fn line(node: &Node) -> Result<Vec<String>, Fault> {
    match &node.content {
        Content::List(list) => list.iter().map(|word| Ok(word.text()?.to_owned())).collect(),
        _ => words::split(node.text()?).map_err(|why| node.fault(why)),
    }
}

/// The path and port of a URL.
fn asked(url: &str) -> Option<Health> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = match host.rsplit_once(':') {
        Some((_, port)) => port.parse().ok().filter(|port| *port > 0)?,
        None => 80,
    };
    let path = if path.is_empty() { "/" } else { path };
    let is_plain = path.chars().all(|c| c.is_ascii_graphic());
    is_plain.then(|| Health::Http { path: path.to_owned(), port })
}
