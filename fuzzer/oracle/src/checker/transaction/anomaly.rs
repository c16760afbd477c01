//! Names of what can be wrong with transactions.
//!
//! | name | what was seen |
//! |---|---|
//! | `G0` | a cycle of ww: dirty writes |
//! | `G1a` | a read of what a failed transaction wrote |
//! | `G1b` | a read of what its writer overwrote itself |
//! | `G1c` | a cycle of ww and at least one wr |
//! | `G-single` | a cycle with one rw: read skew, and lost updates |
//! | `G-nonadjacent` | a cycle with several rw, none after another: long fork's kind, forbidden by snapshot isolation |
//! | `G2-item` | a cycle with several rw, two of them in a row: write skew |
//! | `lost-update` | two transactions read the same version of a key and both wrote the key |
//! | `dirty-update` | a transaction that took effect built on what a failed one wrote |
//! | `internal` | a transaction contradicts what it read or wrote itself before |
//! | `future-read` | a transaction saw what it wrote only later |
//! | `duplicate-elements` | a list has an element twice |
//! | `incompatible-order` | two lists of one key are no prefixes of each other |
//! | `thin-air-read` | a read of what nobody ever wrote |
//! | `cyclic-versions` | versions of a key come before themselves |
//!
//! A cycle of the second to fourth kind may use the order of processes, then its name ends in `-process`, or the order
//! of real time, `-realtime`; it always uses one of these at least once. Adya's `G2` is such a
//! cycle with an anti-dependency on a predicate; reads of keys show `G2-item` only, which implies it. For `G2` itself see
//! [`predicate`](crate::checker::predicate).
//! Sources: Adya, "Weak Consistency" (1999); Kingsbury and Alvaro, "Elle" (VLDB 2020), whose names these are.

/// The kinds of cycles, by what is in them besides the order of processes and real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// ww only.
    G0,
    /// ww and at least one wr.
    G1c,
    /// One rw.
    Single,
    /// Several rw, none next to another.
    Nonadjacent,
    /// Several rw, two of them next to each other.
    Item,
}

/// All classes, the worst first.
pub(super) const CLASSES: [Class; 5] =
    [Class::G0, Class::G1c, Class::Single, Class::Nonadjacent, Class::Item];

/// Which order a cycle uses besides that of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// None.
    Plain,
    /// That of processes.
    Session,
    /// That of real time.
    Realtime,
}

/// All strengths, the worst first.
pub(super) const STRENGTHS: [Strength; 3] = [Strength::Plain, Strength::Session, Strength::Realtime];

/// A class at a strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cyclic {
    /// What is in it.
    pub class: Class,
    /// The order that it needs.
    pub strength: Strength,
}

impl Cyclic {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match (self.class, self.strength) {
            (Class::G0, Strength::Plain) => "G0",
            (Class::G0, Strength::Session) => "G0-process",
            (Class::G0, Strength::Realtime) => "G0-realtime",
            (Class::G1c, Strength::Plain) => "G1c",
            (Class::G1c, Strength::Session) => "G1c-process",
            (Class::G1c, Strength::Realtime) => "G1c-realtime",
            (Class::Single, Strength::Plain) => "G-single",
            (Class::Single, Strength::Session) => "G-single-process",
            (Class::Single, Strength::Realtime) => "G-single-realtime",
            (Class::Nonadjacent, Strength::Plain) => "G-nonadjacent",
            (Class::Nonadjacent, Strength::Session) => "G-nonadjacent-process",
            (Class::Nonadjacent, Strength::Realtime) => "G-nonadjacent-realtime",
            (Class::Item, Strength::Plain) => "G2-item",
            (Class::Item, Strength::Session) => "G2-item-process",
            (Class::Item, Strength::Realtime) => "G2-item-realtime",
        }
    }

    /// What it is, for summaries.
    pub const fn about(self) -> &'static str {
        match self.class {
            Class::G0 => "writes that come before themselves",
            Class::G1c => "transactions that saw each other's writes in a circle",
            Class::Single => "a transaction that missed a write, though it comes after it",
            Class::Nonadjacent => {
                "transactions that each missed a write of another, though they come after it"
            }
            Class::Item => "transactions that missed each other's writes",
        }
    }

    /// The bit that stands for it in sets.
    pub const fn bit(self) -> u16 {
        1 << (self.class as u16 * 3 + self.strength as u16)
    }

    /// It and all cyclic anomalies that it implies, as a set.
    pub fn implied(self) -> u16 {
        let classes: &[Class] = match self.class {
            Class::G0 => &[Class::G0, Class::G1c],
            Class::G1c => &[Class::G1c],
            Class::Single => &[Class::Single, Class::Nonadjacent, Class::Item],
            Class::Nonadjacent => &[Class::Nonadjacent, Class::Item],
            Class::Item => &[Class::Item],
        };
        let strengths = || STRENGTHS.into_iter().filter(|strength| *strength >= self.strength);
        let each = classes.iter().flat_map(|class| strengths().map(|s| Self { class: *class, strength: s }));
        each.fold(0, |bits, each| bits | each.bit())
    }
}
