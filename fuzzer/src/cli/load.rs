//! Load: programs that keep cores busy, to see that no run depends on the machine being idle.

use super::exit::Exit;
use std::process::{Child, Command, Stdio};

/// Busy programs; they end when this is dropped.
#[derive(Debug)]
pub struct Load(Vec<Child>);

impl Load {
    /// Starts `count` of them. Fewer are no error: load is a disturbance, not a promise.
    pub fn start(count: usize) -> Self {
        let Ok(program) = std::env::current_exe() else { return Self(Vec::new()) };
        let spawn = |_| {
            let mut command = Command::new(&program);
            command.arg("hog").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        };
        Self((0..count).filter_map(spawn).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // one that is gone already is what we want
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `fuzz hog`: computes until the parent is gone, without a system call but a look every few milliseconds.
pub fn spin() -> anyhow::Result<Exit> {
    let parent = nix::unistd::getppid();
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    while nix::unistd::getppid() == parent {
        for _ in 0..5_000_000 {
            x = std::hint::black_box(x ^ (x << 13));
            x ^= x >> 7;
        }
    }
    Ok(Exit::Clean)
}
