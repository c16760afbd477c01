//! Histories as files: opened, told apart, read.

use super::output::note;
use anyhow::{Context, anyhow, bail};
use fuzzer::nearest::suggestion;
use fuzzer::plain;
use oracle::format::Format;
use oracle::inspection::{History, Refused};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file of a history in a directory: a finding of ours, a run of Jepsen's.
const NAMES: [&str; 4] = ["history.jsonl", "history.edn", "history.json", "history.txt"];

/// A history that is open.
pub struct Source {
    /// What messages call it.
    pub name: String,
    /// What was found out of its beginning.
    pub history: History<'static>,
}

impl Source {
    /// Opens a file, a directory with a history in it, or standard input (`-`).
    ///
    /// # Errors
    /// It cannot be opened, is no history, or its format was not given and cannot be told.
    pub fn open(path: &Path, format: Option<Format>) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Self::of("standard input".to_owned(), std::io::stdin(), format);
        }
        let path = inside(path)?;
        let name = path.display().to_string();
        // A terminal may be typed at; another device says anything, and no end.
        let is_stream = ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|dir| path.starts_with(dir));
        let what = plain::other(&path).ok().flatten().filter(|_| !is_stream);
        if let Some(what @ ("a character device" | "a block device" | "a socket")) = what {
            bail!("{name} is {what}, and no history");
        }
        let file = File::open(&path).with_context(|| format!("cannot open {name}"))?;
        Self::of(name, file, format)
    }

    fn of(name: String, reader: impl Read + 'static, format: Option<Format>) -> anyhow::Result<Self> {
        let history = History::open(reader, format).map_err(|refused| refusal(&name, refused))?;
        Ok(Self { name, history })
    }
}

/// Why a history was refused, with its name.
pub fn refusal(name: &str, refused: Refused) -> anyhow::Error {
    match refused {
        Refused::History(error) => anyhow::Error::new(error).context(name.to_owned()),
        Refused::Unread(error) => anyhow::Error::new(error).context(format!("cannot read {name}")),
        refused => anyhow!("{name} {}", refused.to_string().replace("FILE", name)),
    }
}

fn inside(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found = NAMES.iter().map(|name| path.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        anyhow!("{} is a directory without {}; name the file", path.display(), NAMES.join(" or "))
    })
}

/// The format with this name, as an argument.
pub fn format_named(name: &str) -> Result<Format, String> {
    let names = Format::ALL.map(Format::name);
    Format::named(name).ok_or_else(|| format!("there is no such format; {}", suggestion(name, &names)))
}

/// Says that the order of entries means less than it seems to.
pub fn note_untimed(format: Format, consequence: &str) {
    if !format.is_timed() {
        note(format!("{} has sessions without real time: {consequence}", format.name()));
    }
}
