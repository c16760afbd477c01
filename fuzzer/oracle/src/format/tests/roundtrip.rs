//! Reader and writer are inverse: what is written reads back the same.

use super::*;
use crate::history::Phase;
use crate::raw::Process;
use crate::value::Value;
use proptest::prelude::*;

const NONE: Options = Options { independent: false };
const INDEPENDENT: Options = Options { independent: true };

/// Writes entries and reads them again, without their places.
fn back(format: Format, entries: &[Entry], options: Options) -> Result<(Vec<Entry>, String), Error> {
    let mut sink = Vec::new();
    write(format, &mut entries.iter().cloned().map(Ok), &mut sink, options)?;
    let text = String::from_utf8(sink).expect("writers write text");
    let entries = read(format, text.as_bytes(), options).map(|entry| Ok(Entry { place: None, ..entry? }));
    Ok((entries.collect::<Result<_, Error>>()?, text))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9-]{0,6}", "[a-z]{1,3}/[a-z]{1,3}", "[é-ö]{1,3}"]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,8}", any::<String>(), "[\"\\\\\n\r\t\u{0}-\u{1f}\u{7f}-\u{9f}{};#]{0,5}"]
}

fn number(token: String) -> Value {
    Value::number(&token).unwrap_or(Value::Number(token))
}

/// A map of these pairs, but for those whose key was there before.
fn map(mut pairs: Vec<(Value, Value)>) -> Value {
    pairs.sort();
    pairs.dedup_by(|(a, _), (b, _)| a == b);
    Value::map(pairs)
}

/// What both EDN and JSON have.
fn plain() -> BoxedStrategy<Value> {
    let atom = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-9i64..9).prop_map(Value::Int),
        text().prop_map(Value::Text),
        "-?[1-9][0-9]{0,3}\\.[0-9]{1,3}([eE][+-]?[0-9]{1,2})?".prop_map(number),
        "-?[1-9][0-9]{19,25}".prop_map(number),
    ];
    let nested = |inner: BoxedStrategy<Value>| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((text().prop_map(Value::Text), inner), 0..4).prop_map(map),
        ]
    };
    atom.prop_recursive(3, 12, 4, move |inner| nested(inner.boxed())).boxed()
}

/// What EDN has.
fn rich() -> BoxedStrategy<Value> {
    let atom = prop_oneof![
        3 => plain(),
        1 => name().prop_map(Value::Keyword),
        1 => name().prop_map(Value::Symbol),
        1 => prop_oneof!["[1-9]/[1-9]", "0\\.[0-9]{1,3}M", "##Inf", "##-Inf", "##NaN"].prop_map(number),
    ];
    let nested = |inner: BoxedStrategy<Value>| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_set(inner.clone(), 0..4)
                .prop_map(|set| Value::set(set.into_iter().collect())),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(map),
            (name(), inner).prop_map(|(tag, value)| Value::Tagged(Box::new((tag, value)))),
        ]
    };
    atom.prop_recursive(3, 12, 4, move |inner| nested(inner.boxed())).boxed()
}

fn entry(value: BoxedStrategy<Value>) -> impl Strategy<Value = Entry> {
    let some = |value: BoxedStrategy<Value>| {
        prop::option::of(value.prop_filter("nil is none", |value| *value != Value::Nil))
    };
    let process = prop_oneof![(0u64..20).prop_map(Process::Client), name().prop_map(Process::Named)];
    let phase = prop_oneof![Just(Phase::Invoke), Just(Phase::Ok), Just(Phase::Fail), Just(Phase::Info)];
    let extra = prop::collection::vec(("[p-z]{1,2}[0-9]", value.clone()), 0..3);
    let head = (prop::option::of(0..i64::MAX as u64), process, phase, text());
    (head, some(value.clone()), value.clone(), some(value), extra).prop_map(
        |((at_ns, process, phase, f), key, value, error, extra)| Entry {
            index: 0,
            at_ns,
            process,
            phase,
            f,
            key,
            value,
            error,
            extra,
            place: None,
        },
    )
}

fn history(value: BoxedStrategy<Value>) -> impl Strategy<Value = Vec<Entry>> {
    (prop::collection::vec((entry(value), 1u64..5), 0..5), 0u64..1000).prop_map(|(entries, first)| {
        let mut index = first;
        let numbered = entries.into_iter().map(|(entry, step)| {
            index += step;
            Entry { index, ..entry }
        });
        numbered.collect()
    })
}

