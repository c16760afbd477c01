//! Questions whose answers tell what a node is and how far it has come. Owns how they are written in a manifest and how their
//! answers are read; who asks them, and when, is in the run.

use super::check::is_path;
use super::client::HttpRequest;
use super::path::{find, text};
use super::place::WORDS;
use super::{Manifest, template};
use interceptor::event::Report;
use interceptor::role_line::{self, NUMBERS, RoleLine};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How long after an answer the next is asked for, unless the manifest says otherwise, in virtual milliseconds.
const EVERY_MS: u64 = 250;
/// The same of programs, each of which has to be started.
const PROGRAM_EVERY_MS: u64 = 1_000;
/// The shortest and the longest time that can be asked for.
const EVERY_MS_RANGE: std::ops::RangeInclusive<u64> = 20..=60_000;
/// Most questions of a manifest.
const QUESTIONS_MAX: usize = 8;
/// The longest name of a role, in bytes.
const ROLE_BYTES_MAX: usize = 24;
/// The role of who leads, and of who does not, where an answer names the leader only.
const LED: [&str; 2] = ["follower", "leader"];

/// A question that every node is asked again and again: a request over `http`, a `command` of RESP, or a `program` that is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusSpec {
    /// The path asked for.
    #[serde(default)]
    pub http: Option<String>,
    /// The method of that request.
    #[serde(default)]
    pub method: Option<String>,
    /// Its JSON body.
    #[serde(default)]
    pub body: Option<String>,
    /// The command asked.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// The program run, with arguments and placeholders of the node that is asked; what it writes is the answer. It runs on a
    /// host of its own in the cluster's network.
    #[serde(default)]
    pub program: Option<Vec<String>>,
    /// The port asked at.
    #[serde(default)]
    pub port: Option<u16>,
    /// How long after an answer the next is asked for, in virtual milliseconds.
    #[serde(default)]
    pub every_ms: Option<u64>,
    /// Where in the answer the node's role is.
    #[serde(default)]
    pub role: Option<String>,
    /// How the answer tells whether the node leads, where it names the leader.
    #[serde(default)]
    pub leader: Option<LeaderSpec>,
    /// Where the term is: the first of these that is a number.
    #[serde(default)]
    pub term: Paths,
    /// Where it is told how far the node has committed.
    #[serde(default)]
    pub commit: Paths,
    /// Where it is told how long its log is.
    #[serde(default)]
    pub last: Paths,
}

/// A node leads when two things are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaderSpec {
    /// Where in the answer the leader is named.
    pub at: String,
    /// The name of the node that answers: where it is in the answer, or a text with placeholders.
    pub is: String,
}

