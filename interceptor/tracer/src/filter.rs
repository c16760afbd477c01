//! The seccomp program: which calls run without a stop. All others stop the thread before they run.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;

/// When a call runs without a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Always.
    Always,
    /// When argument `index` and `mask` equals `value`; any of several such rules suffices.
    Masked {
        /// Which argument, from 0.
        index: u8,
        /// The bits that are looked at.
        mask: u64,
        /// What they must be.
        value: u64,
    },
}

/// A compiled filter.
#[derive(Clone)]
pub struct Filter(pub(crate) BpfProgram);

impl Filter {
    /// Compiles the calls that run without a stop; every other call of the x86-64 table stops, and a call
    /// through another table (i386, x32) kills the process.
    ///
    /// # Panics
    /// When a rule names an argument above 5.
    #[must_use]
    pub fn allowing(rules: &BTreeMap<i64, Vec<Rule>>) -> Self {
        let compiled = rules
            .iter()
            .map(|(&number, rules)| {
                let any = rules.contains(&Rule::Always);
                let chain = if any { Vec::new() } else { rules.iter().filter_map(condition).collect() };
                (number, chain)
            })
            .collect();
        let filter =
            SeccompFilter::new(compiled, SeccompAction::Trace(0), SeccompAction::Allow, TargetArch::x86_64)
                .expect("match and mismatch actions differ");
        Self(filter.try_into().expect("a list of calls fits the largest program"))
    }
}

fn condition(rule: &Rule) -> Option<SeccompRule> {
    let Rule::Masked { index, mask, value } = *rule else { return None };
    let condition =
        SeccompCondition::new(index, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)
            .expect("arguments are numbered 0 to 5");
    Some(SeccompRule::new(vec![condition]).expect("a rule with one condition is not empty"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_compiles_with_and_without_conditions() {
        let rules = BTreeMap::from([
            (libc::SYS_getuid, vec![Rule::Always]),
            (libc::SYS_mmap, vec![Rule::Masked { index: 2, mask: 2, value: 0 }]),
        ]);
        assert!(Filter::allowing(&rules).0.len() > 8);
    }
}
