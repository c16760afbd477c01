//! Queues and stacks: elements go in at the back, and come out at the front or at the back. Elements are numbers.

use super::{Bond, Model};

/// What an operation does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Put the element in.
    Put(u32),
    /// Took this element out.
    Take(u32),
    /// Found nothing to take out.
    Empty,
    /// Took out whatever was there, if anything, and nobody was told.
    Unanswered,
}

/// Where elements come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// At the front: what went in first.
    Queue,
    /// At the back: what went in last.
    Stack,
}

impl Sequence {
    /// The element that comes out next.
    #[must_use]
    pub fn next(self, state: &[u32]) -> Option<u32> {
        match self {
            Self::Queue => state.first().copied(),
            Self::Stack => state.last().copied(),
        }
    }
}

impl Model for Sequence {
    /// The elements in the order in which they went in.
    type State = Vec<u32>;
    type Action = Action;

    fn init(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, action: &Action) -> Option<Vec<u32>> {
        self.fits(state, action).then(|| {
            let mut after = state.clone();
            match (action, self) {
                (Action::Put(element), _) => after.push(*element),
                (Action::Take(_) | Action::Unanswered, Self::Queue) if !after.is_empty() => {
                    after.remove(0);
                }
                (Action::Take(_) | Action::Unanswered, Self::Stack) => {
                    after.pop();
                }
                _ => {}
            }
            after
        })
    }

    fn fits(&self, state: &Vec<u32>, action: &Action) -> bool {
        match *action {
            Action::Put(_) | Action::Unanswered => true,
            Action::Empty => state.is_empty(),
            Action::Take(element) => self.next(state) == Some(element),
        }
    }

    fn is_pure(&self, action: &Action) -> bool {
        matches!(action, Action::Empty)
    }

    fn bond(&self, action: &Action) -> Bond {
        match *action {
            Action::Put(element) | Action::Take(element) => Bond::Together(u64::from(element)),
            Action::Empty => Bond::Free,
            // it may have taken any element
            Action::Unanswered => Bond::Kept,
        }
    }

    fn show(&self, state: &Vec<u32>, name: &dyn Fn(u32) -> String) -> String {
        super::shown(state.iter().map(|element| name(*element)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements_come_out_where_they_should(model: Sequence, [first, second]: [u32; 2]) {
        let put = |state, n: &u32| model.step(&state, &Action::Put(*n)).unwrap();
        let two = [1, 2].iter().fold(model.init(), put);
        assert_eq!(model.step(&two, &Action::Take(second)), None);
        assert_eq!(model.step(&two, &Action::Empty), None);
        let one = model.step(&two, &Action::Take(first)).unwrap();
        assert_eq!(model.step(&two, &Action::Unanswered), Some(one.clone()));
        let none = model.step(&one, &Action::Take(second)).unwrap();
        assert_eq!(model.step(&none, &Action::Empty), Some(model.init()));
        assert_eq!(model.step(&none, &Action::Unanswered), Some(model.init()));
    }

    #[test]
    fn queues_give_the_oldest_and_stacks_the_newest() {
        elements_come_out_where_they_should(Sequence::Queue, [1, 2]);
        elements_come_out_where_they_should(Sequence::Stack, [2, 1]);
    }
}
