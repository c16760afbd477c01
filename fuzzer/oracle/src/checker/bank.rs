//! Bank: money moves between accounts and never comes or goes.
//!
//! | kind | what was seen |
//! |---|---|
//! | `wrong-total` | the balances of a read do not sum up to the total |
//! | `negative-balance` | an account is below zero, where that is not allowed |
//! | `missing-balance` | a read shows an account without a balance (`nil`) |
//! | `unexpected-account` | a read shows an account that the bank does not have |
//!
//! Operations: `read`, whose `ok` value is a map from accounts to balances, all read at one instant; `transfer`, of
//! `{from, to, amount}`. Each key is a bank of its own. Reads are judged one by one, transfers whose end is unknown
//! cannot mislead, since none changes the sum. Of a read that breaks several rules the first of these is reported:
//! unexpected account, missing balance, wrong total, negative balance. Linear in the size of the reads, of which it holds
//! those that are open, and those of accounts that are not known yet. Sound for every isolation level that has atomic
//! reads, such as snapshot isolation. Source: Jepsen's `tests/bank`.

use super::shape::{at_ns, evidence, int, is_ok, not_understood, of_key, wrong_value};
use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::raw::{Error, Op, Pairing, Step};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The check `bank`.
pub const CHECK: Check = Check {
    name: "bank",
    about: "transfers keep the sum of all balances, which every read shows",
    example: Example {
        settings: &[("total", "100")],
        history: &[
            "0 :invoke :transfer {:from 0, :to 1, :amount 30}",
            "0 :ok :transfer {:from 0, :to 1, :amount 30}",
            "1 :invoke :read nil",
            "1 :ok :read {0 60, 1 30}",
        ],
        finds: "bank/wrong-total",
    },
    options: &[
        Setting {
            name: "total",
            about: "the sum of all balances; without it, what the first read sums up to",
        },
        Setting { name: "negative", about: "yes allows balances below zero; no without it" },
        Setting {
            name: "accounts",
            about: "the accounts, separated by commas; without it, those of the first read and of transfers",
        },
    ],
    holds: Holds::Open,
    run: judge,
};

/// Judges reads of all balances.
///
/// # Errors
/// What cannot be read, an operation of another kind or with a value of another shape, or a setting that is none.
pub fn judge(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let rules = Rules {
        negative: options.is_set("negative", false)?,
        total: options.number("total")?,
        named: options.text("accounts").map(|all| all.split(',').map(|one| one.trim().to_owned()).collect()),
    };
    let mut banks: BTreeMap<Option<Value>, Bank> = BTreeMap::new();
    let mut pairing = Pairing::default();
    for entry in source {
        match pairing.step(entry?)? {
            Step::Other(_) => {}
            Step::Begun(op) => of(&mut banks, op).begin(op)?,
            Step::Ended(op) => of(&mut banks, &op).end(op, &rules)?,
        }
    }
    for op in pairing.finish() {
        of(&mut banks, &op).end(op, &rules)?;
    }
    let mut judgement = Judgement::new(CHECK.name);
    for (key, bank) in banks {
        bank.finish(key.as_ref(), &rules, &mut judgement)?;
    }
    Ok(judgement)
}

fn of<'a>(banks: &'a mut BTreeMap<Option<Value>, Bank>, op: &Op) -> &'a mut Bank {
    if !banks.contains_key(&op.key) {
        banks.insert(op.key.clone(), Bank::default());
    }
    banks.get_mut(&op.key).expect("it was put there")
}

/// What holds of all banks.
struct Rules {
    total: Option<i128>,
    named: Option<BTreeSet<String>>,
    negative: bool,
}

/// One bank.
#[derive(Default)]
struct Bank {
    /// Those of transfers, and of the first read once that is known.
    accounts: BTreeSet<Value>,
    /// The read that was asked for first, once no earlier one can be answered any more, and its sum.
    first: Option<(Op, Option<i128>)>,
    /// Reads that are open, by invocation.
    open: BTreeSet<u64>,
    /// Reads that wait for the first one.
    early: Vec<Op>,
    /// Reads of accounts that nobody has named yet.
    doubtful: Vec<Op>,
    reads: u64,
    /// For each kind, how many reads are such, and the one that was asked for first.
    bad: BTreeMap<&'static str, (u64, Op, String)>,
}

impl Bank {
    fn begin(&mut self, op: &Op) -> Result<(), Error> {
        match op.f.as_str() {
            "transfer" => {
                for account in ends(op)? {
                    self.open_account(account);
                }
            }
            "read" => {
                self.open.insert(op.invoke);
            }
            _ => return Err(not_understood(op, "read or transfer")),
        }
        Ok(())
    }

    fn open_account(&mut self, account: &Value) {
        if !self.accounts.contains(account) {
            self.accounts.insert(account.clone());
        }
    }

