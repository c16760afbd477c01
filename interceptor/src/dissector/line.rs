//! Lines of JSON.

use super::field::{self, Found};
use super::{FRAME_MAX, KEPT_MAX, Step};

/// A stream of lines.
pub(super) struct Line {
    field: String,
    /// Length of the open line so far.
    at: u64,
    /// Its beginning.
    text: Vec<u8>,
}

impl Line {
    /// Labels are this field of the object in a line.
    pub(super) fn new(field: &str) -> Self {
        Self { field: field.to_owned(), at: 0, text: Vec::new() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        self.at += part.len() as u64;
        self.text.extend_from_slice(&part[..part.len().min(KEPT_MAX - self.text.len())]);
        if self.at > FRAME_MAX || self.text.first().is_some_and(|byte| !field::may_begin(*byte)) {
            return Step::Garbage;
        }
        let Some(end) = end else { return Step::More };
        let cut = self.at > self.text.len() as u64;
        let label = match field::find(&self.text, &self.field, cut) {
            Found::Text(text) => text.into(),
            Found::Missing => "unnamed".into(),
            Found::NotAnObject => "json".into(),
            Found::Garbage if self.text.trim_ascii().is_empty() => "blank".into(),
            Found::Garbage => return Step::Garbage,
        };
        self.at = 0;
        self.text.clear();
        Step::Message { used: end + 1, label }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.text.len()
    }
}
