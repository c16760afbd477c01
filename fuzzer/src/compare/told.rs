//! Figures as people read them: the same in the table and on the page.

use super::analysis::{Against, Mean, Pooled};

/// Below this a corrected p-value is called significant.
pub const SIGNIFICANT: f64 = 0.05;

/// `7.3`, `412`, `12,400`.
#[must_use]
pub fn number(value: f64) -> String {
    if value < 9.95 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `412 (350 to 480)`.
#[must_use]
pub fn mean(mean: &Mean) -> String {
    format!("{} ({} to {})", number(mean.mean), number(mean.low), number(mean.high))
}

/// `2.1`, `0.48`, `14`.
#[must_use]
pub fn factor(value: f64) -> String {
    match value {
        _ if value >= 9.95 => number(value.round()),
        _ if value >= 0.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// `2.1 (1.6 to 2.8)`.
#[must_use]
pub fn factors(ratio: f64, low: f64, high: f64) -> String {
    format!("{} ({} to {})", factor(ratio), factor(low), factor(high))
}

/// `0.034`, `<0.001`.
#[must_use]
pub fn p(value: f64) -> String {
    if value < 0.001 { "<0.001".into() } else { format!("{value:.3}") }
}

/// `37%`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// The median, or that it is later than `budget`.
#[must_use]
pub fn median(median: Option<f64>, budget: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a count of executions")]
    median.map_or_else(|| format!(">{}", number(budget as f64)), number)
}

/// Whether the arm is told apart from the baseline, and which of them is faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The arm finds bugs sooner.
    Faster,
    /// It finds them later.
    Slower,
    /// They are not told apart.
    Even,
}

impl Word {
    /// On one problem.
    #[must_use]
    pub fn of(against: &Against) -> Self {
        Self::from(against.p_holm, against.a12 > 0.5)
    }

    /// Over all problems.
    #[must_use]
    pub fn of_all(pooled: &Pooled) -> Self {
        Self::from(pooled.p_holm, pooled.ratio < 1.0)
    }

    const fn from(p: f64, is_faster: bool) -> Self {
        match (p < SIGNIFICANT, is_faster) {
            (false, _) => Self::Even,
            (true, true) => Self::Faster,
            (true, false) => Self::Slower,
        }
    }
}

/// What the comparison over all problems says, in a sentence.
#[must_use]
pub fn sentence(arm: &str, baseline: &str, pooled: &Pooled) -> String {
    let Pooled { problems, ratio, low, high, .. } = *pooled;
    let over =
        if problems == 1 { "on the one problem".to_owned() } else { format!("over {problems} problems") };
    let verdict = match Word::of_all(pooled) {
        Word::Even => "they are not told apart",
        Word::Faster => "it is faster",
        Word::Slower => "it is slower",
    };
    format!(
        "{arm} needs {} times the executions of {baseline} {over} (95% interval {} to {}; p {}): {verdict}",
        factor(ratio),
        factor(low),
        factor(high),
        p(pooled.p_holm),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([7.34, 9.97, 412.4, 12_400.0, 7.0].map(number), ["7.3", "10", "412", "12,400", "7"]);
        assert_eq!([0.483, 1.0, 2.14, 14.2].map(factor), ["0.48", "1.0", "2.1", "14"]);
        assert_eq!([0.0341, 0.0004, 1.0].map(p), ["0.034", "<0.001", "1.000"]);
        assert_eq!((median(None, 2_000), median(Some(40.0), 2_000)), (">2,000".into(), "40".into()));
    }
}
