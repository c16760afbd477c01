//! Reading a trigger: by hand, so that what is wrong with one is named.

use super::Trigger;
use crate::fault::Node;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// The fields of both sorts of trigger.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    at_ms: Option<u64>,
    event: Option<String>,
    node: Option<Node>,
    peer: Option<Node>,
    nth: Option<u32>,
}

impl Trigger {
    /// The text form; the binary one is made of it.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Fields::deserialize(deserializer)? {
            Fields { at_ms: Some(at_ms), event: None, node: None, peer: None, nth: None } => {
                Ok(Self::At { at_ms })
            }
            Fields { at_ms: None, event: Some(event), node, peer, nth: Some(nth) } => {
                Ok(Self::On { event, node, peer, nth })
            }
            Fields { at_ms: None, event: Some(_), nth: None, .. } => Err(D::Error::custom(
                "the trigger names an event but not which one; add nth = 1 for the first",
            )),
            Fields { at_ms: Some(_), .. } => Err(D::Error::custom(
                "the trigger has at_ms beside fields of an event; it is either at_ms or event and nth",
            )),
            Fields { at_ms: None, .. } => Err(D::Error::custom(
                "the trigger says neither at_ms nor event; write { at_ms = 1000 } or { event = \"fsync\", nth = 1 }",
            )),
        }
    }
}
