//! A queue: elements come out in the order in which they went in. Elements are numbers.

use super::{Bond, Model};

/// What an operation does to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Put the element in.
    Enqueue(u32),
    /// Took this element out.
    Dequeue(u32),
    /// Found nothing to take out.
    Empty,
    /// Took out whatever was there, if anything, and nobody was told.
    Unanswered,
}

/// The queue, which is empty at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

impl Model for Queue {
    /// The elements in the order in which they went in.
    type State = Vec<u32>;
    type Action = Action;

    fn init(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, action: &Action) -> Option<Vec<u32>> {
        let mut after = state.clone();
        match *action {
            Action::Enqueue(element) => after.push(element),
            Action::Empty => return after.is_empty().then_some(after),
            Action::Dequeue(_) | Action::Unanswered => {
                let taken = (!after.is_empty()).then(|| after.remove(0));
                if let Action::Dequeue(element) = action
                    && taken != Some(*element)
                {
                    return None;
                }
            }
        }
        Some(after)
    }

    fn fits(&self, state: &Vec<u32>, action: &Action) -> bool {
        match *action {
            Action::Enqueue(_) | Action::Unanswered => true,
            Action::Empty => state.is_empty(),
            Action::Dequeue(element) => state.first() == Some(&element),
        }
    }

    fn is_pure(&self, action: &Action) -> bool {
        matches!(action, Action::Empty)
    }

    fn bond(&self, action: &Action) -> Bond {
        match *action {
            Action::Enqueue(element) | Action::Dequeue(element) => Bond::Together(u64::from(element)),
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

    #[test]
    fn elements_come_out_at_the_front() {
        let two =
            [1, 2].iter().fold(Queue.init(), |state, n| Queue.step(&state, &Action::Enqueue(*n)).unwrap());
        let [first, second] = [1, 2];
        assert_eq!(Queue.step(&two, &Action::Dequeue(second)), None);
        assert_eq!(Queue.step(&two, &Action::Empty), None);
        let one = Queue.step(&two, &Action::Dequeue(first)).unwrap();
        assert_eq!(Queue.step(&two, &Action::Unanswered), Some(one.clone()));
        let none = Queue.step(&one, &Action::Dequeue(second)).unwrap();
        assert_eq!(Queue.step(&none, &Action::Empty), Some(Queue.init()));
        assert_eq!(Queue.step(&none, &Action::Unanswered), Some(Queue.init()));
    }
}
