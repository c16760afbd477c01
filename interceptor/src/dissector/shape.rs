//! The label of bytes without a known protocol.

use super::Direction;

/// Direction (`>` to the side that listened, `<` from it), the logarithm to base 2 of the size, and a letter
/// for each of the first two bytes: `a` a letter, `d` a digit, `p` other printable text, `z` zero, `c`
/// another control byte, `h` 128 and above. So `GET /x` is `>2aa`.
pub(super) fn label(direction: Direction, size: u64, first: &[u8]) -> String {
    let mark = match direction {
        Direction::Request => '>',
        Direction::Reply => '<',
    };
    let mut label = format!("{mark}{}", size.checked_ilog2().unwrap_or(0));
    label.extend(first.iter().take(2).map(|byte| match byte {
        0 => 'z',
        byte if byte.is_ascii_alphabetic() => 'a',
        byte if byte.is_ascii_digit() => 'd',
        b' '..=b'~' => 'p',
        128.. => 'h',
        _ => 'c',
    }));
    label
}
