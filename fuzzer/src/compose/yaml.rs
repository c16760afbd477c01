//! YAML as a tree whose every part knows where it stands. All scalars are texts: what `yes` or `3.10` means is for who
//! asks. An alias is the very node that its anchor names, so that nothing grows by being named often, and what `<<` merges
//! is counted. A text costs at most a fixed multiple of [`BYTES_MAX`], whatever stands in it.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

/// The longest text that is read, in bytes.
pub const BYTES_MAX: usize = 1 << 20;
/// How deep lists and maps may lie in each other, those that aliases bring among them.
const DEPTH_MAX: usize = 64;
/// Most parts of a text: scalars, lists, maps and their ends.
const EVENTS_MAX: usize = 200_000;
/// Most fields that `<<` may bring into maps, all together.
const MERGED_MAX: usize = 100_000;

/// Where something stands; lines and columns are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    fn of(marker: &Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What, and what was expected.
    pub cause: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.place.line, self.place.column, self.cause)
    }
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub content: Content,
    /// How deep lists and maps lie in it.
    height: usize,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: `null`, `~` or no text at all.
    Nothing,
    /// A scalar.
    Text(String),
    /// A sequence.
    List(Vec<Rc<Node>>),
    /// A mapping, in the order in which it was written.
    Map(Vec<(String, Rc<Node>)>),
}

impl Node {
    /// An error that stands here.
    pub fn fault(&self, cause: impl Into<String>) -> Fault {
        Fault { place: self.place, cause: cause.into() }
    }

    /// The fields of a map, those that `<<` merges into it among them; none of nothing.
    ///
    /// # Errors
    /// It is no map.
    pub fn fields(&self) -> Result<Vec<(&str, &Self)>, Fault> {
        match &self.content {
            Content::Nothing => Ok(Vec::new()),
            Content::Map(pairs) => Ok(pairs.iter().map(|(name, node)| (name.as_str(), &**node)).collect()),
            _ => Err(self.fault(format!("expected a map, found {}", self.kind()))),
        }
    }

    /// The field of a map with this name, unless it is nothing.
    ///
    /// # Errors
    /// It is no map.
    pub fn get(&self, name: &str) -> Result<Option<&Self>, Fault> {
        let found = self.fields()?.into_iter().find(|(known, _)| *known == name).map(|(_, node)| node);
        Ok(found.filter(|node| node.content != Content::Nothing))
    }

    /// The scalar it is; nothing is the empty text.
    ///
    /// # Errors
    /// It is a list or a map.
    pub fn text(&self) -> Result<&str, Fault> {
        match &self.content {
            Content::Nothing => Ok(""),
            Content::Text(text) => Ok(text),
            _ => Err(self.fault(format!("expected a text, found {}", self.kind()))),
        }
    }

    /// The parts of a list.
    ///
    /// # Errors
    /// It is none.
    pub fn list(&self) -> Result<&[Rc<Self>], Fault> {
        match &self.content {
            Content::Nothing => Ok(&[]),
            Content::List(list) => Ok(list),
            _ => Err(self.fault(format!("expected a list, found {}", self.kind()))),
        }
    }

    fn kind(&self) -> &'static str {
        match self.content {
            Content::Nothing => "nothing",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}

/// What variables in a scalar stand for: the scalar with them filled in, or what is wrong with them.
pub type Fill<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

/// A list or map that has not ended.
struct Open {
    anchor: usize,
    place: Place,
    inner: Inner,
    height: usize,
}

enum Inner {
    List(Vec<Rc<Node>>),
    Map {
        pairs: Vec<(String, Rc<Node>)>,
        names: BTreeSet<String>,
        /// What `<<` names.
        merged: Vec<Rc<Node>>,
        /// The key whose value comes next.
        key: Option<String>,
    },
}

impl Open {
    fn take(&mut self, node: Rc<Node>, fill: Fill<'_>) -> Result<(), Fault> {
        // What is merged is not deeper for it.
        let is_merged = matches!(&self.inner, Inner::Map { key: Some(key), .. } if key == "<<");
        let height = match &node.content {
            Content::List(_) if is_merged => node.height.saturating_sub(1),
            _ if is_merged => node.height,
            _ => node.height + 1,
        };
        self.height = self.height.max(height);
        if self.height > DEPTH_MAX {
            return Err(node.fault(format!("lists and maps lie more than {DEPTH_MAX} deep")));
        }
        match &mut self.inner {
            Inner::List(list) => list.push(filled(node, fill)?),
            Inner::Map { pairs, names, merged, key } => match key.take() {
                Some(key) if key == "<<" => {
                    match &node.content {
                        Content::List(all) => merged.extend(all.iter().take(MERGED_MAX).cloned()),
                        _ => merged.push(Rc::clone(&node)),
                    }
                    if merged.len() > MERGED_MAX {
                        return Err(too_many(&node));
                    }
                }
                Some(key) => pairs.push((key, filled(node, fill)?)),
                None => {
                    let name = node.text()?;
                    if name != "<<" && !names.insert(name.to_owned()) {
                        return Err(node.fault(format!("`{name}` stands twice in one map")));
                    }
                    *key = Some(name.to_owned());
                }
            },
        }
        Ok(())
    }

