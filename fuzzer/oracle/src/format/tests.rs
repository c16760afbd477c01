use super::*;

mod arbitrary;
mod roundtrip;
mod samples;

/// Reads all of it; lines of `p0 invoke write key value error extra`.
fn shown(format: Format, text: &str) -> Result<Vec<String>, Error> {
    shown_with(format, text, Options::default())
}

fn shown_with(format: Format, text: &str, options: Options) -> Result<Vec<String>, Error> {
    let line = |entry: Entry| {
        let mut line = format!("{} {} {} {}", entry.index, entry.process, entry.phase.name(), entry.f);
        let parts = [("key", entry.key), ("value", Some(entry.value)), ("error", entry.error)];
        let parts = parts.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)));
        for (name, value) in parts.chain(entry.extra) {
            line += &format!(" {name}={value}");
        }
        line + &entry.at_ns.map(|at| format!(" @{at}")).unwrap_or_default()
    };
    read(format, text.as_bytes(), options).map(|entry| entry.map(line)).collect()
}

/// Reads in one format and writes in another.
fn converted(from: Format, text: &str, to: Format, options: Options) -> Result<String, Error> {
    let mut sink = Vec::new();
    write(to, &mut read(from, text.as_bytes(), options), &mut sink, options)?;
    Ok(String::from_utf8(sink).expect("writers write text"))
}
