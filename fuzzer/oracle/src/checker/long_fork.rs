//! Long fork: two readers that see two writes in opposite orders.
//!
//! | kind | what was seen |
//! |---|---|
//! | `long-fork` | of two reads of the same keys, each holds a value that the other has not yet |
//! | `unexpected-value` | a read holds a value that nobody wrote, or that was refused for certain |
//!
//! Operations, whatever they are called: transactions that are a single write `[[w k v]]`, or nothing but reads
//! `[[r k v] ...]`. Each key is written once at most and nil before; a key that is written twice leaves everything
//! undecided. Reads of the same set of keys must be ordered by what they hold, since every write is seen by all later
//! reads; where two are not, snapshot isolation is broken (parallel snapshot isolation allows it). Reads of different
//! sets of keys are not compared: the checks of transactions do that.
//!
//! n log n in the size of the reads: sorted by how much they hold, each must be part of the next. Source: Jepsen's
//! `tests/long_fork`; Sovran et al., "Transactional storage for geo-replicated systems", SOSP 2011.

use super::shape::{at_ns, evidence, is_ok, wrong_value};
use crate::check::{Check, Holds};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::{Edge, Graph, Judgement};
use std::collections::BTreeMap;

/// The check `long-fork`.
pub const CHECK: Check = Check {
    name: "long-fork",
    about: "transactions that read the same keys see single writes in the same order",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:w x 1]]",
            "0 :ok :txn [[:w x 1]]",
            "1 :invoke :txn [[:w y 1]]",
            "1 :ok :txn [[:w y 1]]",
            "2 :invoke :txn [[:r x nil] [:r y nil]]",
            "2 :ok :txn [[:r x 1] [:r y nil]]",
            "3 :invoke :txn [[:r x nil] [:r y nil]]",
            "3 :ok :txn [[:r x nil] [:r y 1]]",
        ],
        finds: "long-fork/long-fork",
    },
    options: &[],
    holds: Holds::History,
    run: |source, _| judge(&ops(source)?),
};

/// A read: what it holds, in the order of its keys; and the operation.
type Read<'a> = (Vec<Option<&'a Value>>, &'a Op);

/// Judges reads of single writes.
///
/// # Errors
/// An operation is no such transaction.
pub fn judge(ops: &[Op]) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    let mut writers: BTreeMap<(Option<&Value>, &Value), &Op> = BTreeMap::new();
    let mut groups: BTreeMap<(Option<&Value>, Vec<&Value>), Vec<Read<'_>>> = BTreeMap::new();
    let mut twice: Option<&Value> = None;
    let mut reads = 0;
    for op in ops {
        let base = op.key.as_ref();
        match transaction(op)? {
            Transaction::Write(key, _) => {
                if writers.insert((base, key), op).is_some() {
                    twice.get_or_insert(key);
                }
            }
            Transaction::Read(mut pairs) if is_ok(op) => {
                pairs.sort_unstable();
                reads += 1;
                let (keys, held) = pairs.into_iter().unzip();
                groups.entry((base, keys)).or_default().push((held, op));
            }
            Transaction::Read(_) => {}
        }
    }
    if let Some(key) = twice {
        judgement.unknown(format!("{key} is written more than once, so that reads cannot be ordered"));
        return Ok(judgement);
    }
    for ((base, keys), mut reads) in groups {
        reads.retain(|read| !is_unexpected(&writers, base, &keys, read, &mut judgement));
        let size = |(held, _): &Read<'_>| held.iter().flatten().count();
        reads.sort_by_key(|read| (size(read), read.1.complete));
        for pair in reads.windows(2) {
            let [less, more] = pair else { continue };
            let ahead = |one: &Read<'_>, other: &Read<'_>| {
                (0..keys.len()).find(|at| one.0[*at].is_some() && other.0[*at].is_none())
            };
            if let (Some(x), Some(y)) = (ahead(less, more), ahead(more, less)) {
                let writer = |at: usize| writers.get(&(base, keys[at])).copied();
                report(&mut judgement, [less.1, more.1], [keys[x], keys[y]], [writer(x), writer(y)]);
            }
        }
    }
    judgement.note(format!("{reads} reads were judged"));
    Ok(judgement)
}

