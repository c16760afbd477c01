//! Frames: a length of four bytes, big end first, and that many bytes of body.

use super::field::{self, Found};
use super::{FRAME_MAX, KEPT_MAX, Step};

/// Where the label comes from.
enum Source {
    Field(String),
    Byte(usize),
}

/// A stream of frames.
pub(super) struct Frame {
    source: Source,
    head: [u8; 4],
    /// Bytes of the open frame so far, its length included.
    at: u64,
    /// The beginning of the body.
    body: Vec<u8>,
}

impl Frame {
    /// Labels are a field of a JSON body.
    pub(super) fn json(field: &str) -> Self {
        Self { source: Source::Field(field.to_owned()), head: [0; 4], at: 0, body: Vec::new() }
    }

    /// Labels are the byte at `offset` of the body.
    pub(super) fn byte(offset: usize) -> Self {
        Self { source: Source::Byte(offset), head: [0; 4], at: 0, body: Vec::new() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut used = 0;
        while self.at < 4 {
            let Some(byte) = bytes.get(used) else { return Step::More };
            self.head[self.at as usize] = *byte;
            self.at += 1;
            used += 1;
        }
        let length = u64::from(u32::from_be_bytes(self.head));
        if length > FRAME_MAX {
            return Step::Garbage;
        }
        let left = 4 + length - self.at;
        let body = &bytes[used..];
        let body = &body[..body.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        self.at += body.len() as u64;
        self.body.extend_from_slice(&body[..body.len().min(self.keep() - self.body.len())]);
        let json = matches!(self.source, Source::Field(_));
        if json && self.body.first().is_some_and(|byte| !field::may_begin(*byte)) {
            return Step::Garbage;
        }
        if self.at < 4 + length {
            return Step::More;
        }
        self.finish(used + body.len(), length)
    }

    /// Bytes of a body worth keeping.
    fn keep(&self) -> usize {
        match self.source {
            Source::Field(_) => KEPT_MAX,
            Source::Byte(offset) => offset + 1,
        }
    }

    fn finish(&mut self, used: usize, length: u64) -> Step {
        self.at = 0;
        let label = match &self.source {
            _ if length == 0 => "empty".into(),
            Source::Byte(offset) => {
                self.body.get(*offset).map_or("short".into(), |byte| byte.to_string().into())
            }
            Source::Field(name) => match field::find(&self.body, name, length > self.body.len() as u64) {
                Found::Text(text) => text.into(),
                Found::Missing => "unnamed".into(),
                Found::NotAnObject => "json".into(),
                Found::Garbage => return Step::Garbage,
            },
        };
        self.body.clear();
        Step::Message { used, label }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.body.len()
    }
}
