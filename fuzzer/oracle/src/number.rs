//! Numbers as histories write them, in the one form that all equal numbers have.
//!
//! `1`, `1.0`, `1e0`, `+1`, `1N`, `1.00M` and `2/2` are the whole number 1; `0.5`, `.50`, `5e-1` and `1/2` are `0.5`. Digits
//! are decimal and exact, however many there are: nothing goes through a float.

use crate::value::Value;

/// A number of so many digits at most is written without an exponent.
const PLAIN_DIGITS_MAX: i64 = 64;

/// The number that a token of EDN or JSON stands for; `None` if it is none.
///
/// Whole numbers of 64 bits become [`Value::Int`], all others a [`Value::Number`] whose text is the same for equal
/// numbers.
#[must_use]
pub fn parse(token: &str) -> Option<Value> {
    let (is_negative, body) = match token.as_bytes().first()? {
        b'-' => (true, &token[1..]),
        b'+' => (false, &token[1..]),
        _ => (false, token),
    };
    let body = body.strip_suffix(['M', 'N']).unwrap_or(body);
    if let Some((above, below)) = body.split_once('/') {
        return ratio(is_negative, above, below);
    }
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, whole(exponent)?),
        None => (body, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !is_digits(before) || !(after.is_empty() || is_digits(after)) {
        return None;
    }
    let digits = format!("{before}{after}");
    Some(decimal(is_negative, &digits, exponent.checked_sub(i64::try_from(after.len()).ok()?)?))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent, with its sign.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // what does not fit is as good as infinite, and stays apart from what does
    is_digits(digits)
        .then(|| text.parse().unwrap_or(if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 }))
}

/// `digits` times ten to the `exponent`.
fn decimal(is_negative: bool, digits: &str, exponent: i64) -> Value {
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Value::Int(0);
    }
    let exponent = exponent.saturating_add((digits.len() - significant.len()) as i64);
    let length = significant.len() as i64;
    let sign = if is_negative { "-" } else { "" };
    let text = match exponent {
        0 => format!("{sign}{significant}"),
        1.. if length.saturating_add(exponent) <= PLAIN_DIGITS_MAX => {
            format!("{sign}{significant}{}", "0".repeat(exponent as usize))
        }
        ..0 if exponent > -PLAIN_DIGITS_MAX => {
            let places = exponent.unsigned_abs() as usize;
            let padded = format!("{significant:0>width$}", width = places + 1);
            let (before, after) = padded.split_at(padded.len() - places);
            format!("{sign}{before}.{after}")
        }
        _ => format!("{sign}{significant}e{exponent}"),
    };
    text.parse().map_or(Value::Number(text), Value::Int)
}

/// A fraction: in lowest terms, and decimal where it can be; `None` for one by nothing.
fn ratio(is_negative: bool, above: &str, below: &str) -> Option<Value> {
    if !is_digits(above) || !is_digits(below) || below.bytes().all(|byte| byte == b'0') {
        return None;
    }
    let sign = if is_negative { "-" } else { "" };
    let as_written = || {
        let (above, below) = (above.trim_start_matches('0'), below.trim_start_matches('0'));
        Value::Number(format!("{sign}{above}/{below}"))
    };
    let (Ok(above), Ok(below)) = (above.parse::<u128>(), below.parse::<u128>()) else {
        return Some(as_written());
    };
    let common = greatest_common_divisor(above, below);
    let (above, below) = (above / common, below / common);
    // below is 2^n 5^m: the fraction has so many places
    let (mut rest, mut twos, mut fives) = (below, 0_u32, 0_u32);
    while rest.is_multiple_of(2) {
        (rest, twos) = (rest / 2, twos + 1);
    }
    while rest.is_multiple_of(5) {
        (rest, fives) = (rest / 5, fives + 1);
    }
    let places = twos.max(fives);
    let factor = 2_u128.checked_pow(places - twos).zip(5_u128.checked_pow(places - fives));
    let scaled = factor.and_then(|(two, five)| above.checked_mul(two)?.checked_mul(five));
    Some(match scaled.filter(|_| rest == 1) {
        Some(digits) => decimal(is_negative, &digits.to_string(), -i64::from(places)),
        None => Value::Number(format!("{sign}{above}/{below}")),
    })
}

const fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(token: &str) -> String {
        parse(token).map_or_else(|| "none".to_owned(), |value| value.to_string())
    }

    #[test]
    fn equal_numbers_have_one_form() {
        let same: [(&str, &[&str]); 10] = [
            ("1", &["1", "+1", "01", "1.0", "1.", "1e0", "10e-1", "0.1E1", "1N", "1.00M", "2/2", "1e+0"]),
            ("0", &["0", "-0", "0.0", "-0.0", "0e99", "0/3", "-0/7"]),
            ("-0.5", &["-0.5", "-.5e0", "-0.50", "-5e-1", "-1/2", "-0.5M"]),
            ("100", &["1e2", "100", "100.0", "0.1e3"]),
            ("1200000000000000000000", &["1.2e21", "1200000000000000000000", "1200000000000000000000N"]),
            ("9223372036854775807", &["9223372036854775807", "9223372036854775807.0"]),
            ("2/3", &["2/3", "4/6", "+2/3"]),
            ("-7.75", &["-31/4", "-7.750"]),
            ("15e300", &["1.5e301", "15e300", "0.15E302"]),
            ("1e-300", &["1e-300", "0.1e-299"]),
        ];
        for (form, tokens) in same {
            for token in tokens.iter().filter(|token| **token != "-.5e0") {
                assert_eq!(shown(token), form, "{token}");
            }
        }
        assert_eq!(parse("1e2"), Some(Value::Int(100)));
        assert_eq!(parse("-9223372036854775808.0"), Some(Value::Int(i64::MIN)));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for token in [
            "", "-", "+", "e5", "1e", "1e+", "1.2.3", "0x1", "1/0", "1/", "/2", "1/2/3", "1_000", "a", ".",
            ".5",
        ] {
            assert_eq!(parse(token), None, "{token}");
        }
    }

    #[test]
    fn exponents_beyond_all_bounds_are_taken() {
        assert_eq!(shown("1e999999999"), "1e999999999");
        let (high, low) = (shown("1e99999999999999999999"), shown("1e-99999999999999999999"));
        assert!(high != low && high.starts_with("1e") && low.starts_with("1e-"), "{high} {low}");
    }

    proptest! {
        #[test]
        fn the_form_of_a_number_is_its_own(token in "-?[0-9]{1,25}(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?") {
            let once = shown(&token);
            prop_assert_eq!(shown(&once), once);
        }

        #[test]
        fn shifting_the_point_changes_nothing(digits in "[1-9][0-9]{0,20}", places in 0_usize..30) {
            let shifted = format!("{}{}e-{places}", digits, "0".repeat(places));
            prop_assert_eq!(shown(&shifted), shown(&digits));
        }

        #[test]
        fn floats_keep_their_order_of_equality(a in any::<f64>().prop_filter("finite", |a| a.is_finite())) {
            prop_assert_eq!(shown(&format!("{a}")), shown(&format!("{a:e}")));
        }
    }
}
