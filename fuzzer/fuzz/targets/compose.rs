//! Docker Compose files. Behind the first NUL is an `.env` file, behind the second what other files hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::compose::{Beside, Cluster, Compose, Fault, Variables};

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\0');
    let mut next = || parts.next().unwrap_or_default();
    let (file, env, other) = (next(), next(), next());
    let mut variables =
        Variables::of([("HOST".to_owned(), "n1".to_owned()), ("EMPTY".to_owned(), String::new())]);
    if let Err(fault) = variables.add(env) {
        lies_in(env, &fault);
    }
    let read = |_: &str| Ok(other.to_owned());
    match Compose::parse(file, &Beside { variables: &variables, read: &read }) {
        Err(fault) => lies_in(file, &fault),
        Ok(compose) => {
            let cluster = Cluster::of(&compose);
            assert!((1..=9).contains(&cluster.nodes), "{cluster:?}");
            assert!(!compose.services.is_empty() && !cluster.ports.contains(&0));
        }
    }
});

/// What is wrong has a place in the text, or right behind it, and a cause.
fn lies_in(text: &str, fault: &Fault) {
    assert!((1..=text.len() + 2).contains(&fault.place.line), "{fault}");
    assert!((1..=text.len() + 2).contains(&fault.place.column), "{fault}");
    assert!(!fault.cause.is_empty());
}
