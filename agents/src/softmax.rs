//! Softmax: values to probabilities, without overflow and without NaN.

use crate::math;

/// Probabilities proportional to `exp(value / temperature)`.
///
/// The largest value is taken off first, so no exponent is above 0 and the sum is at least 1. A temperature
/// of 0 or less, or NaN, means greedy: all the weight on the largest values, evenly. NaN counts as minus
/// infinity; where no value is above minus infinity the result is uniform.
pub fn softmax(values: &[f64], temperature: f64) -> Vec<f64> {
    let top = values.iter().copied().filter(|value| !value.is_nan()).fold(f64::NEG_INFINITY, f64::max);
    let weight = |value: f64| {
        if value == top {
            1.0
        } else if temperature > 0.0 && top.is_finite() && value > f64::NEG_INFINITY {
            math::exp((value - top) / temperature)
        } else {
            0.0
        }
    };
    let mut weights: Vec<f64> = values.iter().map(|&value| weight(value)).collect();
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    } else {
        // Only NaNs.
        let share = 1.0 / values.len() as f64;
        weights.fill(share);
    }
    weights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_mallory_constants_are_all_but_uniform() {
        // Twelve actions, values within -1 / (1 - 0.6) = -2.5 and 0, temperature 100.
        let mut values = [-2.5; 12];
        values[5] = 0.0;
        let best = softmax(&values, 100.0)[5];
        assert!((best - 0.0853).abs() < 5e-5, "{best}");
        let sharp = softmax(&values, 1.0)[5];
        assert!(sharp > 0.5, "{sharp}");
    }

    #[test]
    fn hard_values_stay_finite() {
        assert_eq!(softmax(&[0.0, -1e300], 1.0), [1.0, 0.0]);
        assert_eq!(softmax(&[f64::INFINITY, 3.0, f64::INFINITY], 1.0), [0.5, 0.0, 0.5]);
        assert_eq!(softmax(&[f64::NAN, f64::NAN], 1.0), [0.5, 0.5]);
        assert_eq!(softmax(&[f64::NAN, 2.0], 1.0), [0.0, 1.0]);
        assert_eq!(softmax(&[f64::NEG_INFINITY; 4], 1.0), [0.25; 4]);
        assert_eq!(softmax(&[1.0, 2.0, 2.0], 0.0), [0.0, 0.5, 0.5]);
        assert_eq!(softmax(&[1.0, 2.0], f64::NAN), [0.0, 1.0]);
        assert_eq!(softmax(&[], 1.0), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn sums_to_one_and_keeps_the_order(
            values in prop::collection::vec(prop::num::f64::ANY, 1..20),
            temperature in prop::num::f64::ANY,
        ) {
            let probabilities = softmax(&values, temperature);
            prop_assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{probabilities:?}");
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    if a > b {
                        prop_assert!(probabilities[i] >= probabilities[j]);
                    }
                }
            }
        }
    }
}
