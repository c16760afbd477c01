//! Suggestions for misspelt names.

/// The longest name that is compared, in bytes: what a comparison costs is one length times the other.
const COMPARED_MAX: usize = 256;

/// The candidate most like `word`, when one is like it at all.
///
/// Likeness is the optimal string alignment distance; up to a third of the letters (and at least two) may differ, and a
/// candidate that begins with the word always counts. Nothing is like a name of more than 256 bytes.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > COMPARED_MAX {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= COMPARED_MAX)
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let distance = strsim::osa_distance(&word, &lower);
            let prefix = word.len() >= 3 && lower.starts_with(&word);
            (if prefix { distance.min(allowed) } else { distance }, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The end of an error message about an unknown name: the nearest one, or all there are.
#[must_use]
pub fn suggestion(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if candidates.is_empty() => "there are none".to_owned(),
        None => format!("known: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{nearest, suggestion};

    const NAMES: [&str; 4] = ["stale-read", "double-vote", "lost-write", "no-fsync"];

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        for (word, name) in [
            ("stale-raed", "stale-read"),
            ("doublevote", "double-vote"),
            ("lost", "lost-write"),
            ("NO-FSYNC", "no-fsync"),
        ] {
            assert_eq!(nearest(word, NAMES), Some(name), "{word}");
        }
    }

    #[test]
    fn long_names_are_not_compared() {
        let [one, other] = ["a", "b"].map(|end| "x".repeat(400_000) + end);
        assert_eq!(nearest(&one, [other.as_str(), "x"]), None);
        assert_eq!(nearest("stale-raed", [other.as_str(), "stale-read"]), Some("stale-read"));
    }

    #[test]
    fn a_word_like_none_lists_them_all() {
        assert_eq!(nearest("zebra", NAMES), None);
        assert_eq!(suggestion("zebra", &NAMES), "known: stale-read, double-vote, lost-write, no-fsync");
        assert_eq!(suggestion("zebra", &[]), "there are none");
    }
}
