//! YAML as a tree whose every part knows where it stands. All scalars are texts: what `yes` or `3.10` means is for who
//! asks. An alias is the very node that its anchor names, so that nothing grows by being named often.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// How deep lists and maps may lie in each other.
const DEPTH_MAX: usize = 64;

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
        let pairs = match &self.content {
            Content::Nothing => return Ok(Vec::new()),
            Content::Map(pairs) => pairs,
            _ => return Err(self.fault(format!("expected a map, found {}", self.kind()))),
        };
        let mut fields: Vec<(&str, &Self)> = Vec::new();
        for (name, node) in pairs.iter().filter(|(name, _)| name != "<<") {
            fields.push((name, node));
        }
        for (_, merged) in pairs.iter().filter(|(name, _)| name == "<<") {
            let sources = match &merged.content {
                Content::List(all) => all.iter().map(|one| &**one).collect(),
                _ => vec![&**merged],
            };
            for source in sources {
                for (name, node) in source.fields()? {
                    if !fields.iter().any(|(known, _)| *known == name) {
                        fields.push((name, node));
                    }
                }
            }
        }
        Ok(fields)
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

/// A list or map that has not ended.
struct Open {
    anchor: usize,
    node: Node,
    /// The key whose value comes next.
    key: Option<String>,
}

impl Open {
    fn take(&mut self, node: Rc<Node>) -> Result<(), Fault> {
        match (&mut self.node.content, self.key.take()) {
            (Content::List(list), _) => list.push(node),
            (Content::Map(pairs), Some(key)) => pairs.push((key, node)),
            (Content::Map(pairs), None) => {
                let key = node.text()?.to_owned();
                if key != "<<" && pairs.iter().any(|(known, _)| *known == key) {
                    return Err(node.fault(format!("`{key}` stands twice in one map")));
                }
                self.key = Some(key);
            }
            _ => unreachable!("only lists and maps are open"),
        }
        Ok(())
    }
}

/// Reads a text of one document.
///
/// # Errors
/// The first thing that is no YAML, or of which there may be one only.
pub fn parse(text: &str) -> Result<Rc<Node>, Fault> {
    let mut anchors: BTreeMap<usize, Rc<Node>> = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Rc<Node>> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| Fault { place: Place::of(error.marker()), cause: error.info().to_owned() })?;
        let place = Place::of(&span.start);
        let fault = |cause: &str| Fault { place, cause: cause.to_owned() };
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_nothing = style == ScalarStyle::Plain && ["", "~", "null"].contains(&&*text);
                let content = if is_nothing { Content::Nothing } else { Content::Text(text.into_owned()) };
                (anchor, Rc::new(Node { place, content }))
            }
            Event::Alias(anchor) => {
                let node = anchors.get(&anchor).ok_or_else(|| fault("an alias within its own anchor"))?;
                (0, Rc::clone(node))
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEPTH_MAX => {
                return Err(fault(&format!("lists and maps lie more than {DEPTH_MAX} deep")));
            }
            Event::SequenceStart(anchor, _) => {
                open.push(Open {
                    anchor,
                    node: Node { place, content: Content::List(Vec::new()) },
                    key: None,
                });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open {
                    anchor,
                    node: Node { place, content: Content::Map(Vec::new()) },
                    key: None,
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let ended = open.pop().expect("what ends has begun");
                (ended.anchor, Rc::new(ended.node))
            }
            Event::DocumentStart(_) if root.is_some() => return Err(fault("a second document begins here")),
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, Rc::clone(&node));
        }
        match open.last_mut() {
            Some(outer) => outer.take(node)?,
            None => root = Some(node),
        }
    }
    let place = Place { line: 1, column: 1 };
    Ok(root.unwrap_or_else(|| Rc::new(Node { place, content: Content::Nothing })))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
