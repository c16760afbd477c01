//! Sums that replicas show in the end.

use super::super::shape::{at_ns, evidence, int, is_ok, not_understood, of_key, wrong_value};
use super::Object;
use crate::check::Options;
use crate::op::Outcome;
use crate::raw::Error;
use crate::verdict::Judgement;
use std::collections::BTreeSet;

/// Judges a counter that may sink.
pub fn judge_any(object: &Object<'_>, options: &Options, judgement: &mut Judgement) -> Result<(), Error> {
    judge(object, options, i64::MIN, judgement)
}

/// Judges a counter that may not.
pub fn judge_growing(object: &Object<'_>, options: &Options, judgement: &mut Judgement) -> Result<(), Error> {
    judge(object, options, 0, judgement)
}

fn judge(object: &Object<'_>, options: &Options, least: i64, judgement: &mut Judgement) -> Result<(), Error> {
    let (mut certain, mut possible) = (0_i128, Vec::new());
    for op in object.ops {
        match (op.f.as_str(), op.outcome) {
            ("read", _) => {}
            ("add", outcome) => {
                let number = int(op, &op.asked)?;
                if number < least {
                    return Err(wrong_value(op, &op.asked, "a number that is not negative"));
                }
                match outcome {
                    Outcome::Ok => certain += i128::from(number),
                    Outcome::Info => possible.push(i128::from(number)),
                    Outcome::Fail => {}
                }
            }
            _ => return Err(not_understood(op, "add or read")),
        }
    }
    let sums = Sums::of(certain, &possible, options.steps_max);
    if sums.all.is_none() {
        judgement.unknown(format!(
            "there are too many additions{} whose end is unknown to know every sum they make",
            of_key(object.key)
        ));
    }
    let mut shown = Vec::new();
    for read in &object.finals.reads {
        let sum = i128::from(int(read, read.value())?);
        shown.push(sum);
        if sums.has(sum) {
            continue;
        }
        let summary = format!(
            "{sum} was read{}, and what was added makes {}",
            of_key(object.key),
            if sums.least == sums.most {
                sums.least.to_string()
            } else {
                format!("{} to {}", sums.least, sums.most)
            }
        );
        let unsure =
            object.ops.iter().filter(|op| op.f == "add" && !is_ok(op) && op.outcome == Outcome::Info);
        let ops: Vec<_> = unsure.take(4).copied().chain([*read]).collect();
        judgement.violation("wrong-sum", at_ns(read), summary, evidence(&ops, []));
    }
    // A wrong sum that differs from the right one is one mistake, not two.
    let right: Vec<usize> = (0..shown.len()).filter(|read| sums.has(shown[*read])).collect();
    if let Some(other) = right.iter().find(|read| shown[**read] != shown[right[0]]) {
        object.disagree(*other, None, judgement);
    }
    Ok(())
}

/// The sums that some choice of numbers makes.
struct Sums {
    least: i128,
    most: i128,
    /// All of them, where they are few enough.
    all: Option<BTreeSet<i128>>,
}

impl Sums {
    fn of(certain: i128, possible: &[i128], steps_max: u64) -> Self {
        let least = certain + possible.iter().filter(|number| **number < 0).sum::<i128>();
        let most = certain + possible.iter().filter(|number| **number > 0).sum::<i128>();
        let mut all = BTreeSet::from([certain]);
        let mut steps = 0;
        for number in possible {
            steps += all.len() as u64;
            if steps > steps_max {
                return Self { least, most, all: None };
            }
            let more: Vec<i128> = all.iter().map(|sum| sum + number).collect();
            all.extend(more);
        }
        Self { least, most, all: Some(all) }
    }

    fn has(&self, sum: i128) -> bool {
        self.all.as_ref().map_or((self.least..=self.most).contains(&sum), |all| all.contains(&sum))
    }
}
