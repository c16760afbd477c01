//! Nodes in containers: found, replayed, restarted in fresh ones, and none left behind. Skipped, with the reason, where
//! there is no engine or no right to enter containers.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_types, reason = "a bound on waiting for the engine")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

mod support;

const IMAGE: &str = "fuzz-test/raft-demo";

/// Why these tests cannot run here.
fn obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("entering containers takes root".into());
    }
    match Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("docker: {error}")),
    }
}

/// Whether the test is to go on.
fn possible() -> bool {
    let obstacle = obstacle();
    if let Some(why) = &obstacle {
        eprintln!("skipped: {why}");
    }
    obstacle.is_none()
}

/// A checkout whose target has an image with the demo's program and its libraries, under a user of its own, behind a
/// link that leads nowhere outside the image.
fn checkout(image: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("targets/raft-demo");
    std::fs::create_dir_all(&target).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets/raft-demo/target.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let text = text
        .replace("command = [\"scripts/build-image\", \"raft-demo\"]\n", "")
        .replace("\"fuzz/raft-demo\"", &format!("{image:?}"))
        .replace("\"/raft-demo\"", "\"/opt/current/raft-demo\"");
    assert!(text.contains(image));
    std::fs::write(target.join("target.toml"), text).unwrap();
    dir
}

fn build_image() {
    let context = tempfile::tempdir().unwrap();
    let root = context.path().join("root");
    let put = |from: &Path, to: &Path| {
        let to = root.join(to.strip_prefix("/").unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    };
    let program = support::program();
    put(&program, Path::new("/opt/v1/raft-demo"));
    std::os::unix::fs::symlink("/opt/v1", root.join("opt/current")).unwrap();
    let libraries = Command::new("ldd").arg(&program).output().unwrap();
    for word in String::from_utf8(libraries.stdout).unwrap().split_whitespace().filter(|w| w.starts_with('/'))
    {
        put(Path::new(word), Path::new(word));
    }
    std::fs::write(
        context.path().join("Dockerfile"),
        "FROM scratch\nCOPY root /\nENV MOOD=good\nUSER 1234:1234\n",
    )
    .unwrap();
    let built = Command::new("docker")
        .args(["build", "--quiet", "--tag", IMAGE])
        .arg(context.path())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG");
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Containers of the processes of `fuzz` that are not running any more.
fn left_behind() -> Vec<String> {
    let format = "{{.ID}} {{.Label \"fuzz.owner\"}}";
    let listed = Command::new("docker")
        .args(["ps", "--all", "--filter", "label=fuzz.owner", "--format", format])
        .output()
        .unwrap();
    let lines = String::from_utf8(listed.stdout).unwrap();
    let is_dead = |line: &&str| {
        let owner = line.split_whitespace().nth(1).unwrap_or_default();
        !Path::new("/proc").join(owner).exists()
    };
    lines.lines().filter(is_dead).map(str::to_owned).collect()
}

#[test]
fn nodes_in_containers_break_the_same_way_every_time_and_leave_nothing() {
    if !possible() {
        return;
    }
    build_image();
    let checkout = checkout(IMAGE);
    let dir = checkout.path();

    // A vote that is not persisted is lost by a restart, which is in a fresh container.
    let bug = ["--launcher", "docker", "--bug", "vote-not-persisted", "--cores", "1", "--seed", "1"];
    let bounds = ["--executions", "30", "--stop-after", "1", "--shrink", "0", "--out", "out"];
    let hunt = command(dir, &[&["run"], &bug[..], &bounds[..]].concat()).output().unwrap();
    assert_eq!(hunt.status.code(), Some(1), "{}", told(&hunt));
    let finding = std::fs::read_dir(dir.join("out/findings")).unwrap().next().unwrap().unwrap().path();
    let environment = std::fs::read_to_string(finding.join("environment.toml")).unwrap();
    assert!(environment.contains("launcher = \"docker\""), "{environment}");
    assert!(environment.contains(&format!("image = \"{IMAGE}\"")), "{environment}");
    let schedule = std::fs::read_to_string(finding.join("schedule.toml")).unwrap();
    assert!(schedule.contains("[[step]]"), "{schedule}");

    let replay = command(dir, &["replay", finding.to_str().unwrap()]).output().unwrap();
    assert_eq!(replay.status.code(), Some(1), "{}", told(&replay));
    assert!(told(&replay).contains("reproduced"), "{}", told(&replay));

    let verify = ["verify", "--launcher", "docker", "--schedules", "3", "--seed", "5"];
    let verify = command(dir, &verify).output().unwrap();
    assert_eq!(verify.status.code(), Some(0), "{}", told(&verify));
    assert_eq!(left_behind(), [""; 0]);

    // However it ends: the engine removes them once nobody holds them.
    let out = ["run", "--launcher", "docker", "--bug", "none", "--cores", "1", "--out", "killed", "--json"];
    let mut killed = command(dir, &out).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(killed.stdout.take().unwrap()));
    lines.find(|line| line.as_ref().unwrap().contains("execution")).unwrap().unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    let since = Instant::now();
    while !left_behind().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(60), "left behind: {:?}", left_behind());
    }
}

#[test]
fn what_an_image_lacks_is_named() {
    if !possible() {
        return;
    }
    let absent = checkout("fuzz-test/absent");
    let run = ["run", "--launcher", "docker", "--executions", "1", "--out", "out"];
    let output = command(absent.path(), &run).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("there is no image `fuzz-test/absent` here"), "{}", told(&output));

    build_image();
    let wrong = checkout(IMAGE);
    let manifest = wrong.path().join("targets/raft-demo/target.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("/opt/current/raft-demo", "/opt/raft-demon")).unwrap();
    let output = command(wrong.path(), &run).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("/opt/raft-demon"), "{}", told(&output));
    assert!(told(&output).contains("No such file or directory"), "{}", told(&output));

    let text = text.replace("/opt/current/raft-demo", "raft-demo");
    std::fs::write(&manifest, text).unwrap();
    let output = command(wrong.path(), &run).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("is not absolute"), "{}", told(&output));
}
