//! Several registers under one operation: a transaction of reads and writes of any of them, which runs at one instant.

use super::Model;

/// A read or a write of one register, by positions of registers and numbers of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// The register held this value.
    Read(u32, u32),
    /// It is given this value.
    Write(u32, u32),
}

/// This many registers, each with the value 0 at first.
#[derive(Clone, Copy, Debug)]
pub struct MultiRegister {
    /// The number of registers.
    pub registers: usize,
}

impl Model for MultiRegister {
    type State = Vec<u32>;
    type Action = Vec<Access>;

    fn init(&self) -> Self::State {
        vec![0; self.registers]
    }

    fn step(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State> {
        let mut after = state.clone();
        for access in action {
            match *access {
                Access::Read(register, value) if after[register as usize] != value => return None,
                Access::Read(..) => {}
                Access::Write(register, value) => after[register as usize] = value,
            }
        }
        Some(after)
    }

    fn fits(&self, state: &Self::State, action: &Self::Action) -> bool {
        if !self.is_pure(action) {
            return self.step(state, action).is_some();
        }
        action.iter().all(
            |access| matches!(*access, Access::Read(register, value) if state[register as usize] == value),
        )
    }

    fn is_pure(&self, action: &Self::Action) -> bool {
        action.iter().all(|access| matches!(access, Access::Read(..)))
    }

    fn is_blind(&self, action: &Self::Action) -> bool {
        self.registers == 1 && action.iter().all(|access| matches!(access, Access::Write(..)))
    }

    fn show(&self, state: &Self::State, name: &dyn Fn(u32) -> String) -> String {
        super::shown(state.iter().map(|value| name(*value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_sees_what_it_wrote_itself() {
        let model = MultiRegister { registers: 2 };
        let init = model.init();
        let both = vec![Access::Read(0, 0), Access::Write(0, 7), Access::Read(0, 7), Access::Write(1, 8)];
        let after = model.step(&init, &both).unwrap();
        assert_eq!(&after[..], [7, 8]);
        assert_eq!(model.step(&after, &both), None);
        assert!(model.fits(&after, &vec![Access::Read(1, 8), Access::Read(0, 7)]));
        assert!(model.is_pure(&vec![Access::Read(0, 0)]) && !model.is_pure(&both));
    }
}
