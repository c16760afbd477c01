//! Sessions of transactions without real time: what Plume, AWDIT and dbcop's two formats have in common.

use super::scanner::shown;
use crate::history::Phase;
use crate::op::Outcome;
use crate::raw::{Entry, Error, Op, Pairing, Place, Process, clients};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A read or a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) is_write: bool,
    pub(super) key: Value,
    /// What was read (nil: nothing was there), or is written.
    pub(super) value: Value,
}

/// Reads and writes of one session that took effect together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    pub(super) session: u64,
    pub(super) is_committed: bool,
    pub(super) accesses: Vec<Access>,
    pub(super) place: Option<Place>,
    /// The entry that invoked it, when it comes from a history.
    pub(super) index: u64,
}

impl Transaction {
    /// An error that names it.
    pub(super) fn error(&self, cause: impl std::fmt::Display) -> Error {
        Error::at(self.place, format!("entry {}: {cause}", self.index))
    }
}

/// The entries of a file in which 0 is what a key holds at first.
pub(super) fn read<'a>(
    transactions: Result<Vec<Transaction>, Error>,
) -> Box<dyn Iterator<Item = Result<Entry, Error>> + 'a> {
    match transactions {
        Ok(mut transactions) => {
            zero_to_nil(&mut transactions);
            Box::new(all_entries(transactions))
        }
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

/// The invocation and the completion of a transaction; the first has this index.
pub(super) fn entries(transaction: Transaction, index: u64) -> [Entry; 2] {
    let list = |is_answered: bool| {
        let access = |access: &Access| {
            let name = if access.is_write { "w" } else { "r" };
            let value = if access.is_write || is_answered { access.value.clone() } else { Value::Nil };
            Value::List(vec![Value::Keyword(name.into()), access.key.clone(), value])
        };
        Value::List(transaction.accesses.iter().map(access).collect())
    };
    let entry = |index: u64, phase: Phase, value: Value| Entry {
        index,
        at_ns: None,
        process: Process::Client(transaction.session),
        phase,
        f: "txn".into(),
        key: None,
        value,
        error: None,
        extra: Vec::new(),
        place: transaction.place,
    };
    let end = if transaction.is_committed { Phase::Ok } else { Phase::Fail };
    [entry(index, Phase::Invoke, list(false)), entry(index + 1, end, list(true))]
}

/// All entries of transactions in their order.
pub(super) fn all_entries(transactions: Vec<Transaction>) -> impl Iterator<Item = Result<Entry, Error>> {
    transactions
        .into_iter()
        .enumerate()
        .flat_map(|(number, transaction)| entries(transaction, number as u64 * 2).into_iter().map(Ok))
}

const ZERO_IS_NIL: &str = "0 was read, which in this format means that nothing was there";

/// In formats where 0 stands for what was there at first: reads of 0 where nobody writes 0 to the key become nil.
pub(super) fn zero_to_nil(transactions: &mut [Transaction]) {
    let zeroed = zeroed(transactions);
    for access in transactions.iter_mut().flat_map(|transaction| &mut transaction.accesses) {
        if !access.is_write && access.value == Value::Int(0) && !zeroed.contains(&access.key) {
            access.value = Value::Nil;
        }
    }
}

/// The inverse of [`zero_to_nil`].
///
/// # Errors
/// A read that would come to mean something else.
pub(super) fn nil_to_zero(transactions: &mut [Transaction]) -> Result<(), Error> {
    let zeroed = zeroed(transactions);
    for transaction in transactions {
        for position in 0..transaction.accesses.len() {
            let access = &transaction.accesses[position];
            let is_zeroed = zeroed.contains(&access.key);
            let cause = match &access.value {
                _ if access.is_write => continue,
                Value::Nil if is_zeroed => {
                    "nil was read, which this format writes as 0, and 0 is also written"
                }
                Value::Int(0) if !is_zeroed => ZERO_IS_NIL,
                Value::Nil => {
                    transaction.accesses[position].value = Value::Int(0);
                    continue;
                }
                _ => continue,
            };
            return Err(transaction.error(format!("key {}: {cause}", access.key)));
        }
    }
    Ok(())
}

/// For a format with a word for nil in which 0 stands for it, too.
///
/// # Errors
/// A read that would come to mean something else.
pub(super) fn no_zero_for_nil(transactions: &[Transaction]) -> Result<(), Error> {
    let zeroed = zeroed(transactions);
    let is_stray =
        |access: &&Access| !access.is_write && access.value == Value::Int(0) && !zeroed.contains(&access.key);
    for transaction in transactions {
        if let Some(access) = transaction.accesses.iter().find(is_stray) {
            return Err(transaction.error(format!("key {}: {ZERO_IS_NIL}", access.key)));
        }
    }
    Ok(())
}

fn zeroed(transactions: &[Transaction]) -> BTreeSet<Value> {
    let all = transactions.iter().flat_map(|transaction| &transaction.accesses);
    all.filter(|access| access.is_write && access.value == Value::Int(0))
        .map(|access| access.key.clone())
        .collect()
}

/// The transactions of each session, in their order, by the number of the session.
pub(super) fn by_session(transactions: &[Transaction]) -> BTreeMap<u64, Vec<&Transaction>> {
    let mut sessions: BTreeMap<u64, Vec<&Transaction>> = BTreeMap::new();
    for transaction in transactions {
        sessions.entry(transaction.session).or_default().push(transaction);
    }
    sessions
}

/// The transactions of a history in the order of invocation; nemeses are left out.
///
/// Operations `txn` hold reads and writes `[:r key value]`, `[:w key value]`; a `read` or `write` with a key is a
/// transaction of its own.
///
/// # Errors
/// Operations of unknown outcome, and what is no read or write: these formats have no word for them.
pub(super) fn transactions(
    history: &mut dyn Iterator<Item = Result<Entry, Error>>,
) -> Result<Vec<Transaction>, Error> {
    let mut pairing = Pairing::default();
    let mut ops = Vec::new();
    for entry in clients(history) {
        ops.extend(pairing.push(entry?)?);
    }
    ops.extend(pairing.finish());
    ops.sort_by_key(|op| op.invoke);
    ops.iter().map(transaction).collect()
}

fn transaction(op: &Op) -> Result<Transaction, Error> {
    let is_committed = match op.outcome {
        Outcome::Ok => true,
        Outcome::Fail => false,
        Outcome::Info => {
            return Err(op.error(
                "its outcome is unknown, and the format has committed and aborted transactions only",
            ));
        }
    };
    let accesses = match (op.f.as_str(), &op.key) {
        ("txn", None) => match op.value() {
            Value::List(accesses) => accesses.iter().map(access).collect::<Result<_, _>>(),
            other => {
                Err(format!("found {}, expected a list of [:r key value] and [:w key value]", other.kind()))
            }
        },
        ("read" | "write", Some(key)) => {
            Ok(vec![Access { is_write: op.f == "write", key: key.clone(), value: op.value().clone() }])
        }
        ("read" | "write", None) => Err("it has no key; if its value holds it, say --independent".to_owned()),
        _ => Err("the format has transactions of reads and writes only".to_owned()),
    };
    let accesses = accesses.map_err(|cause| op.error(cause))?;
    Ok(Transaction { session: op.process, is_committed, accesses, place: op.place, index: op.invoke })
}

fn access(value: &Value) -> Result<Access, String> {
    let Value::List(parts) = value else {
        return Err(format!("found {}, expected [:r key value] or [:w key value]", value.kind()));
    };
    match parts.as_slice() {
        [name, key, value] if matches!(name.as_name(), Some("r" | "w")) => {
            Ok(Access { is_write: name.as_name() == Some("w"), key: key.clone(), value: value.clone() })
        }
        _ => Err(format!(
            "found {}, expected [:r key value] or [:w key value]; the format has no other accesses",
            shown(&value.to_string())
        )),
    }
}

/// A whole number, as text.
pub(super) fn number(value: &Value) -> Result<String, String> {
    match value {
        Value::Int(number) => Ok(number.to_string()),
        Value::Number(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(token.clone())
        }
        other => Err(format!("the format has whole numbers as keys and values, not {other}")),
    }
}

/// A whole number from text.
pub(super) fn number_of(token: &str) -> Result<Value, String> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("found {}, expected a whole number", shown(token)));
    }
    Ok(token.parse::<i64>().map_or_else(|_| Value::Number(token.to_owned()), Value::Int))
}
