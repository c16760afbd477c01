//! How clients speak to a target: one protocol, and how each operation is asked for in it.

use super::check::is_path;
use super::{FileSpec, template};
use crate::schedule::Family;
use oracle::{Call, Function};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Words that the template of an operation may hold.
const WORDS: [&str; 9] = ["key", "value", "expect", "client", "seq", "element", "first", "last", "amount"];

/// How clients speak: exactly one of the protocols.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientSpec {
    /// How long an operation may take, in virtual milliseconds; what is open then is given up.
    #[serde(default = "a_second", rename = "timeout_ms")]
    pub timeout_ms: u64,
    /// Our own HTTP and JSON; see [`crate::workload::kv_http`].
    #[serde(default)]
    pub kv_http: Option<KvHttpSpec>,
    /// Any HTTP and JSON.
    #[serde(default)]
    pub http: Option<HttpSpec>,
    /// The protocol of Redis.
    #[serde(default)]
    pub resp: Option<RespSpec>,
    /// A program that is told what to do on its standard input.
    #[serde(default)]
    pub exec: Option<ExecSpec>,
}

fn a_second() -> u64 {
    1_000
}

/// Clients of [`crate::workload::kv_http`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvHttpSpec {
    /// The port they talk to.
    pub port: u16,
}

/// Clients of an HTTP service: a templated request for each operation they use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSpec {
    /// The port they talk to.
    pub port: u16,
    /// Statuses that promise that nothing was done, and that another node may do better.
    #[serde(default)]
    pub elsewhere: Vec<u16>,
    /// Bodies that say that something went wrong, whatever the status says: nobody knows what was done. `*` stands for
    /// anything.
    #[serde(default)]
    pub unclear: Vec<String>,
    /// How each operation is asked for.
    pub ask: Operations<HttpRequest>,
}

/// One request and where its answer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The path, with placeholders.
    pub path: String,
    /// The JSON body, with placeholders.
    #[serde(default)]
    pub body: String,
    /// Where the answer is: keys and positions from the root, each after a `/`; `*` stands for all members of an
    /// array. Absent: the body is the answer, without the end of its last line, and for changes the status.
    #[serde(default)]
    pub answer: Option<String>,
    /// Bodies that say that there is no such key. `*` stands for anything.
    #[serde(default)]
    pub absent: Vec<String>,
    /// How the answer's texts are written: `base64`, or plainly.
    #[serde(default)]
    pub encoding: Option<Encoding>,
}

fn get() -> String {
    "GET".to_owned()
}

/// How texts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// RFC 4648.
    Base64,
}

/// Clients of a service that speaks RESP 2: a templated command for each operation they use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RespSpec {
    /// The port they talk to.
    pub port: u16,
    /// Asked first on every connection.
    #[serde(default)]
    pub greeting: Option<Greeting>,
    /// First words of errors that promise that nothing was done, beside those that every server has.
    #[serde(default)]
    pub elsewhere: Vec<String>,
    /// How each operation is asked for.
    pub ask: Operations<Vec<String>>,
}

/// A question that tells whether this node is the one to work with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greeting {
    /// The command.
    pub command: Vec<String>,
    /// The first text of the answer of the right node.
    pub expect: String,
}

/// A client that is a program; see [`crate::workload::exec`] for what it is told and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// Program and arguments, with the placeholders of a node's command.
    pub command: Vec<String>,
    /// What it can be asked.
    pub operations: BTreeSet<Function>,
    /// Environment variables, with placeholders.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files in its data directory.
    #[serde(default, rename = "file")]
    pub files: Vec<FileSpec>,
}

/// How each operation is asked for, for those that clients can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations<T> {
    /// Asks for a value.
    #[serde(default = "none")]
    pub read: Option<T>,
    /// Sets a value.
    #[serde(default = "none")]
    pub write: Option<T>,
    /// Sets a value if the present one is `{expect}`; needs `create` beside it.
    #[serde(default = "none")]
    pub cas: Option<T>,
    /// Sets a value if there is none.
    #[serde(default = "none")]
    pub create: Option<T>,
    /// Removes a key.
    #[serde(default = "none")]
    pub delete: Option<T>,
    /// Adds `{value}` to a collection.
    #[serde(default = "none")]
    pub add: Option<T>,
    /// Asks for all elements of a collection.
    #[serde(default = "none")]
    pub elements: Option<T>,
    /// Adds `{amount}` to a counter, whose sum `read` asks for.
    #[serde(default = "none")]
    pub increment: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

