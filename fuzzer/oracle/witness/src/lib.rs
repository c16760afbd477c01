//! A second opinion: small histories, judged by [`oracle`] and by the testers of the crate `stateright`.
//!
//! The data types are written here once more, for a mistake that both have must not be the same code.

use oracle::check::{self, Options};
use oracle::history::Phase;
use oracle::raw::{Entry, Process};
use oracle::value::Value;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use stateright::semantics::{
    ConsistencyTester, LinearizabilityTester, SequentialConsistencyTester, SequentialSpec,
};
use std::collections::{BTreeMap, BTreeSet};

/// A data type with what it holds.
#[derive(Clone, Debug)]
pub enum Store {
    /// Nothing at first; the check `cas-register`.
    Register(Option<i64>),
    /// The check `fifo-queue`.
    Queue(Vec<i64>),
    /// The check `stack`.
    Stack(Vec<i64>),
    /// The check `linearizable-set`.
    Set(BTreeSet<i64>),
    /// The check `linearizable-counter`.
    Counter(i64),
    /// Whether it is held; the check `linearizable-mutex`.
    Mutex(bool),
    /// One text that is appended to; the check `map`.
    Text(String),
    /// Two registers, nothing at first; the check `multi-register`.
    Registers([Option<i64>; 2]),
}

/// What is asked of a store.
#[derive(Clone, Debug)]
pub struct Ask {
    f: &'static str,
    value: Value,
}

fn optional(value: Option<i64>) -> Value {
    value.map_or(Value::Nil, Value::Int)
}

impl SequentialSpec for Store {
    type Op = Ask;
    /// `None`: it cannot be done now, and nothing changes.
    type Ret = Option<Value>;

    fn invoke(&mut self, ask: &Ask) -> Option<Value> {
        let number = ask.value.as_int();
        match (self, ask.f) {
            (Self::Register(held), "read") => Some(optional(*held)),
            (Self::Register(held), "write") => {
                *held = number;
                Some(ask.value.clone())
            }
            (Self::Register(held), _) => {
                let [old, new] = ask.value.as_elements()? else { return None };
                (*held == old.as_int()).then(|| *held = new.as_int())?;
                Some(ask.value.clone())
            }
            (Self::Queue(held) | Self::Stack(held), "enqueue" | "push") => {
                held.push(number?);
                Some(ask.value.clone())
            }
            (Self::Queue(held), _) => Some(optional((!held.is_empty()).then(|| held.remove(0)))),
            (Self::Stack(held), _) => Some(optional(held.pop())),
            (Self::Set(held), "add") => {
                held.insert(number?);
                Some(ask.value.clone())
            }
            (Self::Set(held), "remove") => {
                held.remove(&number?);
                Some(ask.value.clone())
            }
            (Self::Set(held), "contains") => {
                let element = ask.value.as_elements()?.first()?.clone();
                let is_in = held.contains(&element.as_int()?);
                Some(Value::List(vec![element, Value::Bool(is_in)]))
            }
            (Self::Set(held), _) => Some(Value::Set(held.iter().copied().map(Value::Int).collect())),
            (Self::Counter(sum), "read") => Some(Value::Int(*sum)),
            (Self::Counter(sum), _) => {
                *sum += number?;
                Some(ask.value.clone())
            }
            (Self::Text(text), "get") => Some(Value::text(text.clone())),
            (Self::Text(text), f) => {
                if f == "put" {
                    text.clear();
                }
                text.push_str(ask.value.as_name()?);
                Some(ask.value.clone())
            }
            (Self::Registers(held), _) => {
                let step = |step: &Value| {
                    let [f, register, value] = step.as_elements()? else { return None };
                    let register_held = held.get_mut(usize::try_from(register.as_int()?).ok()?)?;
                    let value = if f.as_name() == Some("r") {
                        optional(*register_held)
                    } else {
                        *register_held = value.as_int();
                        value.clone()
                    };
                    Some(Value::List(vec![f.clone(), register.clone(), value]))
                };
                ask.value.as_elements()?.iter().map(step).collect::<Option<_>>().map(Value::List)
            }
            (Self::Mutex(held), f) => {
                let acquires = f == "acquire";
                (*held != acquires).then(|| *held = acquires)?;
                Some(Value::Nil)
            }
        }
    }
}

