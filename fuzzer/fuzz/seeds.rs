//! `seeds DIR`: inputs to begin with, for each fuzz target, and its words (`DIR/NAME.dict`). All of it is taken from the
//! repository: what targets and corpora hold, the examples of checks in each format, and the texts in the tests of readers.

// every counter of coverage is its
use libfuzzer_sys as _;
use oracle::check::CHECKS;
use oracle::format::{Format, Options, read, write};
use std::collections::BTreeSet;
use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};

/// A fuzz target: sources whose literals it begins with, and files that are inputs as they are.
const TARGETS: [(&str, &[&str], &[&str]); 8] = [
    ("check", &["fuzzer/oracle/src/checker", "fuzzer/oracle/src/inspection.rs"], &[]),
    ("compose", &["fuzzer/src/compose", "fuzzer/tests"], &[]),
    ("dissect", &["interceptor/src/dissector", "interceptor/src/dissector.rs"], &[]),
    (
        "finding",
        &["fuzzer/src/reproducer", "fuzzer/oracle/src/jsonl.rs", "fuzzer/oracle/src/verdict.rs"],
        &[],
    ),
    ("history", &["fuzzer/oracle/src/format"], &[]),
    ("manifest", &["fuzzer/src/target", "fuzzer/src/target.rs"], &["targets", "target.toml"]),
    ("reply", &["fuzzer/src/workload"], &[]),
    ("schedule", &["fuzzer/src/schedule", "fuzzer/src/fault"], &["corpora", "schedule.toml"]),
];

/// The shortest literal that is an input, in bytes; the longest that is a word.
const INPUT_MIN: usize = 8;
const WORD_MAX: usize = 24;

fn main() -> Result<()> {
    let Some(out) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seeds DIR");
        std::process::exit(2);
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, sources, whole) in TARGETS {
        let mut inputs = BTreeSet::new();
        let mut words = BTreeSet::new();
        for source in sources {
            for file in files(&root.join(source))?
                .iter()
                .filter(|file| file.extension().is_some_and(|end| end == "rs"))
            {
                for literal in literals(&fs::read(file)?) {
                    if (2..=WORD_MAX).contains(&literal.len()) {
                        words.insert(literal.clone());
                    }
                    if literal.len() >= INPUT_MIN {
                        inputs.insert(literal);
                    }
                }
            }
        }
        if let [directory, ending] = whole {
            for file in files(&root.join(directory))?.iter().filter(|file| file.ends_with(ending)) {
                inputs.insert(fs::read(file)?);
            }
        }
        if ["check", "history"].contains(&name) {
            inputs.extend(examples());
        }
        let directory = out.join(name);
        fs::create_dir_all(&directory)?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(directory.join(format!("{number:04}")), input)?;
        }
        inputs.iter().for_each(|input| words.extend(names(input)));
        fs::write(
            out.join(format!("{name}.dict")),
            words.iter().map(|word| quoted(word)).collect::<String>(),
        )?;
    }
    Ok(())
}

/// The histories in which checks find something, in each format that has words for them.
fn examples() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for check in CHECKS {
        let text = check.example.edn();
        for format in Format::ALL {
            let mut sink = Vec::new();
            let mut entries = read(Format::Edn, text.as_bytes(), Options::default());
            if write(format, &mut entries, &mut sink, Options::default()).is_ok() {
                all.push(sink);
            }
        }
    }
    all
}

/// A file, or all files below a directory that are no build output, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.retain(|path| !path.ends_with("target") || path.join("target.toml").exists());
    entries.sort();
    let mut all = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.is_symlink()) {
        all.extend(files(entry)?);
    }
    Ok(all)
}

/// What the string literals of a Rust source stand for.
fn literals(source: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
        if rest.starts_with(b"//") {
            at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"'\"'") || rest.starts_with(b"'\\") {
            at += 3;
        } else if rest[0] == b'r' && rest.get(1 + hashes) == Some(&b'"') {
            let text = &rest[2 + hashes..];
            let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
            let end = text.windows(close.len()).position(|bytes| bytes == close).unwrap_or(text.len());
            all.push(text[..end].to_vec());
            at += (2 + hashes + end + close.len()).min(rest.len());
        } else if rest[0] == b'"' {
            let (literal, length) = unescaped(&rest[1..]);
            all.push(literal);
            at += 1 + length;
        } else {
            at += 1;
        }
    }
    all
}

/// A literal up to its closing quote, and how long it is as written, with the quote.
fn unescaped(text: &[u8]) -> (Vec<u8>, usize) {
    let mut literal = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match (byte, text.get(at)) {
            (b'"', _) => break,
            (b'\\', Some(escape)) => {
                at += 1;
                match escape {
                    b'n' => literal.push(b'\n'),
                    b'r' => literal.push(b'\r'),
                    b't' => literal.push(b'\t'),
                    b'0' => literal.push(0),
                    b'\n' => at += text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count(),
                    b'x' => {
                        literal.push(u8::try_from(hex(&text[at..(at + 2).min(text.len())])).unwrap_or(b'?'));
                        at += 2;
                    }
                    b'u' => {
                        let length = text[at..].iter().take_while(|byte| **byte != b'}').count() + 1;
                        let code = char::from_u32(hex(&text[at..(at + length).min(text.len())]));
                        literal.extend(code.unwrap_or('?').to_string().bytes());
                        at += length;
                    }
                    other => literal.push(*other),
                }
            }
            (byte, _) => literal.push(*byte),
        }
    }
    (literal, at)
}

/// The number in braces or not.
fn hex(text: &[u8]) -> u32 {
    let digits = text.iter().filter_map(|byte| char::from(*byte).to_digit(16));
    digits.fold(0, |number, digit| number.wrapping_mul(16).wrapping_add(digit))
}

/// Names of fields and the like in an input.
fn names(input: &[u8]) -> Vec<Vec<u8>> {
    let parts = input.split(|byte| !(byte.is_ascii_alphanumeric() || b":_-".contains(byte)));
    let is_name =
        |part: &&[u8]| (2..=WORD_MAX).contains(&part.len()) && part.iter().any(u8::is_ascii_lowercase);
    parts.filter(is_name).map(<[u8]>::to_vec).collect()
}

/// A word as a line of libFuzzer's dictionaries.
fn quoted(word: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\x{other:02X}"),
    };
    format!("\"{}\"\n", word.iter().map(escaped).collect::<String>())
}
