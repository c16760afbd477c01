//! A set: elements are added, removed, asked for one by one or all at once. Elements are numbers.

use super::{Bond, Model};

/// What an answered operation does to a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Put the element in.
    Add(u32),
    /// Took the element out, whether or not it was in.
    Remove(u32),
    /// Found the element in, or not in.
    Contains(u32, bool),
    /// Saw exactly these elements, in increasing order.
    Read(Box<[u32]>),
}

/// The set, which is empty at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set;

impl Model for Set {
    /// The elements in increasing order.
    type State = Vec<u32>;
    type Action = Action;

    fn init(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, action: &Action) -> Option<Vec<u32>> {
        match *action {
            Action::Add(element) => {
                let mut after = state.clone();
                if let Err(at) = after.binary_search(&element) {
                    after.insert(at, element);
                }
                Some(after)
            }
            Action::Remove(element) => {
                let mut after = state.clone();
                if let Ok(at) = after.binary_search(&element) {
                    after.remove(at);
                }
                Some(after)
            }
            Action::Contains(..) | Action::Read(_) => self.fits(state, action).then(|| state.clone()),
        }
    }

    fn fits(&self, state: &Vec<u32>, action: &Action) -> bool {
        match action {
            Action::Add(_) | Action::Remove(_) => true,
            Action::Contains(element, is_in) => state.binary_search(element).is_ok() == *is_in,
            Action::Read(elements) => state[..] == elements[..],
        }
    }

    fn is_pure(&self, action: &Action) -> bool {
        matches!(action, Action::Contains(..) | Action::Read(_))
    }

    fn bond(&self, action: &Action) -> Bond {
        match action {
            Action::Add(element) => Bond::Source(u64::from(*element)),
            Action::Remove(_) => Bond::Kept,
            Action::Contains(..) | Action::Read(_) => Bond::Free,
        }
    }

    fn needs(&self, action: &Action) -> Vec<u64> {
        match action {
            Action::Add(_) | Action::Contains(_, false) => Vec::new(),
            Action::Remove(element) | Action::Contains(element, true) => vec![u64::from(*element)],
            Action::Read(elements) => elements.iter().map(|element| u64::from(*element)).collect(),
        }
    }

    fn show(&self, state: &Vec<u32>, name: &dyn Fn(u32) -> String) -> String {
        super::shown(state.iter().map(|element| name(*element)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let with = |state: &[u32], action| Set.step(&state.to_vec(), &action);
        assert_eq!(with(&[1, 3], Action::Add(2)), Some(vec![1, 2, 3]));
        assert_eq!(with(&[1, 3], Action::Add(3)), Some(vec![1, 3]));
        assert_eq!(with(&[1, 3], Action::Remove(1)), Some(vec![3]));
        assert_eq!(with(&[1, 3], Action::Remove(2)), Some(vec![1, 3]));
        assert_eq!(with(&[1, 3], Action::Contains(1, false)), None);
        assert_eq!(with(&[1, 3], Action::Contains(2, false)), Some(vec![1, 3]));
        assert_eq!(with(&[1, 3], Action::Read([1, 3].into())), Some(vec![1, 3]));
        assert_eq!(with(&[1, 3], Action::Read([1].into())), None);
    }
}
