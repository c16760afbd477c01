//! What is left to do, in time: from searches that are over, those most like it first.

use super::cell::{Role, Trial};
use super::plan::Task;
use std::collections::BTreeMap;

/// The searches that are left would take so many host seconds, one after the other; `None` as long as none is over.
#[must_use]
pub fn seconds_left(tasks: &[Task], trials: &BTreeMap<String, Trial>) -> Option<f64> {
    let mut known: BTreeMap<Like, (f64, u32)> = BTreeMap::new();
    for task in tasks {
        let Some(trial) = trials.get(&task.key) else { continue };
        for like in likes(task) {
            let (sum, count) = known.entry(like).or_default();
            *sum += trial.outcome.seconds;
            *count += 1;
        }
    }
    let mut left = 0.0;
    for task in tasks.iter().filter(|task| !trials.contains_key(&task.key)) {
        let (sum, count) = likes(task).iter().find_map(|like| known.get(like))?;
        left += sum / f64::from(*count);
    }
    Some(left)
}

/// What two searches have in common: target, arm, role; the more the better.
type Like = (Option<usize>, Option<usize>, Option<bool>);

fn likes(task: &Task) -> [Like; 5] {
    let is_twin = task.cell.role == Role::Twin;
    let (subject, arm) = (Some(task.subject), Some(task.arm));
    [
        (subject, arm, Some(is_twin)),
        (subject, None, Some(is_twin)),
        (None, arm, Some(is_twin)),
        (None, None, Some(is_twin)),
        (None, None, None),
    ]
}

/// A span as people say it: `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn span(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rough figure")]
    let minutes = (seconds.max(0.0) / 60.0).round() as u64;
    match minutes {
        0 | 1 => format!("{seconds:.0} s"),
        2..60 => format!("{minutes} min"),
        60..1_440 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1_440, minutes % 1_440 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{plan, tried};
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_most_like_it() {
        let plan = plan(2);
        let tasks = plan.tasks();
        assert_eq!(seconds_left(&tasks, &BTreeMap::new()), None);
        // Executions and tenths of seconds are the same number there.
        let all = tried(&plan, |task| (task.arm == 0 && task.cell.role == Role::Hunt).then_some(20));
        assert_eq!(seconds_left(&tasks, &all), Some(0.0));
        let mut some = all.clone();
        let gone = tasks.iter().find(|task| task.arm == 0 && task.cell.role == Role::Hunt).unwrap();
        some.remove(&gone.key);
        assert_eq!(seconds_left(&tasks, &some), Some(2.0));
    }

    #[test]
    fn spans_are_said_in_two_units() {
        let said = [0.4, 95.0, 3_000.0, 12_000.0, 187_200.0].map(span);
        assert_eq!(said, ["0 s", "2 min", "50 min", "3 h 20 min", "2 d 4 h"]);
    }
}
