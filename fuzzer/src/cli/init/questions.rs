//! What `fuzz init` asks whoever sits at a terminal.

use super::super::arguments::Speaks;
use super::draft::Draft;
use clap::ValueEnum;
use std::io::{BufRead, Error, Result, Write};

/// The answer of whom it is enough that the port accepts.
const ACCEPTS: &str = "-";

/// Asks for what matters most; an empty answer keeps what is shown in brackets.
///
/// # Errors
/// The terminal goes away, or cannot be written to.
pub fn ask(draft: &mut Draft, input: &mut impl BufRead, output: &mut impl Write) -> Result<()> {
    writeln!(output, "Enter keeps what is in brackets; the manifest can be changed afterwards.")?;
    let shown = draft.command.join(" ").replacen("{bin}", &draft.binary, 1);
    let command = answer("Command line of a node", &shown, input, output, |line| {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { Err("write the program and its arguments".into()) } else { Ok(words) }
    })?;
    draft.binary.clone_from(&command[0]);
    draft.command = std::iter::once("{bin}".to_owned()).chain(command.into_iter().skip(1)).collect();
    draft.nodes = answer("How many nodes", &draft.nodes.to_string(), input, output, |line| {
        line.parse().ok().filter(|nodes| (1..=9).contains(nodes)).ok_or("write a number from 1 to 9".into())
    })?;
    draft.client =
        answer("What clients speak: http, resp, kv-http or exec", "http", input, output, |line| {
            Speaks::from_str(line, true).map_err(|_| "write http, resp, kv-http or exec".into())
        })?;
    let (port, ready) = if let Speaks::Resp = draft.client { (6379, "PING") } else { (draft.port, ACCEPTS) };
    draft.port = answer("The port they speak to", &port.to_string(), input, output, |line| {
        line.parse().ok().filter(|port| *port > 0).ok_or("write a number from 1 to 65535".into())
    })?;
    let question = "What a node answers once it is ready: a path of HTTP, a command of RESP, or - if its port accepting is enough";
    let ready = answer(question, ready, input, output, |line| Ok(line.to_owned()))?;
    draft.ready = Some(ready).filter(|ready| ready != ACCEPTS);
    Ok(())
}

/// Asks until the answer is one.
fn answer<T>(
    question: &str,
    default: &str,
    input: &mut impl BufRead,
    output: &mut impl Write,
    read: impl Fn(&str) -> std::result::Result<T, String>,
) -> Result<T> {
    loop {
        write!(output, "{question} [{default}]: ")?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Err(Error::other("the answers ended; give flags instead, see fuzz init --help"));
        }
        let line = if line.trim().is_empty() { default } else { line.trim() };
        match read(line) {
            Ok(answer) => return Ok(answer),
            Err(wrong) => writeln!(output, "  {wrong}")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &str) -> (Draft, Result<()>, String) {
        let mut draft = Draft::example("shop");
        let mut shown = Vec::new();
        let done = ask(&mut draft, &mut answers.as_bytes(), &mut shown);
        (draft, done, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn answers_are_taken_and_empty_ones_keep_what_is_there() {
        let (draft, done, shown) = asked("./shop --at {ip}\n10\nfive\n5\nRESP\n\n\n");
        assert!(done.is_ok(), "{shown}");
        assert_eq!((draft.binary.as_str(), draft.command.join(" ").as_str()), ("./shop", "{bin} --at {ip}"));
        assert_eq!((draft.nodes, draft.port, draft.ready.as_deref()), (5, 6379, Some("PING")));
        assert_eq!(shown.matches("write a number from 1 to 9").count(), 2);
        let (draft, done, _) = asked(&"\n".repeat(5));
        assert!(done.is_ok());
        assert_eq!(draft.text(), Draft::example("shop").text());
    }

    #[test]
    fn answers_that_end_are_an_error() {
        let (_, done, _) = asked("./shop\n3\n");
        assert!(done.unwrap_err().to_string().contains("give flags instead"));
    }
}
