//! Code that may ask the processor for random numbers, or which core it runs on, is told by name, where it is mapped and nowhere else.

mod support;

use interceptor::sandbox::Limits;
use std::path::Path;
use support::{Ran, compiled, compiled_with, sandboxed};

/// What a run of the guest leaks, without the directory that the test's guests are in.
fn leaks(program: &Path, arguments: &[&str]) -> Vec<String> {
    let ran: Ran = sandboxed(program, arguments, 7, Limits::default());
    assert!(ran.stdout.iter().all(|line| !line.starts_with("FAIL")), "{:?} {:?}", ran.stdout, ran.stderr);
    let own = format!("{}/", env!("CARGO_TARGET_TMPDIR"));
    ran.leaks.iter().map(|leak| leak.replace(&own, "")).collect()
}

#[test]
fn a_program_is_told_whether_it_uses_it_or_not() {
    let guest = compiled("rdrand.c");
    assert_eq!(leaks(&guest, &[]), ["rdrand may use RDRAND"]);
    assert_eq!(leaks(&compiled("rdpid.c"), &[]), ["rdpid may use RDPID"]);
    assert_eq!(leaks(&compiled("identity.c"), &[]), [""; 0]);
}

#[test]
fn a_library_is_told_where_it_is_mapped() {
    let library = compiled_with("rdrand.c", "librdrand.so", &["-shared", "-fPIC"]);
    let library = library.to_str().expect("a path of the test's own");
    let loads = compiled("loads.c");
    assert_eq!(leaks(&loads, &[]), [""; 0]);
    for how in ["by itself", "in a child", "as another"] {
        assert_eq!(leaks(&loads, &[library, how]), ["librdrand.so may use RDRAND"], "{how}");
    }
}

#[test]
fn libraries_of_the_system_are_told_by_their_paths() {
    let Some(python) = support::python() else { return println!("skipped: there is no python3 on the path") };
    let leaks = leaks(&python, &["-c", "import hashlib; hashlib.sha256(b'x')"]);
    assert!(leaks.iter().any(|leak| leak.contains("libcrypto") && leak.starts_with('/')), "{leaks:?}");
    assert!(!leaks.iter().any(|leak| leak.contains("libc.so")), "{leaks:?}");
}
