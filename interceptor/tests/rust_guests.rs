//! Rust programs: std's threads, tokio, and tokio without a dynamic linker.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::check_guest;

/// Builds a guest, next to the tests or in a directory of its own with these flags.
fn built(name: &str, flags: Option<&str>) -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bin", name]);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
    let program = if let Some(flags) = flags {
        let target = "x86_64-unknown-linux-gnu";
        let directory = own.join("static");
        cargo.env("RUSTFLAGS", flags).args(["--target", target, "--target-dir"]).arg(&directory);
        directory.join(target).join("debug").join(name)
    } else {
        let directory = own.parent().expect("the directory for tests is in the target directory");
        cargo.arg("--target-dir").arg(directory);
        directory.join("debug").join(name)
    };
    assert!(cargo.status().expect("cargo runs").success(), "cannot build {name}");
    program
}

#[test]
fn threads_of_the_standard_library() {
    let ran = check_guest(&built("threads", None), &[]);
    assert_eq!(ran.stdout[..4], [0, 1, 2, 3].map(|client| format!("client {client}: Ok(10)")));
}

#[test]
fn tokio() {
    let ran = check_guest(&built("tokio-echo", None), &[]);
    assert_eq!(ran.stdout[0], "client 0: Ok(8)");
}

#[test]
fn tokio_without_a_dynamic_linker() {
    let program = built("tokio-echo", Some("-C target-feature=+crt-static"));
    // PT_INTERP names the dynamic linker; a static program has none.
    let image = std::fs::read(&program).expect("the guest was just built");
    assert!(!image.windows(15).any(|window| window == b"/lib64/ld-linux"), "not static");
    let ran = check_guest(&program, &[]);
    assert_eq!(ran.stdout[0], "client 0: Ok(8)");
}
