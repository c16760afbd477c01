//! Any HTTP and JSON service: requests are templates of the manifest, answers are found by a path into the body.
//!
//! 2xx is done; 404 to a read is an absent key; the manifest's `elsewhere` statuses, and no others, send the client to
//! another node. Bodies can be told to mean an absent key, or that something went wrong. 408 and 5xx leave a change undecided; other 4xx promise that nothing was done.

use super::http::{self, Response, Responses};
use super::protocol::{Answer, Found};
use crate::target::client::{Encoding, HttpRequest, HttpSpec};
use crate::target::path::{self, find};
use crate::target::template;
use oracle::{Call, Function};
use serde_json::Value;
use std::sync::Arc;

/// The client's side of one connection.
#[derive(Clone, Debug)]
pub struct Rest {
    spec: Arc<HttpSpec>,
    /// What has come in.
    pub responses: Responses,
}

impl Rest {
    /// Clients as the manifest describes them.
    #[must_use]
    pub fn new(spec: &HttpSpec) -> Self {
        Self { spec: Arc::new(spec.clone()), responses: Responses::default() }
    }

    /// The bytes that ask for `call`.
    ///
    /// # Panics
    /// When the manifest has no template for it: such calls are not drawn.
    #[must_use]
    pub fn request(&self, call: &Call, client: &str, seq: u64) -> Vec<u8> {
        let template = self.template(call);
        let fill = |text| template::fill(text, &|name, _| word(call, client, seq, name));
        http::request(&template.method, &fill(&template.path), &fill(&template.body))
    }

    fn template(&self, call: &Call) -> &HttpRequest {
        self.spec.ask.of(call).expect("only operations that the manifest describes are drawn")
    }

    /// What `response` says of `call`.
    #[must_use]
    pub fn answer(&self, call: &Call, response: &Response) -> Answer {
        let said = || {
            let body: String = String::from_utf8_lossy(&response.body).chars().take(160).collect();
            match body.trim() {
                "" => response.status_line(),
                body => format!("{}: {body}", response.status_line()),
            }
        };
        match response.status {
            200..300
                if call.function() == Function::Read && is_any(&self.template(call).absent, response) =>
            {
                Answer::of(call, Found::Nothing)
            }
            200..300 if is_any(&self.spec.unclear, response) => Answer::Unclear(said()),
            200..300 => self.done(call, response).unwrap_or_else(Answer::Unclear),
            status if self.spec.elsewhere.contains(&status) => Answer::Elsewhere(None),
            404 if call.function() == Function::Read => Answer::of(call, Found::Nothing),
            404 if matches!(call, Call::Delete { .. }) => Answer::Done(call.clone()),
            409 | 412 if matches!(call, Call::Cas { .. }) => Answer::of(call, Found::Word(false)),
            408 | 429 => Answer::Unclear(said()),
            400..500 => Answer::Refused(said()),
            _ => Answer::Unclear(said()),
        }
    }

    /// Finds the answer in a body; an error says why it cannot be one.
    fn done(&self, call: &Call, response: &Response) -> Result<Answer, String> {
        let template = self.template(call);
        let Some(path) = &template.answer else {
            let text = || {
                let text = String::from_utf8_lossy(&response.body);
                text.strip_suffix('\n').unwrap_or(&text).to_owned()
            };
            return Ok(Answer::of(
                call,
                match call.function() {
                    Function::Read => Found::Text(text()),
                    Function::Elements => Found::Texts(text().lines().map(str::to_owned).collect()),
                    Function::Cas => Found::Word(true),
                    _ => Found::Nothing,
                },
            ));
        };
        let body: Value = serde_json::from_slice(&response.body)
            .map_err(|error| format!("the answer is not JSON: {error}"))?;
        let texts = || -> Result<Vec<String>, String> {
            let found = find(&body, path);
            found.into_iter().map(|value| text_of(value, template.encoding)).collect()
        };
        Ok(Answer::of(
            call,
            match call.function() {
                Function::Read => texts()?.pop().map_or(Found::Nothing, Found::Text),
                Function::Elements => Found::Texts(texts()?),
                Function::Cas => {
                    let is_swapped = find(&body, path).first().and_then(|value| value.as_bool());
                    Found::Word(is_swapped.unwrap_or(false))
                }
                _ => Found::Nothing,
            },
        ))
    }
}

/// Whether the body is like one of these texts.
fn is_any(texts: &[String], response: &Response) -> bool {
    let body = String::from_utf8_lossy(&response.body);
    texts.iter().any(|text| is_like(text, body.trim()))
}