/// A tagged tuple is a key with its value always: such values are no values of entries.
fn is_tuple(entry: &Entry) -> bool {
    let is_tuple = |tag: &str| tag.ends_with("independent/tuple") || tag.ends_with("MapEntry");
    matches!(&entry.value, Value::Tagged(tagged) if is_tuple(&tagged.0))
}

/// Committed and aborted transactions of sessions, one after the other, of numbers.
fn sessions(with_aborts: bool) -> impl Strategy<Value = Vec<Entry>> {
    let access = (any::<bool>(), 0i64..4, prop::option::of(1i64..9)).prop_map(|(is_write, key, value)| {
        let value = match value {
            Some(value) => Value::Int(value),
            None if is_write => Value::Int(9),
            None => Value::Nil,
        };
        session::Access { is_write, key: Value::Int(key), value }
    });
    let aborted = (0i64..4, 10i64..20).prop_map(|(key, value)| {
        (false, vec![session::Access { is_write: true, key: Value::Int(key), value: Value::Int(value) }])
    });
    let committed = prop::collection::vec(access, 1..4).prop_map(|accesses| (true, accesses)).boxed();
    let transaction = if with_aborts { prop_oneof![4 => committed, 1 => aborted].boxed() } else { committed };
    prop::collection::vec((0u64..3, transaction), 0..8).prop_map(|transactions| {
        let of = |(session, (is_committed, accesses))| session::Transaction {
            session,
            is_committed,
            accesses,
            place: None,
            index: 0,
        };
        session::all_entries(transactions.into_iter().map(of).collect()).collect::<Result<_, _>>().unwrap()
    })
}