impl<T> Operations<T> {
    fn all(&self) -> impl Iterator<Item = &T> {
        let registers = [&self.read, &self.write, &self.cas, &self.create, &self.delete];
        let others = [&self.add, &self.elements, &self.increment];
        registers.into_iter().chain(others).flatten()
    }

    fn functions(&self) -> BTreeSet<Function> {
        let offered = [
            (Function::Read, self.read.is_some()),
            (Function::Write, self.write.is_some()),
            (Function::Cas, self.cas.is_some() && self.create.is_some()),
            (Function::Delete, self.delete.is_some()),
            (Function::Add, self.add.is_some()),
            (Function::Elements, self.elements.is_some()),
            (Function::Increment, self.increment.is_some()),
        ];
        offered.into_iter().filter(|(_, is_there)| *is_there).map(|(function, _)| function).collect()
    }

    /// How `call` is asked for.
    #[must_use]
    pub fn of(&self, call: &Call) -> Option<&T> {
        match call.function() {
            Function::Read => self.read.as_ref(),
            Function::Write => self.write.as_ref(),
            Function::Cas if matches!(call, Call::Cas { expect: None, .. }) => self.create.as_ref(),
            Function::Cas => self.cas.as_ref(),
            Function::Delete => self.delete.as_ref(),
            Function::Add => self.add.as_ref(),
            Function::Elements => self.elements.as_ref(),
            Function::Increment => self.increment.as_ref(),
            _ => None,
        }
    }
}

impl ClientSpec {
    /// What clients can ask.
    #[must_use]
    pub fn functions(&self) -> BTreeSet<Function> {
        match (&self.http, &self.resp, &self.exec) {
            (Some(http), ..) => http.ask.functions(),
            (_, Some(resp), _) => resp.ask.functions(),
            (.., Some(exec)) => exec.operations.clone(),
            _ => BTreeSet::from([Function::Read, Function::Write, Function::Cas, Function::Delete]),
        }
    }

    /// The port that clients connect to; 0 when they are programs and find their own way.
    #[must_use]
    pub fn port(&self) -> u16 {
        let kv_http = self.kv_http.as_ref().map(|it| it.port);
        let http = self.http.as_ref().map(|it| it.port);
        kv_http.or(http).or(self.resp.as_ref().map(|it| it.port)).unwrap_or(0)
    }

    /// The first contradiction, and what would be right.
    pub(super) fn check(&self, families: &[Family]) -> Result<(), String> {
        let protocols =
            [self.kv_http.is_some(), self.http.is_some(), self.resp.is_some(), self.exec.is_some()];
        if protocols.iter().filter(|is_there| **is_there).count() != 1 {
            return Err("[client] needs exactly one of kv-http, http, resp and exec".into());
        }
        if self.exec.is_none() && self.port() == 0 {
            return Err("[client] port is 0; write the port that clients speak to".into());
        }
        if let Some(http) = &self.http {
            for request in http.ask.all() {
                for text in [&request.path, &request.body] {
                    template::check(text, &WORDS, 0).map_err(|why| format!("[client.http.ask] {why}"))?;
                }
                if !is_path(&request.path) {
                    let path = request.path.escape_debug();
                    return Err(format!(
                        "[client.http] path `{path}` must begin with `/` and have no blanks"
                    ));
                }
                if request.method.is_empty() || !request.method.chars().all(|c| c.is_ascii_alphabetic()) {
                    let method = request.method.escape_debug();
                    return Err(format!("[client.http] method `{method}` is none; methods look like GET"));
                }
                if request.answer.as_ref().is_some_and(|answer| !answer.starts_with('/')) {
                    return Err("[client.http] answer must begin with `/`, such as /kvs/0/value".into());
                }
            }
        }
        if let Some(resp) = &self.resp {
            let greeting = resp.greeting.as_ref().map(|greeting| &greeting.command);
            for command in resp.ask.all().chain(greeting) {
                if command.is_empty() {
                    return Err("[client.resp] a command is empty; write its name and arguments".into());
                }
                for text in command {
                    template::check(text, &WORDS, 0).map_err(|why| format!("[client.resp.ask] {why}"))?;
                }
            }
        }
        if self.exec.as_ref().is_some_and(|exec| exec.command.is_empty()) {
            return Err("[client.exec] command is empty; write the program and its arguments".into());
        }
        let functions = self.functions();
        for family in families {
            if let Some(missing) = family.needs().iter().find(|function| !functions.contains(function)) {
                return Err(format!(
                    "[workload] families holds {} but [client] does not say how to {}",
                    family.name(),
                    missing.name()
                ));
            }
        }
        Ok(())
    }
}
