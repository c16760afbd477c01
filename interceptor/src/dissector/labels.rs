//! The labels of one run: short, clean and few, whatever the target puts on the wire.

use std::collections::BTreeSet;
use std::rc::Rc;

/// Longest label in bytes; a longer one is cut.
pub const LABEL_BYTES_MAX: usize = 48;

/// Most distinct labels of one run; all further ones are `other`.
pub const DISTINCT_MAX: usize = 256;

/// The labels seen so far in a run.
#[derive(Clone, Debug)]
pub struct Labels {
    known: BTreeSet<Rc<str>>,
    other: Rc<str>,
}

impl Default for Labels {
    fn default() -> Self {
        Self { known: BTreeSet::new(), other: "other".into() }
    }
}

impl Labels {
    /// The shared copy of a label, cut to [`LABEL_BYTES_MAX`] with control characters replaced by dots;
    /// `other` when it is new and there are [`DISTINCT_MAX`] already; `-` when it is empty.
    pub fn intern(&mut self, text: &str) -> Rc<str> {
        if let Some(known) = self.known.get(text) {
            return Rc::clone(known);
        }
        let clean = clean(text);
        if let Some(known) = self.known.get(clean.as_str()) {
            return Rc::clone(known);
        }
        if self.known.len() >= DISTINCT_MAX {
            return Rc::clone(&self.other);
        }
        let label: Rc<str> = clean.into();
        self.known.insert(Rc::clone(&label));
        label
    }

    /// How many distinct labels there are, `other` not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// No label was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(LABEL_BYTES_MAX));
    for c in text.chars().map(|c| if c.is_control() { '.' } else { c }) {
        if clean.len() + c.len_utf8() > LABEL_BYTES_MAX {
            break;
        }
        clean.push(c);
    }
    if clean.is_empty() {
        clean.push('-');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::{DISTINCT_MAX, LABEL_BYTES_MAX, Labels};

    #[test]
    fn labels_are_clean_short_and_few() {
        let mut labels = Labels::default();
        assert_eq!(&*labels.intern("a\nb\u{7f}"), "a.b.");
        assert_eq!(&*labels.intern(""), "-");
        assert_eq!(labels.intern(&"é".repeat(40)).len(), LABEL_BYTES_MAX);
        for n in 0..2 * DISTINCT_MAX {
            labels.intern(&format!("kind {n}"));
        }
        assert_eq!(labels.len(), DISTINCT_MAX);
        assert_eq!(&*labels.intern("late"), "other");
        assert_eq!(&*labels.intern("kind 3"), "kind 3");
    }
}