enum Transaction<'a> {
    Write(&'a Value, &'a Value),
    Read(Vec<(&'a Value, Option<&'a Value>)>),
}

/// What a transaction does.
fn transaction(op: &Op) -> Result<Transaction<'_>, Error> {
    let value = op.value();
    let refuse = || wrong_value(op, value, "a single write [[w k v]] or reads alone [[r k v] ...]");
    let parts = value.as_elements().ok_or_else(refuse)?;
    let mut pairs = Vec::with_capacity(parts.len());
    for part in parts {
        let [f, key, held] = part.as_elements().ok_or_else(refuse)? else { return Err(refuse()) };
        match f.as_name() {
            Some("r" | "read") => pairs.push((key, Some(held).filter(|held| **held != Value::Nil))),
            Some("w" | "write") if parts.len() == 1 => return Ok(Transaction::Write(key, held)),
            _ => return Err(refuse()),
        }
    }
    Ok(Transaction::Read(pairs))
}

/// Whether a read holds what nobody wrote; if so, it is reported.
fn is_unexpected(
    writers: &BTreeMap<(Option<&Value>, &Value), &Op>,
    base: Option<&Value>,
    keys: &[&Value],
    (held, op): &Read<'_>,
    judgement: &mut Judgement,
) -> bool {
    let foreign = keys.iter().zip(held).find_map(|(key, held)| {
        let held = (*held)?;
        let writer = writers.get(&(base, *key)).copied();
        let wrote = |writer: &&Op| match transaction(writer) {
            Ok(Transaction::Write(_, value)) => writer.outcome != Outcome::Fail && value == held,
            _ => false,
        };
        writer.filter(wrote).is_none().then_some((*key, held, writer))
    });
    let Some((key, held, writer)) = foreign else { return false };
    let summary = format!("{key} is read as {held}, which nobody wrote");
    let ops: Vec<&Op> = writer.into_iter().chain([*op]).collect();
    judgement.violation("unexpected-value", at_ns(op), summary, evidence(&ops, []));
    true
}