    fn end(&mut self, op: Op, rules: &Rules) -> Result<(), Error> {
        if !self.open.remove(&op.invoke) {
            return Ok(());
        }
        if is_ok(&op) {
            balances(&op)?;
            self.reads += 1;
            if self.first.is_some() {
                return self.judge(op, rules, false);
            }
            self.early.push(op);
        }
        let Some(at) = (0..self.early.len()).min_by_key(|at| self.early[*at].invoke) else { return Ok(()) };
        if self.first.is_some() || self.open.first().is_some_and(|open| *open < self.early[at].invoke) {
            return Ok(());
        }
        let first = self.early[at].clone();
        let shown = balances(&first)?;
        shown.iter().for_each(|(account, _)| self.open_account(account));
        let sum = sum(&shown);
        self.first = Some((first, sum));
        std::mem::take(&mut self.early).into_iter().try_for_each(|op| self.judge(op, rules, false))
    }

    /// Judges a read; one with an unknown account waits until it is certain that nobody names it.
    fn judge(&mut self, op: Op, rules: &Rules, is_certain: bool) -> Result<(), Error> {
        let shown = balances(&op)?;
        let has = |account: &Value| match &rules.named {
            None => self.accounts.contains(account),
            Some(named) => named.contains(&name(account)),
        };
        let total = rules.total.or(self.first.as_ref().and_then(|(_, sum)| *sum));
        let fault = fault(&shown, has, total, rules.negative);
        match fault {
            None => {}
            Some(("unexpected-account", _)) if !is_certain && rules.named.is_none() => self.doubtful.push(op),
            Some((kind, what)) => match self.bad.entry(kind) {
                Entry::Vacant(free) => {
                    free.insert((1, op, what));
                }
                Entry::Occupied(mut found) => {
                    let (count, first, summary) = found.get_mut();
                    *count += 1;
                    if op.invoke < first.invoke {
                        (*first, *summary) = (op, what);
                    }
                }
            },
        }
        Ok(())
    }

    fn finish(mut self, key: Option<&Value>, rules: &Rules, judgement: &mut Judgement) -> Result<(), Error> {
        std::mem::take(&mut self.doubtful).into_iter().try_for_each(|op| self.judge(op, rules, true))?;
        let Some((first, _)) = &self.first else {
            judgement.unknown(format!("the bank{} was never read", of_key(key)));
            return Ok(());
        };
        for (kind, (count, op, what)) in self.bad {
            let all = format!("{count} of {} reads{} are such", self.reads, of_key(key));
            let shows = [&op, first];
            let ops = if rules.total.is_none() && kind == "wrong-total" { &shows[..] } else { &shows[..1] };
            judgement.violation(kind, at_ns(&op), what, evidence(ops, [all]));
        }
        judgement.note(format!("{} reads{} were judged", self.reads, of_key(key)));
        Ok(())
    }
}

/// What is wrong with a read.
fn fault(
    shown: &[(&Value, Option<i64>)],
    has: impl Fn(&Value) -> bool,
    total: Option<i128>,
    negative: bool,
) -> Option<(&'static str, String)> {
    if let Some((account, _)) = shown.iter().find(|(account, _)| !has(account)) {
        return Some(("unexpected-account", format!("there is an account {account}, which nobody opened")));
    }
    let Some(sum) = sum(shown) else {
        let (account, _) = shown.iter().find(|(_, balance)| balance.is_none())?;
        return Some(("missing-balance", format!("account {account} has no balance")));
    };
    if let Some(total) = total.filter(|total| *total != sum) {
        return Some(("wrong-total", format!("the balances sum up to {sum}, expected {total}")));
    }
    let below = |(account, balance): &(&Value, Option<i64>)| {
        balance.filter(|balance| *balance < 0).map(|balance| format!("account {account} is at {balance}"))
    };
    let below = shown.iter().find_map(below).filter(|_| !negative);
    below.map(|what| ("negative-balance", what))
}

/// The sum of the balances, if each account has one.
fn sum(shown: &[(&Value, Option<i64>)]) -> Option<i128> {
    shown.iter().map(|(_, balance)| balance.map(i128::from)).sum()
}

/// What a read shows of each account.
fn balances(op: &Op) -> Result<Vec<(&Value, Option<i64>)>, Error> {
    let value = op.value();
    let Value::Map(pairs) = value else {
        return Err(wrong_value(op, value, "a map from accounts to balances"));
    };
    let balance = |(account, balance)| match balance {
        &Value::Nil => Ok((account, None)),
        balance => Ok((account, Some(int(op, balance)?))),
    };
    pairs.iter().map(|(account, value)| (account, value)).map(balance).collect()
}

/// The accounts between which a transfer moves money.
fn ends(op: &Op) -> Result<[&Value; 2], Error> {
    match (op.asked.get("from"), op.asked.get("to")) {
        (Some(from), Some(to)) => Ok([from, to]),
        _ => Err(wrong_value(op, &op.asked, "a map with `from`, `to` and `amount`")),
    }
}