/// Whether the text is `like`, in which each `*` stands for anything.
fn is_like(like: &str, text: &str) -> bool {
    let Some((first, rest)) = like.split_once('*') else { return like == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    true
}

/// What a placeholder of an operation's template stands for.
pub(super) fn word(call: &Call, client: &str, seq: u64, name: &str) -> Option<String> {
    Some(match (name, call) {
        ("key", _) => call.key().to_owned(),
        ("value", Call::Write { value, .. } | Call::Cas { value, .. }) => value.clone(),
        ("value", Call::Add { element, .. }) => element.clone(),
        // A collection as keys of their own: they lie between `first` and `last`.
        ("element", Call::Add { key, element }) => format!("{key}/{element}"),
        ("first", _) => format!("{}/", call.key()),
        ("last", _) => format!("{}0", call.key()),
        ("expect", Call::Cas { expect, .. }) => expect.clone().unwrap_or_default(),
        ("amount", Call::Other { function: Function::Increment, asked, .. }) => asked.to_string(),
        ("client", _) => client.to_owned(),
        ("seq", _) => seq.to_string(),
        _ => return None,
    })
}

fn text_of(value: &Value, encoding: Option<Encoding>) -> Result<String, String> {
    let text = path::text(value);
    match encoding {
        None => Ok(text),
        Some(Encoding::Base64) => template::from_base64(&text)
            .ok_or_else(|| format!("`{text}` in the answer is not base64 of a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest() -> Rest {
        let spec: HttpSpec = toml::from_str(
            r#"
            port = 2379
            elsewhere = [421]
            [ask.read]
            method = "POST"
            path = "/v3/kv/range"
            body = '{"key":"{key|base64}"}'
            answer = "/kvs/0/value"
            encoding = "base64"
            [ask.write]
            method = "PUT"
            path = "/kv/{key}"
            body = '{"value":"{value}","of":"{client}","n":{seq}}'
            [ask.create]
            path = "/new"
            answer = "/succeeded"
            [ask.elements]
            path = "/all/{key}"
            answer = "/kvs/*/value"
            encoding = "base64"
            "#,
        )
        .unwrap();
        Rest::new(&spec)
    }

    fn read() -> Call {
        Call::Read { key: "k1".into(), value: None }
    }

    fn say(call: &Call, status: u16, body: &str) -> Answer {
        rest().answer(call, &Response { status, reason: String::new(), body: body.into(), keep_alive: true })
    }

    #[test]
    fn requests_are_filled_in() {
        let text = |call: &Call| String::from_utf8(rest().request(call, "c1", 7)).unwrap();
        assert!(text(&read()).starts_with("POST /v3/kv/range HTTP/1.1\r\n"));
        assert!(text(&read()).ends_with("\r\n\r\n{\"key\":\"azE=\"}"));
        let write = Call::Write { key: "k1".into(), value: "v1".into() };
        assert!(text(&write).ends_with("{\"value\":\"v1\",\"of\":\"c1\",\"n\":7}"));
    }

    #[test]
    fn answers_are_found_in_the_body() {
        let value = |value: Option<&str>| {
            Answer::Done(Call::Read { key: "k1".into(), value: Some(value.map(str::to_owned)) })
        };
        assert_eq!(say(&read(), 200, r#"{"kvs":[{"value":"djE="}],"count":"1"}"#), value(Some("v1")));
        assert_eq!(say(&read(), 200, r#"{"header":{}}"#), value(None));
        assert_eq!(say(&read(), 404, ""), value(None));
        let create = Call::Cas { key: "k".into(), expect: None, value: "v".into(), result: None };
        assert_eq!(say(&create, 200, "{}"), Answer::of(&create, Found::Word(false)));
        assert_eq!(say(&create, 200, r#"{"succeeded":true}"#), Answer::of(&create, Found::Word(true)));
        let all = Call::Elements { key: "k".into(), elements: None };
        assert_eq!(
            say(&all, 200, r#"{"kvs":[{"value":"djE="},{"value":"djI="}]}"#),
            Answer::Done(Call::Elements { key: "k".into(), elements: Some(vec!["v1".into(), "v2".into()]) })
        );
    }

    #[test]
    fn bodies_say_what_statuses_do_not() {
        let spec: HttpSpec = toml::from_str(
            r#"
            port = 1
            unclear = ["Error: *"]
            [ask.read]
            path = "/{key}"
            absent = ["Error: * no rows in *"]
            [ask.write]
            path = "/{key}"
            "#,
        )
        .unwrap();
        let say = |call: &Call, body: &str| {
            let (reason, body) = ("OK".to_owned(), body.into());
            Rest::new(&spec).answer(call, &Response { status: 200, reason, body, keep_alive: true })
        };
        let write = Call::Write { key: "k1".into(), value: "v1".into() };
        assert_eq!(say(&read(), "v1\n"), Answer::of(&read(), Found::Text("v1".into())));
        assert_eq!(say(&read(), "Error: sql: no rows in result set\n"), Answer::of(&read(), Found::Nothing));
        assert_eq!(say(&read(), "Error: no leader\n"), Answer::Unclear("200 OK: Error: no leader".into()));
        assert_eq!(say(&write, "Error: no leader\n"), Answer::Unclear("200 OK: Error: no leader".into()));
        assert_eq!(say(&write, "done\n"), Answer::Done(write.clone()));
    }

    #[test]
    fn a_star_stands_for_anything() {
        let like = ["a", "*", "a*", "*c", "a*c", "a*b*c", "ab*bc", "*x*"].map(|like| is_like(like, "abc"));
        assert_eq!(like, [false, true, true, true, true, true, false, false]);
    }

    #[test]
    fn what_is_not_done_for_certain_is_unclear() {
        assert!(matches!(say(&read(), 200, "<html>"), Answer::Unclear(_)));
        assert!(matches!(say(&read(), 200, r#"{"kvs":[{"value":"?"}]}"#), Answer::Unclear(_)));
        assert_eq!(say(&read(), 503, "no leader"), Answer::Unclear("503: no leader".into()));
        assert_eq!(say(&read(), 408, ""), Answer::Unclear("408".into()));
        assert_eq!(say(&read(), 400, "bad"), Answer::Refused("400: bad".into()));
        assert_eq!(say(&read(), 421, ""), Answer::Elsewhere(None));
    }
}
