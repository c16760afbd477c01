//! One entry of a map of texts: it is got, put and appended to.
//!
//! A text that begins no answer can never become one, until the next put: all such texts are one state.

use super::{Bond, Model};
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// What an answered operation does to the entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Saw this text.
    Get(Arc<str>),
    /// Left this text.
    Put(Arc<str>),
    /// Added this text at the end.
    Append(Arc<str>),
}

/// The entry, which is empty at first.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    answers: BTreeSet<Arc<str>>,
}

impl Entry {
    /// The entry in a history whose gets saw these texts.
    #[must_use]
    pub fn new(answers: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { answers: answers.into_iter().collect() }
    }

    /// The text, if it begins one of the answers.
    fn seen(&self, text: &str) -> Option<Arc<str>> {
        let next = self.answers.range::<str, _>((Bound::Included(text), Bound::Unbounded)).next()?;
        next.starts_with(text).then(|| text.into())
    }
}

impl Model for Entry {
    /// `None` is any text that begins no answer.
    type State = Option<Arc<str>>;
    type Action = Action;

    fn init(&self) -> Self::State {
        self.seen("")
    }

    fn step(&self, state: &Self::State, action: &Action) -> Option<Self::State> {
        match action {
            Action::Get(_) => self.fits(state, action).then(|| state.clone()),
            Action::Put(text) => Some(self.seen(text)),
            Action::Append(text) => {
                let appended = state.as_ref().map(|before| [&**before, &**text].concat());
                Some(appended.and_then(|text| self.seen(&text)))
            }
        }
    }

    fn fits(&self, state: &Self::State, action: &Action) -> bool {
        match action {
            Action::Get(text) => state.as_ref() == Some(text),
            Action::Put(_) | Action::Append(_) => true,
        }
    }

    fn is_pure(&self, action: &Action) -> bool {
        matches!(action, Action::Get(_))
    }

    fn is_blind(&self, action: &Action) -> bool {
        matches!(action, Action::Put(_))
    }

    fn bond(&self, action: &Action) -> Bond {
        if self.is_pure(action) { Bond::Free } else { Bond::Kept }
    }

    fn show(&self, state: &Self::State, _: &dyn Fn(u32) -> String) -> String {
        state.as_ref().map_or_else(|| "a text that nobody saw".to_owned(), |text| format!("{text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_begin_no_answer_are_one_state() {
        let entry = Entry::new(["ab", "abcd", "x"].map(Arc::from));
        let append = |state: &Option<Arc<str>>, text: &str| {
            entry.step(state, &Action::Append(text.into())).unwrap().map(|text| text.to_string())
        };
        assert_eq!(append(&entry.init(), "ab").as_deref(), Some("ab"));
        assert_eq!(append(&Some("ab".into()), "c").as_deref(), Some("abc"));
        assert_eq!((append(&Some("ab".into()), "d"), append(&None, "ab")), (None, None));
        assert_eq!(entry.step(&None, &Action::Put("x".into())), Some(Some("x".into())));
        assert!(entry.fits(&Some("ab".into()), &Action::Get("ab".into())));
        assert!(!entry.fits(&None, &Action::Get("ab".into())));
        assert_eq!(Entry::default().init(), None);
    }
}
