//! Go: programs without a dynamic linker, whose runtime makes its calls itself.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::check_guest;

/// Builds the guest as a static program, if there is a compiler.
fn built() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/go/main.go");
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
    let program = own.join("guest");
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-o"]).arg(&program).arg(&source);
    go.env("CGO_ENABLED", "0").env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("GO111MODULE", "off");
    go.env("GOCACHE", own.join("cache")).env("GOPATH", own.join("path"));
    match go.status() {
        Ok(status) => assert!(status.success(), "cannot build {}", source.display()),
        Err(_) => return None,
    }
    Some(program)
}

#[test]
fn goroutines_timers_sockets_and_files() {
    let Some(program) = built() else {
        println!("skipped: there is no Go compiler on the path (package golang-go)");
        return;
    };
    let ran = check_guest(&program, &[]);
    let sleeps = ran.calls.iter().filter(|call| call.contains(" nanosleep(")).count();
    assert!(sleeps > 0, "the runtime's own sleeps are calls while others run");
}
