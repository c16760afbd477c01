//! What a finding was found with: versions, digests, machine. Of the host's paths only the manifest's and its root are
//! kept, so that it can be replayed from everywhere on this machine; elsewhere the copy in the finding takes their place.

use super::inputs::Inputs;
use crate::launcher::Launcher;
use crate::plain;
use crate::target::{Target, build::Binary};
use interceptor::sandbox::Clock;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The version of `environment.toml`.
pub const VERSION: u32 = 1;

/// The most bytes that it may have.
const BYTES_MAX: usize = 1 << 20;

/// Its name in the directory of a finding.
pub const FILE: &str = "environment.toml";
/// Where the schedules of a campaign are, in its directory.
const SCHEDULES: [&str; 2] = ["corpus", "undecided"];

/// What a finding was found with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Format version.
    pub version: u32,
    /// Version of this program.
    pub fuzz: String,
    /// The target's name.
    pub target: String,
    /// What its version command says; empty where there is none.
    #[serde(default)]
    pub target_version: String,
    /// Where nodes lived: `native`, or `docker`; empty in older findings, which were native.
    #[serde(default)]
    pub launcher: String,
    /// The name of the image they lived in; empty without one.
    #[serde(default)]
    pub image: String,
    /// By which clock it lived: `virtual` or `real`; empty in older findings, which were of the virtual one.
    #[serde(default)]
    pub clock: String,
    /// SHA-256 of the binary that nodes ran, or of their image.
    pub binary_sha256: String,
    /// SHA-256 of the manifest.
    pub manifest_sha256: String,
    /// Kernel release and machine.
    pub kernel: String,
    /// Model of the processor.
    pub cpu: String,
    /// Processors this program may use.
    pub cores: usize,
    /// The command line, absolute paths cut to their last part.
    pub command: Vec<String>,
    /// The manifest, as an absolute path; empty in older findings.
    #[serde(default)]
    pub manifest: PathBuf,
    /// The directory that build commands run in and relative binaries start from, as an absolute path.
    #[serde(default)]
    pub root: PathBuf,
    /// The manifest's copy, as a path inside the finding; empty where there is none.
    #[serde(default)]
    pub copy: PathBuf,
    /// What else runs read, as digests.
    #[serde(default)]
    pub inputs: Inputs,
}

impl Environment {
    /// This machine, `target`, its `binary`, where that lives and by which clock, and the command line `arguments`.
    #[must_use]
    pub fn here(
        target: &Target,
        binary: &Binary,
        launcher: &Launcher,
        clock: Clock,
        arguments: impl IntoIterator<Item = String>,
    ) -> Self {
        let (version, image) = match launcher {
            Launcher::Native => (target.version().unwrap_or_default(), String::new()),
            // The version command would ask the host's program.
            Launcher::Docker(image) => (String::new(), image.name.clone()),
        };
        Self {
            version: VERSION,
            fuzz: env!("CARGO_PKG_VERSION").to_owned(),
            target: target.name().to_owned(),
            target_version: version,
            launcher: launcher.name().to_owned(),
            image,
            clock: clock.name().to_owned(),
            binary_sha256: binary.digest.clone(),
            manifest_sha256: target.digest.clone(),
            kernel: kernel(),
            cpu: cpu(),
            cores: cores(),
            command: arguments.into_iter().map(|word| without_path(&word)).collect(),
            manifest: target.file.clone(),
            root: target.root.canonicalize().unwrap_or_else(|_| target.root.clone()),
            copy: PathBuf::new(),
            inputs: Inputs::of(target, launcher),
        }
    }

    /// What of the machine and of this program is not as it was `then`, a line for each.
    #[must_use]
    pub fn differences(&self, then: &Self) -> Vec<String> {
        let told = [
            ("fuzz", &self.fuzz, &then.fuzz),
            ("the kernel", &self.kernel, &then.kernel),
            ("the processor", &self.cpu, &then.cpu),
            ("what the target calls its version", &self.target_version, &then.target_version),
        ];
        let differ = told.into_iter().filter(|(_, now, then)| now != then && !then.is_empty());
        differ.map(|(what, now, then)| format!("{what} is {now}, and was {then}")).collect()
    }

    /// That of the finding that `path` is, or lies in, or of the campaign whose schedule it is; `None` where there is none that
    /// can be read.
    #[must_use]
    pub fn beside(path: &Path) -> Option<(Self, PathBuf)> {
        let path = std::path::absolute(path).ok()?;
        let dir = if path.is_dir() { &path } else { path.parent()? };
        let above = dir.parent().filter(|_| SCHEDULES.iter().any(|name| dir.ends_with(name)));
        [Some(dir), above].into_iter().flatten().find_map(|dir| {
            let text = plain::text(&dir.join(FILE), BYTES_MAX).ok()?;
            Some((toml::from_str(&text).ok()?, dir.to_owned()))
        })
    }

    /// Writes it beside the schedules of a campaign.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn write(&self, out: &Path) -> std::io::Result<()> {
        let text = toml::to_string(self).map_err(std::io::Error::other)?;
        let beside = out.join(format!(".{FILE}.part"));
        std::fs::write(&beside, text)?;
        std::fs::rename(&beside, out.join(FILE))
    }

    /// By which clock it lived.
    #[must_use]
    pub fn clock(&self) -> Clock {
        if self.clock == Clock::Real.name() { Clock::Real } else { Clock::Virtual }
    }
}

/// Kernel release and machine: `Linux 6.1.0 x86_64`.
#[must_use]
pub fn kernel() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "unknown".into(),
        |name| {
            let part = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
            format!("{} {} {}", part(name.sysname()), part(name.release()), part(name.machine()))
        },
    )
}

/// The processor's model name, as the kernel tells it.
#[must_use]
pub fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".into(), |(_, name)| name.trim().to_owned())
}

/// Processors this program may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `word` with an absolute path in it (alone or after `=`) cut to its last part.
fn without_path(word: &str) -> String {
    let (before, path) = match word.split_once('=') {
        Some((flag, path)) if flag.starts_with('-') => (format!("{flag}="), path),
        _ => (String::new(), word),
    };
    let last = Path::new(path).file_name().filter(|_| path.starts_with('/'));
    last.map_or_else(|| word.to_owned(), |name| format!("{before}{}", name.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::{Environment, without_path};

    #[test]
    fn what_changed_of_the_machine_is_told() {
        let then =
            Environment { kernel: "Linux 6.1 x86_64".into(), cpu: "A".into(), ..Environment::default() };
        let now = Environment { cpu: "B".into(), fuzz: "9".into(), ..then.clone() };
        assert_eq!(now.differences(&then), ["the processor is B, and was A"]);
        assert_eq!(then.differences(&then), [""; 0]);
    }

    #[test]
    fn paths_of_the_host_are_not_kept() {
        let shown = ["/home/me/bin/fuzz", "run", "--out=/home/me/x", "--target", "./here", "--bug=a,b"]
            .map(without_path);
        assert_eq!(shown, ["fuzz", "run", "--out=x", "--target", "./here", "--bug=a,b"]);
    }
}
