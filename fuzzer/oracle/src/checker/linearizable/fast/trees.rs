//! Two trees over positions, with answers in log n.

use std::ops::Range;

/// The highest of a range of numbers. 0 counts as no number.
pub(super) struct Peaks {
    size: usize,
    /// Node n has the children 2n and 2n + 1; leaves begin at `size`.
    nodes: Vec<u64>,
}

impl Peaks {
    pub fn new(numbers: Vec<u64>) -> Self {
        let size = numbers.len().next_power_of_two();
        let mut nodes = vec![0; size * 2];
        nodes[size..size + numbers.len()].copy_from_slice(&numbers);
        for n in (1..size).rev() {
            nodes[n] = nodes[2 * n].max(nodes[2 * n + 1]);
        }
        Self { size, nodes }
    }

    pub fn set(&mut self, position: usize, number: u64) {
        let mut n = self.size + position;
        self.nodes[n] = number;
        while n > 1 {
            n /= 2;
            self.nodes[n] = self.nodes[2 * n].max(self.nodes[2 * n + 1]);
        }
    }

    /// The position of the highest number in a range, unless there is none.
    pub fn highest(&self, range: Range<usize>) -> Option<usize> {
        let (mut low, mut high) = (range.start + self.size, range.end + self.size);
        let mut best = 0;
        let mut number = 0;
        while low < high {
            for n in [(low % 2 == 1).then_some(low), (high % 2 == 1).then(|| high - 1)].into_iter().flatten()
            {
                if self.nodes[n] > number {
                    (best, number) = (n, self.nodes[n]);
                }
            }
            (low, high) = (low.div_ceil(2), high / 2);
        }
        if number == 0 {
            return None;
        }
        while best < self.size {
            best = if self.nodes[2 * best] == number { 2 * best } else { 2 * best + 1 };
        }
        Some(best - self.size)
    }
}

/// How many intervals cover each of a row of cells.
pub(super) struct Cover {
    size: usize,
    /// What was added to all below a node, and the least below it with that.
    added: Vec<i64>,
    least: Vec<i64>,
}

impl Cover {
    /// This many cells, covered by nothing.
    pub fn new(cells: usize) -> Self {
        let size = cells.next_power_of_two();
        Self { size, added: vec![0; size * 2], least: vec![0; size * 2] }
    }

    /// Adds to the cells from `start` up to `end`, which is not one of them.
    pub fn add(&mut self, start: usize, end: usize, amount: i64) {
        self.add_below(1, 0..self.size, start..end, amount);
    }

    fn add_below(&mut self, node: usize, cells: Range<usize>, wanted: Range<usize>, amount: i64) {
        if wanted.end <= cells.start || cells.end <= wanted.start {
            return;
        }
        if wanted.start <= cells.start && cells.end <= wanted.end {
            self.added[node] += amount;
            self.least[node] += amount;
            return;
        }
        let middle = cells.start.midpoint(cells.end);
        self.add_below(2 * node, cells.start..middle, wanted.clone(), amount);
        self.add_below(2 * node + 1, middle..cells.end, wanted, amount);
        self.least[node] = self.added[node] + self.least[2 * node].min(self.least[2 * node + 1]);
    }

    /// The first cell from `start` up to `end` that nothing covers.
    fn bare(&self, start: usize, end: usize) -> Option<usize> {
        self.bare_below(1, 0..self.size, start..end, 0)
    }

    fn bare_below(
        &self,
        node: usize,
        cells: Range<usize>,
        wanted: Range<usize>,
        above: i64,
    ) -> Option<usize> {
        let outside = wanted.end <= cells.start || cells.end <= wanted.start;
        if outside || self.least[node] + above > 0 {
            return None;
        }
        if node >= self.size {
            return Some(cells.start);
        }
        let above = above + self.added[node];
        let middle = cells.start.midpoint(cells.end);
        self.bare_below(2 * node, cells.start..middle, wanted.clone(), above)
            .or_else(|| self.bare_below(2 * node + 1, middle..cells.end, wanted, above))
    }

    /// The runs of covered cells from `start` up to `end`.
    pub fn runs(&self, start: usize, end: usize) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        let mut from = start;
        while from < end {
            let to = self.bare(from, end).unwrap_or(end);
            if from < to {
                runs.push((from, to));
            }
            from = to + 1;
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks() {
        let mut peaks = Peaks::new(vec![3, 9, 0, 5, 4]);
        assert_eq!((peaks.highest(0..5), peaks.highest(2..5), peaks.highest(2..3)), (Some(1), Some(3), None));
        peaks.set(1, 0);
        peaks.set(4, 6);
        assert_eq!((peaks.highest(0..5), peaks.highest(0..3), peaks.highest(0..0)), (Some(4), Some(0), None));
    }

    #[test]
    fn runs() {
        let mut cover = Cover::new(9);
        cover.add(1, 5, 1);
        cover.add(4, 6, 1);
        cover.add(7, 8, 1);
        assert_eq!(cover.runs(0, 9), [(1, 6), (7, 8)]);
        cover.add(4, 6, -1);
        assert_eq!(cover.runs(0, 9), [(1, 5), (7, 8)]);
        cover.add(1, 5, -1);
        assert_eq!((cover.runs(0, 7), cover.runs(7, 8)), (vec![], vec![(7, 8)]));
    }
}
