//! State table: one row a state, one column an action, bounded in memory.
//!
//! Rows are given out in the order in which states are first written. At the bound, the state that was
//! written longest ago gives up its row: the states at the start of every schedule are written all the time
//! and stay. Reading never allocates; a state without a row reads as the initial value.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::{action::ActionId, agent::StateId};

/// How many states a table remembers unless told otherwise. With 100 actions that is about 50 MiB.
pub const STATES_MAX_DEFAULT: usize = 65_536;

/// A value of type `T` for every (state, action).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SavedTable<T>", bound(deserialize = "T: Deserialize<'de> + Clone"))]
pub(crate) struct StateTable<T> {
    /// What was never written reads as this.
    initial: T,
    states_max: usize,
    /// Rows are states.
    cells: Array2<T>,
    /// By row: whose it is, and when it was last written.
    owners: Vec<(StateId, u64)>,
    /// How many writes there have been.
    writes: u64,
    #[serde(skip_serializing)]
    row_of: BTreeMap<StateId, usize>,
    /// (last write, row), oldest first.
    #[serde(skip_serializing)]
    by_age: BTreeSet<(u64, usize)>,
}

/// [`StateTable`] as saved: without its indices, which follow from the rest.
#[derive(Deserialize)]
struct SavedTable<T> {
    initial: T,
    states_max: usize,
    cells: Array2<T>,
    owners: Vec<(StateId, u64)>,
    writes: u64,
}

impl<T: Clone> StateTable<T> {
    /// An empty table for `actions` columns and at most `states_max` rows (0 counts as 1).
    pub(crate) fn new(actions: usize, states_max: usize, initial: T) -> Self {
        Self {
            initial,
            states_max: states_max.max(1),
            cells: Array2::from_shape_vec((0, actions), Vec::new()).expect("no rows need no cells"),
            owners: Vec::new(),
            writes: 0,
            row_of: BTreeMap::new(),
            by_age: BTreeSet::new(),
        }
    }

    /// How many states have a row.
    pub(crate) fn states(&self) -> usize {
        self.owners.len()
    }

    /// What is held for this state and action.
    ///
    /// # Panics
    /// When the state has a row and the action is not one of the columns.
    pub(crate) fn get(&self, state: StateId, action: ActionId) -> &T {
        match self.row_of.get(&state) {
            Some(&row) => &self.cells[[row, action.index()]],
            None => &self.initial,
        }
    }

    /// What is held for this state and action, to be changed; gives the state a row if it has none.
    ///
    /// # Panics
    /// When the action is not one of the columns.
    pub(crate) fn get_mut(&mut self, state: StateId, action: ActionId) -> &mut T {
        let row = match self.row_of.get(&state) {
            Some(&row) => row,
            None => self.allocate(state),
        };
        self.writes += 1;
        let last = std::mem::replace(&mut self.owners[row].1, self.writes);
        self.by_age.remove(&(last, row));
        self.by_age.insert((self.writes, row));
        &mut self.cells[[row, action.index()]]
    }

    fn allocate(&mut self, state: StateId) -> usize {
        let row = if self.owners.len() < self.states_max {
            let blank = Array1::from_elem(self.cells.ncols(), self.initial.clone());
            self.cells.push_row(blank.view()).expect("the row is as wide as the table");
            self.owners.push((state, 0));
            self.owners.len() - 1
        } else {
            let (_, row) = self.by_age.pop_first().expect("a full table has a row, and every row an age");
            self.row_of.remove(&self.owners[row].0);
            self.cells.row_mut(row).fill(self.initial.clone());
            self.owners[row] = (state, 0);
            row
        };
        self.row_of.insert(state, row);
        row
    }
}

impl<T> TryFrom<SavedTable<T>> for StateTable<T> {
    type Error = String;

    fn try_from(saved: SavedTable<T>) -> Result<Self, Self::Error> {
        let SavedTable { initial, states_max, cells, owners, writes } = saved;
        let row_of: BTreeMap<StateId, usize> =
            owners.iter().enumerate().map(|(row, &(state, _))| (state, row)).collect();
        let by_age = owners.iter().enumerate().map(|(row, &(_, written))| (written, row)).collect();
        let sound = cells.nrows() == owners.len()
            && row_of.len() == owners.len()
            && owners.len() <= states_max
            && owners.iter().all(|&(_, written)| written <= writes);
        if !sound {
            return Err("the table of a saved agent contradicts itself: discard the file".into());
        }
        Ok(Self { initial, states_max, cells, owners, writes, row_of, by_age })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ActionId = ActionId(0);
    const B: ActionId = ActionId(1);

    #[test]
    fn reads_do_not_allocate_and_writes_do() {
        let mut table = StateTable::new(2, 10, 1.5);
        assert_eq!(*table.get(StateId(7), B), 1.5);
        assert_eq!(table.states(), 0);
        *table.get_mut(StateId(7), B) = 2.0;
        assert_eq!((*table.get(StateId(7), A), *table.get(StateId(7), B)), (1.5, 2.0));
        assert_eq!(table.states(), 1);
    }

    #[test]
    fn at_the_bound_the_oldest_write_gives_way() {
        let mut table = StateTable::new(1, 2, 0);
        *table.get_mut(StateId(1), A) = 10;
        *table.get_mut(StateId(2), A) = 20;
        *table.get_mut(StateId(1), A) += 1;
        *table.get_mut(StateId(3), A) = 30;
        let held = [1, 2, 3].map(|state| *table.get(StateId(state), A));
        assert_eq!(held, [11, 0, 30]);
        assert_eq!(table.states(), 2);
    }

    #[test]
    fn a_saved_table_goes_on_as_the_first() {
        let mut table = StateTable::new(2, 3, 0i64);
        for step in 0..50u64 {
            *table.get_mut(StateId(step * 7 % 11), A) += step as i64;
        }
        let saved = postcard::to_stdvec(&table).unwrap();
        let mut back: StateTable<i64> = postcard::from_bytes(&saved).unwrap();
        for step in 0..50u64 {
            for each in [&mut table, &mut back] {
                *each.get_mut(StateId(step * 5 % 13), B) -= step as i64;
            }
        }
        assert_eq!(table.cells, back.cells);
        assert_eq!(table.row_of, back.row_of);
        assert_eq!(table.by_age, back.by_age);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        let mut table = StateTable::new(1, 3, 0u8);
        *table.get_mut(StateId(1), A) = 1;
        table.owners.push((StateId(1), 1));
        let saved = postcard::to_stdvec(&table).unwrap();
        assert!(postcard::from_bytes::<StateTable<u8>>(&saved).is_err());
    }
}