    /// The whole of it; `left` is how many fields may still be merged.
    fn end(self, left: &mut usize) -> Result<Node, Fault> {
        let content = match self.inner {
            Inner::List(list) => Content::List(list),
            Inner::Map { mut pairs, mut names, merged, .. } => {
                for source in merged {
                    let count = source.fields()?.len();
                    *left = left.checked_sub(count + 1).ok_or_else(|| too_many(&source))?;
                    if let Content::Map(fields) = &source.content {
                        let fresh = fields.iter().filter(|(name, _)| names.insert(name.clone()));
                        pairs.extend(fresh.cloned());
                    }
                }
                Content::Map(pairs)
            }
        };
        Ok(Node { place: self.place, content, height: self.height })
    }
}

fn too_many(node: &Node) -> Fault {
    node.fault(format!("`<<` merges more than {MERGED_MAX} fields into maps"))
}

/// The node with its variables filled in. Keys have none.
fn filled(node: Rc<Node>, fill: Fill<'_>) -> Result<Rc<Node>, Fault> {
    match &node.content {
        Content::Text(text) if text.contains('$') => {
            let text = fill(text).map_err(|cause| node.fault(cause))?;
            Ok(Rc::new(Node { content: Content::Text(text), ..*node }))
        }
        _ => Ok(node),
    }
}

/// Reads a text of one document; variables in its scalars are filled in by `fill`.
///
/// # Errors
/// The first thing that is no YAML, or of which there may be one only, or that is beyond a bound.
pub fn parse(text: &str, fill: Fill<'_>) -> Result<Rc<Node>, Fault> {
    let start = Place { line: 1, column: 1 };
    if text.len() > BYTES_MAX {
        let cause = format!("{} bytes are more than the {BYTES_MAX} that are read", text.len());
        return Err(Fault { place: start, cause });
    }
    let mut anchors: BTreeMap<usize, Rc<Node>> = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Rc<Node>> = None;
    let mut merges_left = MERGED_MAX;
    for (count, event) in Parser::new_from_str(text).enumerate() {
        let (event, span) = event
            .map_err(|error| Fault { place: Place::of(error.marker()), cause: error.info().to_owned() })?;
        let place = Place::of(&span.start);
        let fault = |cause: &str| Fault { place, cause: cause.to_owned() };
        if count == EVENTS_MAX {
            return Err(fault(&format!("a text of more than {EVENTS_MAX} parts is not read")));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, ..) if text.contains('\0') => {
                return Err(fault("a text must not hold the character NUL"));
            }
            Event::Scalar(text, style, anchor, _) => {
                let is_nothing = style == ScalarStyle::Plain && ["", "~", "null"].contains(&&*text);
                let content = if is_nothing { Content::Nothing } else { Content::Text(text.into_owned()) };
                (anchor, Rc::new(Node { place, content, height: 0 }))
            }
            Event::Alias(anchor) => {
                let node = anchors.get(&anchor).ok_or_else(|| fault("an alias within its own anchor"))?;
                (0, Rc::clone(node))
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEPTH_MAX => {
                return Err(fault(&format!("lists and maps lie more than {DEPTH_MAX} deep")));
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open { anchor, place, inner: Inner::List(Vec::new()), height: 1 });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                let (pairs, names, merged) = (Vec::new(), BTreeSet::new(), Vec::new());
                let inner = Inner::Map { pairs, names, merged, key: None };
                open.push(Open { anchor, place, inner, height: 1 });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let ended = open.pop().expect("what ends has begun");
                (ended.anchor, Rc::new(ended.end(&mut merges_left)?))
            }
            Event::DocumentStart(_) if root.is_some() => return Err(fault("a second document begins here")),
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, Rc::clone(&node));
        }
        match open.last_mut() {
            Some(outer) => outer.take(node, fill)?,
            None => root = Some(filled(node, fill)?),
        }
    }
    Ok(root.unwrap_or_else(|| Rc::new(Node { place: start, content: Content::Nothing, height: 0 })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    fn parse(text: &str) -> Result<Rc<Node>, Fault> {
        super::parse(text, &mut |text| Ok(text.to_owned()))
    }

    #[test]
    fn parts_know_where_they_stand() {
        let root = parse("a:\n  - x\n  - 3.10\nb: {c: ~}\n").unwrap();
        let list = root.get("a").unwrap().unwrap();
        assert_eq!(list.list().unwrap()[1].text(), Ok("3.10"));
        assert_eq!(list.list().unwrap()[1].place, Place { line: 3, column: 5 });
        assert_eq!(root.get("b").unwrap().unwrap().get("c"), Ok(None));
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let root = parse("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\n").unwrap();
        let fields = root.get("y").unwrap().unwrap().fields().unwrap();
        let shown: Vec<(&str, &str)> =
            fields.iter().map(|(name, node)| (*name, node.text().unwrap())).collect();
        assert_eq!(shown, [("b", "3"), ("a", "1")]);
    }

    #[test]
    fn faults_have_their_place() {
        let told = |text: &str| parse(text).map(|_| ()).unwrap_err().to_string();
        assert!(told("a: [1\nb: 2\n").starts_with("line 2, column "), "{}", told("a: [1\nb: 2\n"));
        assert_eq!(told("a: 1\na: 2\n"), "line 2, column 1: `a` stands twice in one map");
        assert_eq!(told("[1]: 2\n"), "line 1, column 1: expected a text, found a list");
        assert_eq!(told("a\n---\nb\n"), "line 2, column 1: a second document begins here");
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert_eq!(told(&deep), "line 1, column 65: lists and maps lie more than 64 deep");
        let refused = parse("a: 1").unwrap().get("a").unwrap().unwrap().fields().unwrap_err();
        assert_eq!(refused.to_string(), "line 1, column 4: expected a map, found a text");
    }
    #[test]
    fn nothing_grows_beyond_its_bounds() {
        let told = |text: &str| parse(text).map(|_| ()).unwrap_err().to_string();
        assert_eq!(told("a: \"\\0\"\n"), "line 1, column 4: a text must not hold the character NUL");
        let long = "a".repeat(BYTES_MAX + 1);
        assert!(told(&long).ends_with("1048577 bytes are more than the 1048576 that are read"));
        let parts = told(&"[],".repeat(EVENTS_MAX));
        assert!(parts.starts_with("line 1, column "), "{parts}");
        let parts = told(&format!("[{}", "a,".repeat(EVENTS_MAX)));
        assert!(parts.ends_with("a text of more than 200000 parts is not read"), "{parts}");
        // Each map merges the one before ten times.
        let mut bomb = "m0: &m0 {a: 1, b: 2}\n".to_owned();
        for n in 1..5000 {
            let last = format!("*m{}", n - 1);
            writeln!(bomb, "m{n}: &m{n} {{<<: [{}], k{n}: 1}}", vec![last; 10].join(", ")).unwrap();
        }
        let merged = told(&bomb);
        assert!(merged.ends_with("`<<` merges more than 100000 fields into maps"), "{merged}");
        // Aliases make a tower as deep as there are lines, which must not be climbed by recursion.
        let mut tower = "- &a0 []\n".to_owned();
        for n in 1..10_000 {
            writeln!(tower, "- &a{n} [*a{}]", n - 1).unwrap();
        }
        assert!(told(&tower).ends_with("lists and maps lie more than 64 deep"));
    }

    #[test]
    fn variables_are_filled_in_values_and_not_in_keys() {
        let root = super::parse("$a: [$b, &x $c]\nd: *x\n", &mut |text| Ok(format!("<{text}>"))).unwrap();
        let fields = root.fields().unwrap();
        assert_eq!(fields[0].0, "$a");
        assert_eq!(fields[0].1.list().unwrap()[0].text(), Ok("<$b>"));
        assert_eq!(fields[1].1.text(), Ok("<$c>"));
        let refused = super::parse("a:\n  - $b\n", &mut |_| Err("no".into())).unwrap_err();
        assert_eq!(refused.to_string(), "line 2, column 5: no");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever text looks like YAML: it is read or refused, with a place that lies in it, and never without end.
        #[test]
        fn any_text_is_read_or_refused(
            pieces in proptest::collection::vec(
                prop::sample::select(vec![
                    "a", "b", "services", "command", ":", ": ", " ", "  ", "\n", "\n ", "\n  ", "- ", "-", "? ", "[", "]",
                    "{", "}", ",", "&a ", "*a", "*a ", "<<", "!t ", "!!str ", "|", ">", "|2-", "'", "\"", "\\", "#", " #",
                    "%YAML 1.2", "---", "...", "\t", "\r", "$", "${", "}", "@", "`", "~", "0", "ü", "\u{feff}", "\u{85}",
                ]),
                0..60,
            )
        ) {
            let text = pieces.concat();
            if let Err(fault) = parse(&text) {
                prop_assert!(fault.place.line <= text.len() + 2, "{fault}");
                prop_assert!(!fault.cause.is_empty());
            }
        }
    }
}
