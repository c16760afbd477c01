//! Losses: the spans of time after faults in which leases may overlap.

use crate::raw::{Entry, Error};

/// Spans of nanoseconds, both ends included, in order and without overlaps.
#[derive(Default)]
pub struct Losses {
    spans: Vec<(u64, u64)>,
}

impl Losses {
    /// Adds the span after a loss, which may make the last one longer.
    ///
    /// # Errors
    /// The loss has no time.
    pub fn add(&mut self, loss: &Entry, at_ns: u64, overlap_ns: u64) -> Result<(), Error> {
        if loss.at_ns.is_none() {
            let cause = format!("entry {}: `overlap-ms` needs the time of the loss", loss.index);
            return Err(Error::at(loss.place, cause));
        }
        let until_ns = at_ns.saturating_add(overlap_ns);
        match self.spans.last_mut() {
            Some((_, last)) if *last >= at_ns => *last = (*last).max(until_ns),
            _ => self.spans.push((at_ns, until_ns)),
        }
        Ok(())
    }

    /// The number of the span in which this instant is.
    pub fn span(&self, at_ns: u64) -> Option<usize> {
        let after = self.spans.partition_point(|(from_ns, _)| *from_ns <= at_ns);
        after.checked_sub(1).filter(|span| at_ns <= self.spans[*span].1)
    }

    /// The end of the span with this number, as far as losses are known.
    pub fn end_ns(&self, span: usize) -> u64 {
        self.spans[span].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::script;
    use crate::value::Value;

    #[test]
    fn spans_that_touch_are_one() {
        let mut losses = Losses::default();
        let loss = script(&[(0, '+', "kill", Value::Nil)]).remove(0);
        for at_ns in [10, 15, 40] {
            losses.add(&loss, at_ns, 5).unwrap();
        }
        let spans = [9, 10, 20, 21, 40, 45, 46].map(|at_ns| losses.span(at_ns));
        assert_eq!(spans, [None, Some(0), Some(0), None, Some(1), Some(1), None]);
        assert_eq!((losses.end_ns(0), losses.end_ns(1)), (20, 45));
        let timeless = Entry { at_ns: None, ..loss };
        let error = losses.add(&timeless, 50, 5).unwrap_err();
        assert_eq!(error.cause, "entry 0: `overlap-ms` needs the time of the loss");
    }
}
