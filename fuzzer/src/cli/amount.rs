//! Durations as people type them: `500ms`, `60s`, `5m`, `1h30m`.

use std::time::Duration;

/// Reads a duration: numbers, each with a unit of `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let malformed = || format!("`{text}` is not a duration; write 500ms, 60s, 5m or 1h30m");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(malformed());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(malformed()),
        };
        let number: u64 = number.parse().map_err(|_| malformed())?;
        let span = number.checked_mul(milliseconds).map(Duration::from_millis);
        total = span.and_then(|span| total.checked_add(span)).ok_or_else(malformed)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_typed() {
        for (text, seconds) in [("500ms", 0.5), ("60s", 60.0), ("1h30m", 5400.0), (" 2d ", 172_800.0)] {
            assert_eq!(duration(text).map(|it| it.as_secs_f64()), Ok(seconds), "{text}");
        }
        for wrong in ["", "60", "s", "5 m", "1x", "-5s", "99999999999999999999s"] {
            assert_eq!(
                duration(wrong),
                Err(format!("`{wrong}` is not a duration; write 500ms, 60s, 5m or 1h30m"))
            );
        }
    }
}