impl Store {
    /// One of each, as they are at first.
    #[must_use]
    pub fn all() -> [Self; 8] {
        let (register, queue, stack) =
            (Self::Register(None), Self::Queue(Vec::new()), Self::Stack(Vec::new()));
        let (text, registers) = (Self::Text(String::new()), Self::Registers([None; 2]));
        let (set, counter, mutex) = (Self::Set(BTreeSet::new()), Self::Counter(0), Self::Mutex(false));
        [register, queue, stack, set, counter, mutex, text, registers]
    }

    /// The name of its check.
    #[must_use]
    pub const fn check(&self) -> &'static str {
        match self {
            Self::Register(_) => "cas-register",
            Self::Queue(_) => "fifo-queue",
            Self::Stack(_) => "stack",
            Self::Set(_) => "linearizable-set",
            Self::Counter(_) => "linearizable-counter",
            Self::Mutex(_) => "linearizable-mutex",
            Self::Text(_) => "map",
            Self::Registers(_) => "multi-register",
        }
    }

    fn ask(&self, rng: &mut ChaCha8Rng) -> Ask {
        let some = Value::Int(rng.random_range(1..4));
        let other = Value::Int(rng.random_range(1..4));
        let (f, value) = match (self, rng.random_range(0..4)) {
            (Self::Register(_), 0) => ("write", some),
            (Self::Register(_), 1) => ("cas", Value::List(vec![some, other])),
            (Self::Register(_) | Self::Counter(_), 2..) => ("read", Value::Nil),
            (Self::Register(_), _) => ("write", other),
            (Self::Counter(_), _) => ("add", some),
            (Self::Queue(_), 0..2) => ("enqueue", some),
            (Self::Queue(_), _) => ("dequeue", Value::Nil),
            (Self::Stack(_), 0..2) => ("push", some),
            (Self::Stack(_), _) => ("pop", Value::Nil),
            (Self::Set(_), 0) => ("add", some),
            (Self::Set(_), 1) => ("remove", some),
            (Self::Set(_), 2) => ("contains", Value::List(vec![some, Value::Nil])),
            (Self::Set(_), _) => ("read", Value::Nil),
            (Self::Text(_), 0..2) => ("get", Value::Nil),
            (Self::Text(_), 2) => ("append", Value::text(["a", "b"][rng.random_range(0..2)])),
            (Self::Text(_), _) => ("put", Value::text(["", "a", "b"][rng.random_range(0..3)])),
            (Self::Registers(_), _) => {
                let mut step = || {
                    let (f, value) = if rng.random() {
                        ("r", Value::Nil)
                    } else {
                        ("w", Value::Int(rng.random_range(1..4)))
                    };
                    Value::List(vec![Value::text(f), Value::Int(rng.random_range(0..2)), value])
                };
                let mut steps = vec![step()];
                if some != other {
                    steps.push(step());
                }
                ("txn", Value::List(steps))
            }
            (Self::Mutex(_), 0..2) => ("acquire", Value::Nil),
            (Self::Mutex(_), _) => ("release", Value::Nil),
        };
        Ask { f, value }
    }

    /// An answer that may be wrong.
    fn guess(&self, ask: &Ask, rng: &mut ChaCha8Rng) -> Value {
        let some = rng.random_range(0..5);
        match (ask.f, &ask.value) {
            ("contains", value) => match value.as_elements() {
                Some([element, _]) => Value::List(vec![element.clone(), Value::Bool(rng.random())]),
                _ => Value::Nil,
            },
            ("read", _) if matches!(self, Self::Set(_)) => {
                Value::Set((1..4).filter(|_| rng.random()).map(Value::Int).collect())
            }
            ("read", _) if matches!(self, Self::Counter(_)) => Value::Int(some),
            ("get", _) => Value::text(["", "a", "b", "ab", "ba"][rng.random_range(0..5)]),
            ("txn", value) => {
                let mut guessed = |step: &Value| match step.as_elements() {
                    Some([f, register, _]) if f.as_name() == Some("r") => {
                        let seen = rng.random_range(0..4);
                        Value::List(vec![f.clone(), register.clone(), optional((seen > 0).then_some(seen))])
                    }
                    _ => step.clone(),
                };
                Value::List(value.as_elements().unwrap_or_default().iter().map(&mut guessed).collect())
            }
            ("read" | "dequeue" | "pop", _) => optional((some > 0).then_some(some)),
            _ => ask.value.clone(),
        }
    }
}

