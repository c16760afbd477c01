//! Assertions: what a client's program itself says must never be.
//!
//! The program knows its service better than any checker: that a lock it was given has an owner, that a sum is right.
//! It says which assertion failed and why; the first of each is the violation.

use crate::verdict::{Evidence, Judgement};
use serde::{Deserialize, Serialize};

/// The oracle's name.
pub const NAME: &str = "assertion";

/// An assertion that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Virtual nanoseconds.
    pub at_ns: u64,
    /// The client's number, from 1.
    pub client: u32,
    /// Which assertion: words joined by `-`, free of keys and values.
    pub kind: String,
    /// What was seen.
    pub message: String,
}

/// One violation for each kind.
#[must_use]
pub fn check(failed: &[Failed]) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    for Failed { at_ns, client, kind, message } in failed {
        let lines = vec![format!("c{client} says: {message}")];
        judgement.violation(kind, *at_ns, message.clone(), Evidence { lines, ..Evidence::default() });
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_kind_is_the_violation() {
        let failed = |at_ns, kind: &str| Failed {
            at_ns,
            client: 1,
            kind: kind.into(),
            message: format!("at {at_ns}"),
        };
        let judgement = check(&[failed(2, "a"), failed(3, "a"), failed(5, "b")]);
        let seen: Vec<_> = judgement.violations.iter().map(|v| (v.signature.as_str(), v.at_ns)).collect();
        assert_eq!(seen, [("assertion/a", 2), ("assertion/b", 5)]);
    }
}