/// Places in an answer: one, or several of which the first that is there counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMore", into = "Vec<String>")]
pub struct Paths(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Paths {
    fn from(typed: OneOrMore) -> Self {
        match typed {
            OneOrMore::One(path) => Self(vec![path]),
            OneOrMore::More(paths) => Self(paths),
        }
    }
}

impl From<Paths> for Vec<String> {
    fn from(paths: Paths) -> Self {
        paths.0
    }
}

/// How a question is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium<'a> {
    /// A request over HTTP.
    Http(HttpRequest),
    /// A command of RESP.
    Resp(&'a [String]),
    /// A program that is run.
    Program(&'a [String]),
}

impl StatusSpec {
    /// How it is put.
    #[must_use]
    pub fn medium(&self) -> Medium<'_> {
        match (&self.http, &self.command, &self.program) {
            (Some(path), ..) => Medium::Http(HttpRequest {
                method: self.method.clone().unwrap_or_else(|| "GET".into()),
                path: path.clone(),
                body: self.body.clone().unwrap_or_default(),
                answer: None,
                absent: Vec::new(),
                encoding: None,
            }),
            (None, Some(words), _) => Medium::Resp(words),
            (None, None, words) => Medium::Program(words.as_deref().unwrap_or_default()),
        }
    }

    /// How long after an answer the next is asked for, in virtual milliseconds.
    #[must_use]
    pub fn pause_ms(&self) -> u64 {
        let usual = if self.program.is_some() { PROGRAM_EVERY_MS } else { EVERY_MS };
        self.every_ms.unwrap_or(usual)
    }

    /// What an answer says of its node: as a value, where it is one, and as a text. `filled` fills in the placeholders of the
    /// node. Nothing where the answer says nothing of it.
    #[must_use]
    pub fn read(
        &self,
        value: &Value,
        written: &str,
        lines: &[RoleLine],
        filled: &dyn Fn(&str) -> String,
    ) -> Option<Report> {
        let mut fields = BTreeMap::new();
        if let Some(path) = &self.role {
            let role = text(find(value, path).first()?).to_ascii_lowercase();
            fields.insert("role".to_owned(), role[..role.floor_char_boundary(ROLE_BYTES_MAX)].to_owned());
        } else if let Some(LeaderSpec { at, is }) = &self.leader {
            if value.is_null() {
                return None;
            }
            let own = if is.starts_with('/') {
                find(value, is).first().map(|it| text(it))
            } else {
                Some(filled(is))
            };
            let leads = find(value, at).first().map(|leader| text(leader)) == Some(own?);
            fields.insert("role".to_owned(), LED[usize::from(leads)].to_owned());
        } else {
            fields = written.lines().find_map(|line| lines.iter().find_map(|known| known.read(line)))?.fields;
        }
        for (name, paths) in NUMBERS.into_iter().zip([&self.term, &self.commit, &self.last]) {
            let numbers = paths.0.iter().flat_map(|path| find(value, path)).map(text);
            if let Some(number) = numbers.filter_map(|number| number.parse::<u64>().ok()).next() {
                fields.insert(name.to_owned(), number.to_string());
            }
        }
        Some(Report { kind: role_line::KIND.to_owned(), fields })
    }
}

impl Manifest {
    /// The programs that are run to ask nodes what they are, in order; each is run once for every node.
    pub fn status_programs(&self) -> impl Iterator<Item = &[String]> {
        self.status.iter().filter_map(|status| status.program.as_deref())
    }

    /// The first contradiction in what nodes are asked for their roles.
    pub(super) fn check_status(&self) -> Result<(), String> {
        if self.status.len() > QUESTIONS_MAX {
            return Err(format!("[[status]]: at most {QUESTIONS_MAX} questions can be asked"));
        }
        self.status.iter().try_for_each(|status| self.check_question(status))
    }

    fn check_question(&self, status: &StatusSpec) -> Result<(), String> {
        let asked = [status.http.is_some(), status.command.is_some(), status.program.is_some()];
        if asked.into_iter().filter(|is_asked| *is_asked).count() != 1 {
            return Err("[[status]] asks by one of `http`, `command` and `program`; write one of them".into());
        }
        if status.http.is_none() && (status.method.is_some() || status.body.is_some()) {
            return Err("[[status]] method and body belong to `http`".into());
        }
        match (status.program.is_some(), status.port) {
            (true, Some(_)) => return Err("[[status]] a program is asked at no port; leave it out".into()),
            (false, None | Some(0)) => {
                return Err("[[status]] has no port; write the one that nodes are asked at".into());
            }
            _ => {}
        }
        if status.http.as_ref().is_some_and(|path| !is_path(path)) {
            return Err("[[status]] http is no path; it begins with / and holds no spaces".into());
        }
        if status
            .method
            .as_ref()
            .is_some_and(|it| it.is_empty() || !it.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err("[[status]] method is none; write GET or POST".into());
        }
        if status.command.as_ref().is_some_and(Vec::is_empty) {
            return Err("[[status]] command is empty; write its name and arguments".into());
        }
        if status.every_ms.is_some_and(|every| !EVERY_MS_RANGE.contains(&every)) {
            let (first, last) = (EVERY_MS_RANGE.start(), EVERY_MS_RANGE.end());
            return Err(format!("[[status]] every_ms is out of range; {first} to {last} are possible"));
        }
        let leader =
            status.leader.iter().flat_map(|it| [Some(&it.at), Some(&it.is).filter(|is| is.starts_with('/'))]);
        let paths = [&status.term, &status.commit, &status.last].into_iter().flat_map(|paths| &paths.0);
        for path in status.role.iter().chain(leader.flatten()).chain(paths) {
            if !path.starts_with('/') {
                return Err(format!(
                    "[[status]] `{path}` is no place in an answer; write keys and positions, each after a `/`"
                ));
            }
        }
        match (&status.role, &status.leader) {
            (Some(_), Some(_)) => Err("[[status]] has both role and leader; write one".into()),
            (None, None) if self.roles.is_empty() => Err(
                "[[status]] does not say where the role is; write role or leader, or [[role]] with a line"
                    .into(),
            ),
            (_, Some(leader)) if !leader.is.starts_with('/') => {
                template::check(&leader.is, &WORDS, self.nodes)
                    .map_err(|why| format!("[[status]] leader: {why}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(text: &str) -> StatusSpec {
        toml::from_str(text).unwrap()
    }

    fn read(status: &StatusSpec, value: &Value, written: &str) -> Option<String> {
        let lines = [RoleLine::parse("leader", "Mode: leader").unwrap()];
        let report = status.read(value, written, &lines, &|text| text.replace("{id}", "2"))?;
        let fields = report.fields.iter().map(|(name, value)| format!("{name}={value}"));
        Some(fields.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_role_is_told_in_so_many_words() {
        let role = status("command = ['ROLE']\nport = 6379\nrole = '/0'\ncommit = ['/1', '/4']");
        assert_eq!(read(&role, &json!(["master", 71, []]), ""), Some("commit=71 role=master".into()));
        let replica = json!(["slave", "10.0.0.1", 6379, "connected", 70]);
        assert_eq!(read(&role, &replica, ""), Some("commit=70 role=slave".into()));
        assert_eq!(read(&role, &json!("LOADING"), ""), None);
        let state = status("http = '/'\nport = 1\nrole = '/state'\nterm = '/term'");
        assert_eq!(
            read(&state, &json!({"state": "Leader", "term": "7"}), ""),
            Some("role=leader term=7".into())
        );
        assert_eq!(read(&state, &json!({"state": null, "term": 7}), ""), None);
    }

    #[test]
    fn who_is_named_leads() {
        let own = status("http = '/'\nport = 1\nleader = { at = '/leader', is = '/header/id' }");
        assert_eq!(read(&own, &json!({"leader": "8", "header": {"id": 8}}), ""), Some("role=leader".into()));
        assert_eq!(
            read(&own, &json!({"leader": "0", "header": {"id": 8}}), ""),
            Some("role=follower".into())
        );
        assert_eq!(read(&own, &json!({"header": {"id": 8}}), ""), Some("role=follower".into()));
        assert_eq!(read(&own, &json!({"leader": "8"}), ""), None, "who is it?");
        let filled = status("http = '/'\nport = 1\nleader = { at = '/leader', is = 'n{id}' }");
        assert_eq!(read(&filled, &json!({"leader": "n2"}), ""), Some("role=leader".into()));
        assert_eq!(read(&filled, &json!({"leader": "n1"}), ""), Some("role=follower".into()));
    }

    #[test]
    fn lines_of_an_answer_are_like_lines_of_a_log() {
        let program = status("program = ['/bin/sh', '-c', 'echo srvr | nc {ip} 2181']");
        assert_eq!(read(&program, &Value::Null, "Zxid: 0x1\nMode: leader\n"), Some("role=leader".into()));
        assert_eq!(read(&program, &Value::Null, "not serving requests\n"), None);
    }
}