/// What happened: which thread asked, or was answered.
#[derive(Clone, Debug)]
pub enum Event {
    /// It asked.
    Asked(u64, Ask),
    /// It was answered.
    Answered(u64, Value),
}

/// A history of three threads and up to eight operations, some of which never end, and what is known to be true of it:
/// nothing.
#[must_use]
pub fn history(store: &Store, rng: &mut ChaCha8Rng) -> Vec<Event> {
    let (mut store, mut open) = (store.clone(), BTreeMap::<u64, (Ask, Option<Value>)>::new());
    let (count, wrong) = (rng.random_range(1..9), [0.0, 0.15, 0.5][rng.random_range(0..3)]);
    let (mut asked, mut events) = (0, Vec::new());
    for _ in 0..6 * count {
        let thread = rng.random_range(0..3);
        match open.remove(&thread) {
            None if asked < count => {
                asked += 1;
                let ask = store.ask(rng);
                let done = if rng.random_bool(0.5) { store.invoke(&ask) } else { None };
                events.push(Event::Asked(thread, ask.clone()));
                open.insert(thread, (ask, done));
            }
            None => {}
            // one of ten never ends
            Some(unended) if rng.random_bool(0.1) => {
                open.insert(thread, unended);
            }
            Some((ask, done)) => {
                let answer = done.or_else(|| store.invoke(&ask)).filter(|_| !rng.random_bool(wrong));
                events.push(Event::Answered(thread, answer.unwrap_or_else(|| store.guess(&ask, rng))));
            }
        }
    }
    events
}

/// Whether `stateright` finds an order, one in real time and one in the order of threads only.
#[must_use]
pub fn other(store: &Store, events: &[Event]) -> [bool; 2] {
    fn fed<T: ConsistencyTester<u64, Store>>(mut tester: T, events: &[Event]) -> bool {
        for event in events {
            let fed = match event {
                Event::Asked(thread, ask) => tester.on_invoke(*thread, ask.clone()),
                Event::Answered(thread, value) => tester.on_return(*thread, Some(value.clone())),
            };
            fed.map(drop).expect("threads ask and are answered in turns");
        }
        tester.is_consistent()
    }
    [
        fed(LinearizabilityTester::new(store.clone()), events),
        fed(SequentialConsistencyTester::new(store.clone()), events),
    ]
}

/// Whether our check is content, in real time and in the order of threads only.
#[must_use]
pub fn ours(store: &Store, events: &[Event]) -> [bool; 2] {
    let mut asked = BTreeMap::new();
    let entry = |(index, event): (u64, &Event)| {
        let (thread, phase, f, value) = match event {
            Event::Asked(thread, ask) => {
                asked.insert(*thread, ask.f);
                (*thread, Phase::Invoke, ask.f, ask.value.clone())
            }
            Event::Answered(thread, value) => (*thread, Phase::Ok, asked[thread], value.clone()),
        };
        Entry {
            index,
            at_ns: None,
            process: Process::Client(thread),
            phase,
            f: f.to_owned(),
            key: None,
            value,
            error: None,
            extra: Vec::new(),
            place: None,
        }
    };
    let entries: Vec<Entry> = (0..).zip(events).map(entry).collect();
    let check = check::named(store.check()).expect("it has this name");
    ["linearizable", "sequential"].map(|consistency| {
        let mut options = Options::default();
        options.settings.insert("consistency".to_owned(), consistency.to_owned());
        let judgement =
            check.judge(&mut entries.iter().cloned().map(Ok), &options).expect("it is well-formed");
        // Where nothing was answered nothing is wrong, and ours says that it cannot tell.
        let answered = events.iter().any(|event| matches!(event, Event::Answered(..)));
        assert_eq!(judgement.unknown.is_empty(), answered, "{:?}", judgement.unknown);
        judgement.violations.is_empty()
    })
}
