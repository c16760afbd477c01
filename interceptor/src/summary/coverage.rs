//! Coverage as fuzzers take it: a map of counters, one for each feature up to collisions, in classes of hit
//! counts.

/// Counters of a map.
pub const MAP_SIZE: usize = 1 << 16;

/// How many windows of a run showed each feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageMap {
    windows: Vec<u8>,
}

impl Default for CoverageMap {
    fn default() -> Self {
        Self { windows: vec![0; MAP_SIZE] }
    }
}

impl CoverageMap {
    /// Counts the features of one window.
    pub fn add(&mut self, features: &[u64]) {
        fold(features, &mut self.windows);
    }

    /// Writes the class of every counter into `map`; see [`class`]. A smaller map gets the counters that fit.
    pub fn write_classes(&self, map: &mut [u8]) {
        for (class_of, count) in map.iter_mut().zip(&self.windows) {
            *class_of = class(*count);
        }
    }

    /// Back to nothing seen, for the next run.
    pub fn clear(&mut self) {
        self.windows.fill(0);
    }
}

/// Adds one to the counter of each feature of a window, up to 255. Features fall on counters by the top bits
/// of their numbers, spread over the map's length.
pub fn fold(features: &[u64], map: &mut [u8]) {
    let len = map.len() as u128;
    for feature in features {
        let at = (u128::from(*feature) * len) >> 64;
        if let Some(count) = map.get_mut(at as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// The class of a count as one bit, after AFL: 0, 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 and more.
#[must_use]
pub const fn class(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        128.. => 128,
    }
}

/// Turns counts into their classes, in place.
pub fn classify(map: &mut [u8]) {
    for count in map {
        *count = class(*count);
    }
}

#[cfg(test)]
mod tests {
    use super::{CoverageMap, MAP_SIZE, class, classify, fold};

    #[test]
    fn windows_are_counted_in_classes() {
        let (low, high) = (0x0001_ffff_ffff_ffff, u64::MAX);
        let mut coverage = CoverageMap::default();
        (0..5).for_each(|_| coverage.add(&[low]));
        (0..300).for_each(|_| coverage.add(&[high]));
        let mut map = vec![0; MAP_SIZE];
        coverage.write_classes(&mut map);
        assert_eq!((map[1], map[MAP_SIZE - 1]), (8, 128));
        assert_eq!(map.iter().filter(|class| **class > 0).count(), 2);
        let mut counts = vec![0; MAP_SIZE];
        (0..5).for_each(|_| fold(&[low], &mut counts));
        classify(&mut counts);
        assert_eq!(counts[1], 8);
        coverage.clear();
        assert_eq!(coverage, CoverageMap::default());
    }

    #[test]
    fn classes_never_fall() {
        let classes: Vec<u8> = (0..=255).map(class).collect();
        assert!(classes.is_sorted());
        assert_eq!(classes[255], 128);
    }

    #[test]
    fn an_empty_map_takes_everything() {
        fold(&[1, 2], &mut []);
    }
}