fn report(judgement: &mut Judgement, reads: [&Op; 2], keys: [&Value; 2], writers: [Option<&Op>; 2]) {
    let [one, other] = reads;
    let [x, y] = keys;
    let summary = format!("one read has the write of {x} and not that of {y}, another the other way round");
    let ops: Vec<&Op> = writers.into_iter().flatten().chain(reads).collect();
    let mut shows = evidence(&ops, []);
    if let [Some(first), Some(second)] = writers {
        let nodes = [first, one, second, other].map(ToString::to_string).to_vec();
        let edge = |from, to, kind: &str, why: String| Edge { from, to, kind: kind.into(), why };
        let edges = vec![
            edge(0, 1, "wr", format!("{x} is read as it was written")),
            edge(1, 2, "rw", format!("{y} is read as it was before the write")),
            edge(2, 3, "wr", format!("{y} is read as it was written")),
            edge(3, 0, "rw", format!("{x} is read as it was before the write")),
        ];
        shows.graph = Some(Graph { nodes, edges });
    }
    judgement.violation("long-fork", at_ns(one).max(at_ns(other)), summary, shows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{
        Ask, PLAN, Rng, ask, completions, error, kinds, rng, script, simulate, spoiled,
    };
    use crate::history::Phase;
    use crate::raw::Entry;
    use rand::RngExt;
    use std::cell::Cell;

    fn part(f: &str, key: i64, held: Value) -> Value {
        Value::List(vec![Value::Keyword(f.into()), Value::Int(key), held])
    }

    #[derive(Default)]
    struct Store {
        keys: BTreeMap<i64, Value>,
        last: Cell<i64>,
    }

    /// Groups of three keys.
    fn history(seed: u64) -> Vec<Entry> {
        let next = |store: &Store, _, rng: &mut Rng| {
            let last = store.last.get();
            if rng.random() {
                store.last.set(last + 1);
                return ask("write", Value::List(vec![part("w", last, Value::Int(1))]));
            }
            let group = rng.random_range((last / 3).saturating_sub(1)..=last / 3);
            ask("read", Value::List((0..3).map(|key| part("r", group * 3 + key, Value::Nil)).collect()))
        };
        let apply = |store: &mut Store, ask: &Ask| {
            let parts = ask.value.as_elements().unwrap();
            let key = |part: &Value| part.as_elements().unwrap()[1].as_int().unwrap();
            if ask.f == "write" {
                store.keys.insert(key(&parts[0]), Value::Int(1));
                return Some(ask.value.clone());
            }
            let held = |key| store.keys.get(&key).cloned().unwrap_or_default();
            let read = |asked| part("r", key(asked), held(key(asked)));
            Some(Value::List(parts.iter().map(read).collect()))
        };
        simulate(PLAN, &mut rng(seed), &mut Store::default(), next, apply, Vec::new())
    }

    /// Whether any two reads of the same keys hold what the other has not, pair by pair.
    fn is_forked(entries: &[Entry]) -> bool {
        let reads: Vec<Vec<(Value, bool)>> = completions(entries, "read", Phase::Ok)
            .iter()
            .map(|at| {
                let parts = entries[*at].value.as_elements().unwrap().iter();
                parts
                    .map(|part| part.as_elements().unwrap())
                    .map(|part| (part[1].clone(), part[2] != Value::Nil))
                    .collect()
            })
            .collect();
        reads.iter().any(|a| {
            reads.iter().any(|b| {
                let both = || a.iter().zip(b);
                both().all(|(a, b)| a.0 == b.0)
                    && both().any(|(a, b)| a.1 && !b.1)
                    && both().any(|(a, b)| b.1 && !a.1)
            })
        })
    }

    #[test]
    fn spoiled_reads_are_forked_exactly_if_a_pair_is() {
        let spoil = |read: &mut Value, rng: &mut Rng| {
            let Value::List(parts) = read else { panic!() };
            let Value::List(part) = &mut parts[rng.random_range(0..3)] else { panic!() };
            part[2] = Value::Nil;
        };
        let found = spoiled(&CHECK, history, 4, spoil, is_forked, "long-fork");
        assert!((20..280).contains(&found), "{found}");
    }

    #[test]
    fn each_kind_has_its_history() {
        let write = |key| Value::List(vec![part("w", key, Value::Int(1))]);
        let read = |x: Value, y: Value| Value::List(vec![part("r", 0, x), part("r", 1, y)]);
        let of = |values: &[Value]| {
            let steps = values
                .iter()
                .flat_map(|value| [(0, '+', "txn", value.clone()), (0, '=', "txn", value.clone())]);
            kinds(&CHECK, &script(&steps.collect::<Vec<_>>()), &[])
        };
        let (one, nil) = (|| Value::Int(1), || Value::Nil);
        assert_eq!(of(&[write(0), write(1), read(one(), nil()), read(nil(), one())]), ["long-fork"]);
        assert_eq!(of(&[write(0), write(1), read(one(), nil()), read(one(), one())]), [""; 0]);
        assert_eq!(of(&[write(0), read(one(), one())]), ["unexpected-value"]);
        assert_eq!(of(&[write(0), write(0), read(one(), nil())]), ["unknown"]);
    }

    #[test]
    fn other_shapes_are_refused_with_their_place() {
        let mixed = Value::List(vec![part("r", 0, Value::Nil), part("w", 1, Value::Int(1))]);
        let expected = "line 1, column 1: operation 0 (txn): its value is a list ([[:r 0 nil] [:w 1 1]]), expected a \
                        single write [[w k v]] or reads alone [[r k v] ...]";
        assert_eq!(error(&CHECK, &script(&[(0, '+', "txn", mixed)]), &[]), expected);
    }
}
