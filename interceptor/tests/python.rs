//! CPython with asyncio: a server and a client, on two nodes.

mod support;

use interceptor::sandbox::Limits;
use std::path::Path;
use support::{Ran, assert_clean, assert_same, python, sandboxed_cluster};

fn cluster(python: &Path, seed: u64) -> Ran {
    let script = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/python").join(name);
        std::fs::read_to_string(path).expect("the script is part of the sources")
    };
    let (server, client) = (script("server.py"), script("client.py"));
    let guests = [(python, &["-c", &server, "10.0.0.1"][..]), (python, &["-c", &client, "10.0.0.1"][..])];
    sandboxed_cluster(&guests, seed, Limits::default(), 1)
}

#[test]
fn asyncio_on_two_nodes() {
    let Some(python) = python() else {
        println!("skipped: there is no python3 on the path");
        return;
    };
    let [first, again, other] = [1, 1, 2].map(|seed| cluster(&python, seed));
    for ran in [&first, &other] {
        assert_clean(ran);
        let mut lines = ran.stdout.clone();
        lines.sort();
        let expected = ["n1: server stopped", "n2: right [5, 5, 5, 5]", "n2: sum 499500", "n2: timer True"];
        assert_eq!(lines, expected, "{:#?}", ran.stderr);
    }
    assert_same(&first, &again);
    assert_ne!(first.hash, other.hash);
}
