//! Where something is in an answer: keys and positions from the root, each after a `/`; `*` stands for all members of an array.

use serde_json::Value;

/// All values at a path; those that are null are none.
#[must_use]
pub fn find<'a>(body: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![body];
    for part in path.split('/').skip(1) {
        found = found
            .into_iter()
            .flat_map(|value| match (part, value) {
                ("*", Value::Array(all)) => all.iter().collect(),
                (_, Value::Array(all)) => {
                    part.parse().ok().and_then(|n: usize| all.get(n)).into_iter().collect()
                }
                (_, value) => value.get(part).into_iter().collect::<Vec<_>>(),
            })
            .collect();
    }
    found.retain(|value| !value.is_null());
    found
}

/// A value as a text: strings without their quotes.
#[must_use]
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
