//! A stack: the element that went in last comes out first. Elements are numbers.

use super::{Bond, Model};

/// What an operation does to a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Put the element in.
    Push(u32),
    /// Took this element out.
    Pop(u32),
    /// Found nothing to take out.
    Empty,
    /// Took out whatever was there, if anything, and nobody was told.
    Unanswered,
}

/// The stack, which is empty at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack;

impl Model for Stack {
    /// The elements in the order in which they went in.
    type State = Vec<u32>;
    type Action = Action;

    fn init(&self) -> Vec<u32> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u32>, action: &Action) -> Option<Vec<u32>> {
        let mut after = state.clone();
        match *action {
            Action::Push(element) => after.push(element),
            Action::Empty => return after.is_empty().then_some(after),
            Action::Pop(_) | Action::Unanswered => {
                let taken = after.pop();
                if let Action::Pop(element) = action
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
            Action::Push(_) | Action::Unanswered => true,
            Action::Empty => state.is_empty(),
            Action::Pop(element) => state.last() == Some(&element),
        }
    }

    fn is_pure(&self, action: &Action) -> bool {
        matches!(action, Action::Empty)
    }

    fn bond(&self, action: &Action) -> Bond {
        match *action {
            Action::Push(element) | Action::Pop(element) => Bond::Together(u64::from(element)),
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
    fn elements_come_out_at_the_top() {
        let two = [1, 2].iter().fold(Stack.init(), |state, n| Stack.step(&state, &Action::Push(*n)).unwrap());
        let [first, second] = [2, 1];
        assert_eq!(Stack.step(&two, &Action::Pop(second)), None);
        assert_eq!(Stack.step(&two, &Action::Empty), None);
        let one = Stack.step(&two, &Action::Pop(first)).unwrap();
        assert_eq!(Stack.step(&two, &Action::Unanswered), Some(one.clone()));
        let none = Stack.step(&one, &Action::Pop(second)).unwrap();
        assert_eq!(Stack.step(&none, &Action::Empty), Some(Stack.init()));
        assert_eq!(Stack.step(&none, &Action::Unanswered), Some(Stack.init()));
    }
}
