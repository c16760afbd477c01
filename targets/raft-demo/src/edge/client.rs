//! A client: one HTTP exchange, and a session that finds the leader and retries safely.

use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::http;

const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The exchange with one node failed.
    #[error("no answer from {node}: {why}")]
    Exchange {
        /// The node's client address.
        node: String,
        /// What went wrong.
        why: String,
    },
    /// No node answered in time. A write may or may not have taken effect.
    #[error("no leader answered within {seconds} s (last: {last}); is a majority of the nodes running?")]
    Deadline {
        /// How long was tried.
        seconds: u64,
        /// The last trouble.
        last: String,
    },
}

/// One request on a new connection: status and body.
pub async fn exchange(node: &str, method: &str, path: &str, body: &str) -> Result<(u16, Value), ClientError> {
    let failed = |why: String| ClientError::Exchange { node: node.to_owned(), why };
    let talk = async {
        let mut stream = TcpStream::connect(node).await?;
        stream.write_all(&http::request(method, path, node, body)).await?;
        let mut buffer = Vec::new();
        loop {
            if let Some(message) = http::take(&mut buffer).map_err(std::io::Error::other)? {
                return Ok(message);
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
        }
    };
    let message = match timeout(EXCHANGE_TIMEOUT, talk).await {
        Ok(Ok(message)) => message,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed("timed out".to_owned())),
    };
    let status = message.start[1].parse().map_err(|_| failed("not an HTTP response".to_owned()))?;
    let body = serde_json::from_slice(&message.body).map_err(|error| failed(error.to_string()))?;
    Ok((status, body))
}

/// A client's session with a cluster: its writes happen once, however often they are retried.
#[derive(Debug)]
pub struct Session {
    nodes: Vec<String>,
    at: usize,
    client: String,
    seq: u64,
    patience: Duration,
}

impl Session {
    /// A session; `client` must be unique, `nodes` are client addresses and not empty.
    pub fn new(nodes: Vec<String>, client: String, patience: Duration) -> Session {
        Session { nodes, at: 0, client, seq: 0, patience }
    }

    /// Reads a key.
    pub async fn get(&mut self, key: &str) -> Result<(u16, Value), ClientError> {
        self.ask("GET", &format!("/kv/{}", http::escape(key)), "").await
    }

    /// Sets a key.
    pub async fn put(&mut self, key: &str, value: &str) -> Result<(u16, Value), ClientError> {
        let body = self.write_body(json!({ "value": value }));
        self.ask("PUT", &format!("/kv/{}", http::escape(key)), &body).await
    }

    /// Sets a key if it has the expected value; `None`: if it is absent.
    pub async fn cas(
        &mut self,
        key: &str,
        expect: Option<&str>,
        value: &str,
    ) -> Result<(u16, Value), ClientError> {
        let body = self.write_body(json!({ "expect": expect, "value": value }));
        self.ask("POST", &format!("/kv/{}/cas", http::escape(key)), &body).await
    }

    /// Removes a key.
    pub async fn delete(&mut self, key: &str) -> Result<(u16, Value), ClientError> {
        let body = self.write_body(json!({}));
        self.ask("DELETE", &format!("/kv/{}", http::escape(key)), &body).await
    }

    /// Changes the members: `{"add":{"id":4,"addr":"IP:PORT"}}` or `{"remove":4}`.
    pub async fn change_members(&mut self, change: &Value) -> Result<(u16, Value), ClientError> {
        self.ask("POST", "/members", &change.to_string()).await
    }

    fn write_body(&mut self, mut body: Value) -> String {
        self.seq += 1;
        body["client"] = self.client.clone().into();
        body["seq"] = self.seq.into();
        body.to_string()
    }

    /// Asks node after node, following hints, until one gives a definite answer.
    async fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Value), ClientError> {
        let until = Instant::now() + self.patience;
        let mut last = String::from("nothing tried");
        while Instant::now() < until {
            let node = self.nodes[self.at % self.nodes.len()].clone();
            match exchange(&node, method, path, body).await {
                Ok((421 | 503, answer)) => {
                    last = format!("{node}: {}", answer["error"].as_str().unwrap_or("no reason given"));
                    let hint = answer["leader_client"].as_str();
                    let hinted = hint.and_then(|hint| self.nodes.iter().position(|known| known == hint));
                    self.at = hinted.unwrap_or(self.at + 1);
                }
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    last = error.to_string();
                    self.at += 1;
                }
            }
            sleep(RETRY_PAUSE).await;
        }
        Err(ClientError::Deadline { seconds: self.patience.as_secs(), last })
    }
}
