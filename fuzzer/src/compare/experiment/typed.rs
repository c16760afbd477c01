//! The experiment as it is typed: what may be written, and what is not there when it is left out.

use super::Word;
use crate::campaign::Search;
use serde::Deserialize;
use toml::Spanned;

/// Only the version, whatever else is there.
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    #[allow(dead_code, reason = "it is read before")]
    pub(super) version: u32,
    pub(super) name: Word,
    #[serde(default)]
    pub(super) about: String,
    #[serde(default)]
    pub(super) baseline: Option<Word>,
    #[serde(default)]
    pub(super) search: TypedBudget,
    pub(super) problem: Vec<TypedProblem>,
    pub(super) arm: Vec<TypedArm>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TypedBudget {
    pub(super) seeds: Option<Spanned<Seeds>>,
    pub(super) executions: Option<Spanned<u64>>,
    pub(super) seconds: Option<Spanned<u64>>,
    pub(super) cores: Option<Spanned<u16>>,
    pub(super) horizon_ms: Option<Spanned<u64>>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "seeds are a number of them or a list such as [1, 2, 3]")]
pub(super) enum Seeds {
    Count(u64),
    List(Vec<u64>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedProblem {
    pub(super) name: Option<Word>,
    pub(super) target: Word,
    pub(super) binary: Option<Word>,
    #[serde(default)]
    pub(super) bugs: Vec<Word>,
    pub(super) workload: Option<Word>,
    pub(super) nodes: Option<Spanned<u8>>,
    #[serde(default)]
    pub(super) signatures: Vec<String>,
    pub(super) twin: Option<Spanned<TypedTwin>>,
    pub(super) seeds: Option<Spanned<Seeds>>,
    pub(super) executions: Option<Spanned<u64>>,
    pub(super) seconds: Option<Spanned<u64>>,
    pub(super) cores: Option<Spanned<u16>>,
    pub(super) horizon_ms: Option<Spanned<u64>>,
}

#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a twin is true (the correct build), false, or a table { target = ..., binary = ... }"
)]
pub(super) enum TypedTwin {
    Flag(bool),
    Other(OtherTwin),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtherTwin {
    pub(super) target: Option<String>,
    pub(super) binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypedArm {
    pub(super) name: Word,
    pub(super) agent: Option<Word>,
    pub(super) search: Option<Spanned<Search>>,
    pub(super) faults: Option<bool>,
}