/// Sessions one after the other and counted from 0: what is left where sessions have no names.
fn by_session(entries: &[Entry]) -> Vec<Entry> {
    let mut pairs: Vec<&[Entry]> = entries.chunks(2).collect();
    pairs.sort_by_key(|pair| pair[0].process.clone());
    let mut names: Vec<&Process> = pairs.iter().map(|pair| &pair[0].process).collect();
    names.dedup();
    let number = |process: &Process| names.iter().position(|name| *name == process).unwrap() as u64;
    let renumbered = pairs.iter().flat_map(|pair| pair.iter()).enumerate().map(|(index, entry)| Entry {
        index: index as u64,
        process: Process::Client(number(&entry.process)),
        ..entry.clone()
    });
    renumbered.collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000, rng_seed: proptest::test_runner::RngSeed::Fixed(7), failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn edn(entries in history(rich())) {
        prop_assume!(!entries.iter().any(is_tuple));
        let (read, text) = back(Format::Edn, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &entries, "{}", text);
        prop_assert_eq!(converted(Format::Edn, &format!("[{text}]"), Format::Edn, NONE).unwrap(), text);
    }

    #[test]
    fn json(entries in history(plain())) {
        let (read, text) = back(Format::Json, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &entries, "{}", text);
        for line in text.lines() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{}", line);
        }
    }

    #[test]
    fn independent_pairs(entries in history(plain()), is_json in any::<bool>()) {
        let format = if is_json { Format::Json } else { Format::Edn };
        let is_unclear = |entry: &Entry| {
            let is_pair = matches!(&entry.value, Value::List(pair) if pair.len() == 2);
            is_pair && entry.key.is_none() && !entry.process.is_nemesis()
        };
        match back(format, &entries, INDEPENDENT) {
            Ok((read, text)) => prop_assert_eq!(&read, &entries, "{}", text),
            Err(error) => {
                prop_assert!(entries.iter().any(is_unclear), "{}", error);
                prop_assert!(error.cause.contains("cannot be told from"), "{}", error);
            }
        }
    }

    #[test]
    fn etcd(entries in history(rich()), f in prop_oneof!["cas", "read"], is_refused in any::<bool>()) {
        let plain = |(index, entry): (usize, Entry)| {
            let is_refused = is_refused && f == "cas" && entry.phase == Phase::Ok;
            let extra = if is_refused { vec![("result".to_owned(), Value::Bool(false))] } else { Vec::new() };
            let (value, error) =
                if is_refused { (Value::List(vec![entry.value]), None) } else { (entry.value, entry.error) };
            Entry { index: index as u64, at_ns: None, f: f.clone(), key: None, extra, value, error, ..entry }
        };
        let entries: Vec<Entry> = entries.into_iter().enumerate().map(plain).collect();
        let (read, text) = back(Format::Etcd, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &entries, "{}", text);
    }

    #[test]
    fn txt(entries in history(rich()), f in prop_oneof!["cas", "read"], has_keys in any::<bool>()) {
        let plain = |(index, entry): (usize, Entry)| {
            let key = entry.key.filter(|_| has_keys && !entry.process.is_nemesis());
            Entry { index: index as u64, at_ns: None, f: f.clone(), key, extra: Vec::new(), ..entry }
        };
        let entries: Vec<Entry> = entries.into_iter().enumerate().map(plain).collect();
        prop_assume!(!entries.iter().any(is_tuple));
        let is_unclear = |entry: &Entry| {
            let is_pair = matches!(&entry.value, Value::List(pair) if pair.len() == 2);
            has_keys && is_pair && entry.key.is_none()
        };
        match back(Format::Txt, &entries, Options { independent: has_keys }) {
            Ok((read, text)) => prop_assert_eq!(&read, &entries, "{}", text),
            Err(error) => prop_assert!(entries.iter().any(is_unclear), "{}", error),
        }
    }

    #[test]
    fn kv(entries in prop::collection::vec((0u64..9, any::<bool>(), 0usize..3, "[a-z ]{0,5}", "[!#-\\[\\]-~é ]{0,9}"), 0..6)) {
        let of = |(index, (process, is_answer, f, key, value)): (usize, (u64, bool, usize, String, String))| {
            let f = ["get", "put", "append"][f];
            let value = if f == "get" && !is_answer { Value::Nil } else { Value::Text(value) };
            Entry {
                index: index as u64, at_ns: None, process: Process::Client(process),
                phase: if is_answer { Phase::Ok } else { Phase::Invoke }, f: f.into(), key: Some(Value::Text(key)),
                value, error: None, extra: Vec::new(), place: None,
            }
        };
        let entries: Vec<Entry> = entries.into_iter().enumerate().map(of).collect();
        let (read, text) = back(Format::Kv, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &entries, "{}", text);
    }

    #[test]
    fn plume(entries in sessions(true)) {
        let (read, text) = back(Format::Plume, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &entries, "{}", text);
    }

    #[test]
    fn awdit(entries in sessions(false)) {
        let (read, text) = back(Format::Awdit, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &by_session(&entries), "{}", text);
    }

    #[test]
    fn dbcop(entries in sessions(true)) {
        let (read, text) = back(Format::Dbcop, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &by_session(&entries), "{}", text);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn hist(entries in sessions(true)) {
        let (read, text) = back(Format::Hist, &entries, NONE).unwrap();
        prop_assert_eq!(&read, &by_session(&entries), "{}", text);
    }

    #[test]
    fn lines(texts in prop::collection::vec(text(), 0..5)) {
        let of = |(index, text): (usize, String)| Entry {
            index: index as u64, at_ns: None, process: Process::Named("log".into()), phase: Phase::Info, f: "log".into(),
            key: None, value: Value::Text(text), error: None, extra: Vec::new(), place: None,
        };
        let entries: Vec<Entry> = texts.into_iter().enumerate().map(of).collect();
        let is = |entry: &Entry, test: &dyn Fn(&str) -> bool| entry.value.as_name().is_some_and(test);
        // a mark of the order of bytes at the beginning of a text is no part of it
        prop_assume!(!entries.first().is_some_and(|entry| is(entry, &|text| text.starts_with('\u{feff}'))));
        match back(Format::Lines, &entries, NONE) {
            Ok((read, text)) => prop_assert_eq!(&read, &entries, "{}", text),
            Err(error) => {
                prop_assert!(entries.iter().any(|entry| is(entry, &|text| text.contains(['\n', '\r']))), "{}", error);
            }
        }
    }

    #[test]
    fn sessions_say_the_same_in_every_format(entries in sessions(false)) {
        let (_, text) = back(Format::Dbcop, &entries, NONE).unwrap();
        let mut from = Format::Dbcop;
        let mut at = text.clone();
        for to in [Format::Plume, Format::Awdit, Format::Edn, Format::Hist, Format::Json, Format::Dbcop] {
            prop_assert_eq!(detect(at.as_bytes()).filter(|_| !entries.is_empty()), (!entries.is_empty()).then_some(from));
            at = converted(from, &at, to, NONE).unwrap();
            from = to;
        }
        prop_assert_eq!(at, text);
    }
}