fn name(account: &Value) -> String {
    account.as_name().map_or_else(|| account.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{
        Ask, PLAN, Rng, ask, completions, error, kinds, map, rng, script, simulate,
    };
    use crate::history::Phase;
    use crate::raw::Entry;
    use rand::RngExt;

    const TOTAL: &[(&str, &str)] = &[("total", "100")];

    fn next(_: &[i64; 4], _: usize, rng: &mut Rng) -> Ask {
        if rng.random() {
            return ask("read", Value::Nil);
        }
        let (from, to) = (rng.random_range(0..4), rng.random_range(0..4));
        ask("transfer", map(&[("from", from), ("to", to), ("amount", rng.random_range(1..20))]))
    }

    fn apply(bank: &mut [i64; 4], ask: &Ask) -> Option<Value> {
        if ask.f == "read" {
            let pairs = bank.iter().enumerate();
            return Some(Value::Map(
                pairs.map(|(account, balance)| (Value::Int(account as i64), Value::Int(*balance))).collect(),
            ));
        }
        let number = |name| ask.value.get(name).and_then(Value::as_int).unwrap();
        let (from, to, amount) = (number("from") as usize, number("to") as usize, number("amount"));
        (bank[from] >= amount).then(|| {
            bank[from] -= amount;
            bank[to] += amount;
            ask.value.clone()
        })
    }

    fn history(seed: u64) -> Vec<Entry> {
        simulate(PLAN, &mut rng(seed), &mut [100, 0, 0, 0], next, apply, vec![ask("read", Value::Nil)])
    }

    #[test]
    fn a_bank_is_right_and_every_change_of_a_read_is_found() {
        for seed in 0..60 {
            let mut entries = history(seed);
            assert_eq!(kinds(&CHECK, &entries, TOTAL), [""; 0]);
            assert_eq!(kinds(&CHECK, &entries, &[]), [""; 0]);
            let mut rng = rng(seed);
            let reads = completions(&entries, "read", Phase::Ok);
            let Value::Map(pairs) = &mut entries[reads[rng.random_range(0..reads.len())]].value else {
                panic!()
            };
            let expected = match seed % 4 {
                0 => {
                    pairs[1].1 = Value::Int(pairs[1].1.as_int().unwrap() + 1);
                    "wrong-total"
                }
                1 => {
                    pairs[0].1 = Value::Int(pairs[0].1.as_int().unwrap() + pairs[2].1.as_int().unwrap() + 3);
                    pairs[2].1 = Value::Int(-3);
                    "negative-balance"
                }
                2 => {
                    pairs[3].1 = Value::Nil;
                    "missing-balance"
                }
                _ => {
                    pairs.push((Value::Int(9), Value::Int(0)));
                    "unexpected-account"
                }
            };
            let settings = [("total", "100"), ("accounts", "0, 1,2,3")];
            assert_eq!(kinds(&CHECK, &entries, &settings), [expected]);
        }
    }

    #[test]
    fn negative_balances_may_be_allowed_and_the_first_read_may_be_the_measure() {
        let read = |a, b| map(&[("a", a), ("b", b)]);
        let of = |reads: &[Value]| {
            let steps =
                reads.iter().flat_map(|read| [(0, '+', "read", Value::Nil), (0, '=', "read", read.clone())]);
            script(&steps.collect::<Vec<_>>())
        };
        let below = of(&[read(103, -3)]);
        assert_eq!(kinds(&CHECK, &below, TOTAL), ["negative-balance"]);
        assert_eq!(kinds(&CHECK, &below, &[("total", "100"), ("negative", "yes")]), [""; 0]);
        assert_eq!(kinds(&CHECK, &of(&[read(60, 30), read(50, 40)]), &[]), [""; 0]);
        assert_eq!(kinds(&CHECK, &of(&[read(60, 30), read(50, 41)]), &[]), ["wrong-total"]);
        assert_eq!(kinds(&CHECK, &of(&[]), &[]), ["unknown"]);
        assert_eq!(kinds(&CHECK, &script(&[(0, '+', "read", Value::Nil)]), &[]), ["unknown"]);
    }

    #[test]
    fn other_shapes_are_refused_with_their_place() {
        let read = |value| script(&[(0, '+', "read", Value::Nil), (0, '=', "read", value)]);
        let cases = [
            (
                read(Value::Int(1)),
                "operation 0 (read): its value is a number (1), expected a map from accounts to balances",
            ),
            (
                read(Value::Map(vec![(Value::Int(0), Value::text("x"))])),
                "operation 0 (read): its value is a text (\"x\"), expected a whole number",
            ),
            (
                script(&[(0, '+', "transfer", Value::Int(3))]),
                "operation 0 (transfer): its value is a number (3), expected a map with `from`, `to` and `amount`",
            ),
        ];
        for (entries, expected) in cases {
            assert_eq!(error(&CHECK, &entries, &[]), format!("line 1, column 1: {expected}"));
        }
        let settings = [("negative", "maybe")];
        assert_eq!(error(&CHECK, &[], &settings), "setting `negative` is \"maybe\", expected yes or no");
        let unknown = "`bank` has no setting `x`; it has total, negative, accounts";
        assert_eq!(error(&CHECK, &[], &[("x", "1")]), unknown);
    }
}
