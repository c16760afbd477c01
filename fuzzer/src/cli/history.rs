//! `fuzz history`: histories of anybody in other formats.

use super::arguments::{Convert, History};
use super::exit::Exit;
use super::output::{Output, note};
use super::source::{Source, note_untimed};
use anyhow::{Context, bail};
use oracle::format::{self, Options};
use oracle::raw::Entry;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Does what is asked of a history.
pub fn main(args: &History, output: &mut Output) -> anyhow::Result<Exit> {
    match args {
        History::Convert(args) => convert(args, output),
    }
}

/// Writes a history in another format, to a file or to standard output.
fn convert(args: &Convert, output: &mut Output) -> anyhow::Result<Exit> {
    let source = Source::open(&args.history, args.format)?;
    let (name, format) = (source.name, source.history.format);
    if args.to.is_timed() {
        note_untimed(format, "in what is written, the order across processes means nothing");
    }
    let mut count = 0_u64;
    let counted = |entry: &Result<Entry, _>| count += u64::from(entry.is_ok());
    let mut entries = source.history.entries(Options { independent: args.independent }).inspect(counted);
    let options = Options { independent: args.to_independent };
    let told = || match args.format {
        Some(_) => name.clone(),
        None => format!("{name} as {}", format.name()),
    };
    let Some(path) = &args.out else {
        let mut sink = Piped { sink: BufWriter::new(std::io::stdout().lock()), is_closed: false };
        format::write(args.to, &mut entries, &mut sink, options).with_context(told)?;
        sink.flush().context("cannot write to standard output")?;
        return Ok(Exit::Clean);
    };
    let place = Place::of(path, &args.history)?;
    let mut sink = BufWriter::new(place.create()?);
    let written = format::write(args.to, &mut entries, &mut sink, options).with_context(told);
    let written = written.and_then(|()| sink.flush().with_context(|| place.failed()));
    place.finish(written)?;
    drop(entries);
    let to = args.to.name();
    output.json(&json!({
        "event": "converted", "from": format.name(), "to": to, "entries": count, "file": path.display().to_string(),
    }));
    output.text(format!("{} has {count} entries as {to}", path.display()));
    Ok(Exit::Clean)
}

/// Where a history goes: beside its place first, for half a one is none and what was there before is somebody's; what is no
/// plain file, such as a pipe, is written to as it is.
struct Place {
    path: PathBuf,
    beside: Option<PathBuf>,
}

impl Place {
    fn of(path: &Path, history: &Path) -> anyhow::Result<Self> {
        if same(path, history) {
            bail!("{} is the history itself; give another --out", path.display());
        }
        // What a link leads to is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().with_context(|| format!("--out {} has no name", path.display()))?;
        let beside = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        let beside = (!path.exists() || path.is_file()).then(|| path.with_file_name(beside));
        Ok(Self { path, beside })
    }

    fn failed(&self) -> String {
        format!("cannot write {}", self.path.display())
    }

    fn create(&self) -> anyhow::Result<File> {
        let file = match &self.beside {
            Some(beside) => File::create(beside),
            None => File::options().write(true).open(&self.path),
        };
        file.with_context(|| self.failed())
    }

    fn finish(&self, written: anyhow::Result<()>) -> anyhow::Result<()> {
        let Some(beside) = &self.beside else { return written };
        if written.is_err() {
            drop(std::fs::remove_file(beside));
        }
        written?;
        std::fs::rename(beside, &self.path).with_context(|| self.failed())
    }
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Standard output: a reader that goes away is no error.
struct Piped<W> {
    sink: W,
    is_closed: bool,
}

impl<W: Write> Piped<W> {
    fn forgive<T>(&mut self, result: std::io::Result<T>, instead: T) -> std::io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                if !self.is_closed {
                    note("the reader of the history has gone");
                }
                self.is_closed = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for Piped<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let result = self.sink.write(bytes);
        self.forgive(result, bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let result = self.sink.flush();
        self.forgive(result, ())
    }
}
