//! Elementary functions out of additions, multiplications and divisions alone.
//!
//! The platform's `exp` and `ln` may differ in the last bit between C libraries and even between processors
//! that have fused multiply-add and those that have not. IEEE 754 fixes `+ - * /` and the square root to the
//! bit, so what is built from them gives the same choices everywhere.

use std::f64::consts::LOG2_E;

/// ln 2 cut to 32 bits, so that its product with a small whole number is exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
/// What [`LN2_HIGH`] leaves out.
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// e to the `x`; within 2 units in the last place. 0 below about -745, infinite above about 709.8.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 709.782_712_893_384 {
        return f64::INFINITY;
    }
    if x < -745.2 {
        return 0.0;
    }
    let halvings = (x * LOG2_E).round();
    let rest = (x - halvings * LN2_HIGH) - halvings * LN2_LOW;
    // |rest| <= ln(2)/2: the 15th term of the series is below 1e-19.
    let mut sum = 1.0;
    for term in (1..=14).rev() {
        sum = 1.0 + sum * rest / f64::from(term);
    }
    // In two steps: one factor alone would underflow where the result does not.
    let halvings = halvings as i32;
    let first = halvings / 2;
    sum * power_of_two(first) * power_of_two(halvings - first)
}

/// The natural logarithm; within 2 units in the last place. NaN below 0, minus infinity at 0.
pub fn ln(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x.is_infinite() {
        return x;
    }
    // Subnormal numbers carry no exponent of their own.
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * power_of_two(54), -54) } else { (x, 0) };
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1023 + shift;
    let mut mantissa = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000);
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)); the ratio is at most 0.1716, so 12 odd powers are enough.
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let mut sum = 0.0;
    for odd in (3..=25).rev().step_by(2) {
        sum = (sum + 1.0 / f64::from(odd)) * square;
    }
    let exponent = f64::from(exponent);
    exponent * LN2_HIGH + (2.0 * (ratio + ratio * sum) + exponent * LN2_LOW)
}

/// The complementary error function, 2/sqrt(pi) times the integral of exp(-t*t) from `x` on.
///
/// Relative error below 1e-12 for `x` up to 26; below that it underflows to 0 as it should.
pub fn erfc(x: f64) -> f64 {
    const SQRT_PI: f64 = 1.772_453_850_905_516;
    if x.is_nan() {
        return x;
    }
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x > 27.3 {
        return 0.0;
    }
    let bell = exp(-x * x);
    if x < 1.5 {
        // erf x = 2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 3 5 .. 2n+1): all terms positive.
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - 2.0 / SQRT_PI * bell * sum;
    }
    // Laplace's continued fraction, from the inside out.
    let mut fraction = x;
    for n in (1..=150).rev() {
        fraction = x + f64::from(n) / 2.0 / fraction;
    }
    bell / (SQRT_PI * fraction)
}

/// The probability that a standard normal variable lies further from 0 than `z`, on either side.
pub fn normal_two_sided(z: f64) -> f64 {
    erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// 2 to the `exponent`, for exponents of normal numbers.
fn power_of_two(exponent: i32) -> f64 {
    debug_assert!((-1022..=1023).contains(&exponent), "a normal number");
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ours: f64, theirs: f64, relative: f64) -> bool {
        ours == theirs || (ours - theirs).abs() <= relative * theirs.abs()
    }

    #[test]
    fn exp_and_ln_agree_with_the_platform() {
        for step in -7_000..7_000 {
            let x = f64::from(step) * 0.101;
            assert!(close(exp(x), x.exp(), 5e-16), "exp({x}) = {} not {}", exp(x), x.exp());
            let y = x.exp();
            assert!(close(ln(y), y.ln(), 5e-16), "ln({y}) = {} not {}", ln(y), y.ln());
            let z = 1.0 + f64::from(step) / 10_000.0;
            assert!(close(ln(z), z.ln(), 1e-15), "ln({z}) = {} not {}", ln(z), z.ln());
        }
    }

    #[test]
    fn the_edges_are_what_ieee_says() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert!(exp(f64::NAN).is_nan() && ln(-1.0).is_nan());
        assert!(exp(-744.0) > 0.0, "subnormal, not lost");
        assert!(close(ln(5e-324), 5e-324_f64.ln(), 1e-15));
    }

    #[test]
    fn erfc_matches_published_values() {
        // Abramowitz and Stegun, Handbook of Mathematical Functions, table 7.1, and its tail expansion.
        for (x, want) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (1.5, 0.033_894_853_524_689_27),
            (2.0, 0.004_677_734_981_047_266),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_034_8e-12),
            (-1.0, 1.842_700_792_949_714_8),
        ] {
            assert!(close(erfc(x), want, 1e-12), "erfc({x}) = {} not {want}", erfc(x));
        }
        assert!(close(normal_two_sided(1.959_963_984_540_054), 0.05, 1e-12));
    }
}
