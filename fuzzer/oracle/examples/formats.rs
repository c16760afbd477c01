//! Writes a long history, or reads one: a benchmark of the readers.
//!
//! ```text
//! cargo run --release -p oracle --example formats -- write edn 1000000 >history.edn
//! time cargo run --release -p oracle --example formats -- read edn <history.edn
//! ```

use oracle::Phase;
use oracle::format::{Format, Options, read, write};
use oracle::raw::{Entry, Error, Pairing, Process};
use oracle::value::Value;
use std::io::{BufWriter, Write};

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let usage = || Error::at(None, "usage: formats write FORMAT ENTRIES | formats read FORMAT");
    let format = words.get(1).and_then(|name| Format::named(name)).ok_or_else(usage)?;
    let options = Options::default();
    match (words.first(), words.get(2).and_then(|count| count.parse().ok())) {
        (Some(&"write"), Some(count)) => {
            let mut sink = BufWriter::new(std::io::stdout().lock());
            write(format, &mut history(format, count), &mut sink, options)?;
            sink.flush().map_err(|error| Error::at(None, error.to_string()))
        }
        (Some(&"read"), None) => {
            let (mut entries, mut operations, mut pairing) = (0, 0, Pairing::default());
            for entry in read(format, std::io::stdin().lock(), options) {
                operations += usize::from(pairing.push(entry?)?.is_some());
                entries += 1;
            }
            println!("{entries} entries, {operations} operations completed");
            Ok(())
        }
        _ => Err(usage()),
    }
}

/// Ten clients in turn, of which each writes and reads: a register, or what the format has.
fn history(format: Format, count: u64) -> impl Iterator<Item = Result<Entry, Error>> {
    (0..count).map(move |index| {
        let number = index / 20;
        let is_write = number % 2 == 0;
        let (f, key, value) = match format {
            Format::Kv if is_write => ("put", Some(Value::text("x")), Value::text(format!("v{index}"))),
            Format::Kv => ("get", Some(Value::text("x")), Value::text("v1")),
            Format::Edn | Format::Json | Format::Txt | Format::Etcd if is_write => {
                ("write", None, Value::Int(number as i64))
            }
            Format::Edn | Format::Json | Format::Txt | Format::Etcd => ("read", None, Value::Int(3)),
            Format::Plume | Format::Awdit | Format::Dbcop | Format::Hist => {
                let access = |name: &str, key, value| {
                    Value::List(vec![Value::Keyword(name.into()), Value::Int(key), Value::Int(value)])
                };
                ("txn", None, Value::List(vec![access("r", 1, 3), access("w", 2, number as i64 + 1)]))
            }
            Format::Lines => ("log", None, Value::text(format!("message {index}"))),
        };
        let process = match format {
            Format::Lines => Process::Named("log".into()),
            _ => Process::Client(index % 10),
        };
        let phase = if index / 10 % 2 == 0 { Phase::Invoke } else { Phase::Ok };
        let value =
            if phase == Phase::Invoke && !is_write && format != Format::Lines { Value::Nil } else { value };
        Ok(Entry {
            index,
            at_ns: matches!(format, Format::Edn | Format::Json).then_some(index * 1_000_003),
            process,
            phase,
            f: f.into(),
            key,
            value,
            error: None,
            extra: Vec::new(),
            place: None,
        })
    })
}
