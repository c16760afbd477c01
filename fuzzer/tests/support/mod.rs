//! The demo as the tests are built.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Its program, built where the tests are.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.ancestors().nth(2).unwrap();
    let built = profile.parent().unwrap();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", "raft-demo", "--target-dir"])
        .arg(built)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "raft-demo cannot be built");
    built.join("debug/raft-demo")
}

/// Its manifest, whose program is in the root of a checkout.
#[allow(dead_code, reason = "containers have a program of their own")]
pub fn manifest() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets/raft-demo/target.toml");
    std::fs::read_to_string(manifest).unwrap().replace("target/release/raft-demo", "raft-demo")
}

/// A checkout with its program and this manifest.
#[allow(dead_code, reason = "containers have a program of their own")]
pub fn checkout(manifest: &str) -> tempfile::TempDir {
    let program = program();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("targets/raft-demo");
    std::fs::create_dir_all(&target).unwrap();
    std::fs::write(target.join("target.toml"), manifest).unwrap();
    std::fs::copy(program, dir.path().join("raft-demo")).unwrap();
    dir
}
