//! Sequential specifications: what a data type does when one operation runs after the other.
//!
//! A model owns a compact state and a step, nothing about time; order is the checkers' concern.

pub mod register;
