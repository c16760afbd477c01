//! Messages of a binary protocol, part by part: a grammar looks at the parts that tell something, and the rest is passed
//! over.

use super::Step;
use std::borrow::Cow;

/// What comes after a part of a message.
pub(super) enum Then {
    /// A part of so many bytes, at least 1, that the grammar looks at.
    Read(usize),
    /// So many bytes that say nothing, and then such a part.
    Pass(u64, usize),
    /// So many bytes that say nothing, and then the next message, whose first part is of `next` bytes.
    End {
        /// Bytes that say nothing.
        pass: u64,
        /// The message's kind.
        label: Cow<'static, str>,
        /// Bytes of the next message's first part.
        next: usize,
    },
    /// The bytes are not of the protocol.
    Garbage,
}

/// The rules of a protocol.
pub(super) trait Grammar {
    /// Bytes of the very first part, at least 1.
    fn first(&self) -> usize;

    /// What comes after a part.
    fn after(&mut self, part: &[u8]) -> Then;
}

/// A stream of messages of a grammar.
pub(super) struct Binary<G> {
    grammar: G,
    /// Bytes to be passed over before anything else.
    pass: u64,
    /// The kind of the message that ends when they have been.
    ending: Option<Cow<'static, str>>,
    /// The part so far, and its length when it is whole.
    part: Vec<u8>,
    whole: usize,
}

impl<G: Grammar> Binary<G> {
    pub(super) fn new(grammar: G) -> Self {
        let whole = grammar.first();
        Self { grammar, pass: 0, ending: None, part: Vec::new(), whole }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let passed = rest.len().min(usize::try_from(self.pass).unwrap_or(usize::MAX));
            self.pass -= passed as u64;
            used += passed;
            if self.pass > 0 {
                return Step::More;
            }
            if let Some(label) = self.ending.take() {
                return Step::Message { used, label };
            }
            let rest = &bytes[used..];
            let taken = rest.len().min(self.whole - self.part.len());
            self.part.extend_from_slice(&rest[..taken]);
            used += taken;
            if self.part.len() < self.whole {
                return Step::More;
            }
            let then = self.grammar.after(&self.part);
            self.part.clear();
            match then {
                Then::Read(whole) => self.whole = whole.max(1),
                Then::Pass(pass, whole) => (self.pass, self.whole) = (pass, whole.max(1)),
                Then::End { pass, label, next } => {
                    (self.pass, self.whole, self.ending) = (pass, next.max(1), Some(label));
                }
                Then::Garbage => return Step::Garbage,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.part.len()
    }
}

/// Four bytes of a part, big end first, from `at` on; 0 where there are none.
pub(super) fn word(part: &[u8], at: usize) -> u32 {
    part.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}
