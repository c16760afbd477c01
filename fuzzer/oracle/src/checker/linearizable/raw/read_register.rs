//! Registers: `read`, `write`, `delete`, and `cas` of `[old new]`.

use super::part::{Reading, not_understood};
use super::settings::Settings;
use crate::model::intern::Interner;
use crate::model::register::{Action, Register, Value as Number};
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;

pub(super) struct Registers<'a> {
    settings: &'a Settings,
    swaps: bool,
    names: Interner<&'a Value>,
}

impl<'a> Registers<'a> {
    pub fn new(settings: &'a Settings, swaps: bool) -> Self {
        let mut names = Interner::default();
        names.number(&settings.initial);
        Self { settings, swaps, names }
    }

    fn number(&mut self, value: &'a Value) -> Number {
        Number::numbered(self.names.number(value))
    }

    fn swap(&mut self, op: &'a Op) -> Result<Option<Action>, Error> {
        let Some([old, new]) = op.asked.as_elements() else {
            return Err(op.error(format!("its value is {}, expected [old new]", op.asked.kind())));
        };
        let says_no = |(name, value): &(String, Value)| name == "result" && *value == Value::Bool(false);
        let refused = match op.outcome {
            Outcome::Ok => op.extra.iter().any(says_no),
            Outcome::Fail if self.settings.refusals => true,
            Outcome::Fail => return Ok(None),
            Outcome::Info => false,
        };
        let old = self.number(old);
        Ok(Some(if refused { Action::Refuse(old) } else { Action::Swap(old, self.number(new)) }))
    }
}

impl<'a> Reading<'a> for Registers<'a> {
    type Model = Register;
    const FAILED: bool = true;

    fn action(&mut self, op: &'a Op) -> Result<Option<Action>, Error> {
        let happened = op.outcome != Outcome::Fail;
        Ok(match op.f.as_str() {
            "read" if op.outcome == Outcome::Ok => {
                let value = op.value();
                let says_nothing = *value == Value::Nil && self.settings.nil_is_unknown;
                if says_nothing { None } else { Some(Action::Read(self.number(value))) }
            }
            "read" => None,
            "write" => happened.then(|| Action::Write(self.number(&op.asked))),
            "delete" => happened.then(|| Action::Write(self.number(&Value::Nil))),
            "cas" if self.swaps => self.swap(op)?,
            "cas" => return Err(not_understood(op, "read, write or delete (cas-register has cas)")),
            _ if self.swaps => return Err(not_understood(op, "read, write, delete or cas")),
            _ => return Err(not_understood(op, "read, write or delete")),
        })
    }

    fn finish(self) -> (Register, Interner<&'a Value>) {
        (Register, self.names)
    }
}
