//! What runs in the sandbox stays in it: every way out that is known is tried, as root and in a user namespace.

mod support;

use interceptor::disk::Loss;
use interceptor::room::Room;
use interceptor::sandbox::{Limits, Operation, Sandbox};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use support::{assert_clean, cluster, compiled, run_until_ms, run_while_up, sandboxed, stdout_of};

/// A directory of the host with a file in it that guests are to leave alone.
fn victim(parent: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir_in(parent).expect("a directory for the test");
    std::fs::write(directory.path().join("victim"), "as it was").expect("it is writable");
    // Whoever the guest is, permissions are not what keeps it out.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(directory.path().join("victim"), open).expect("it is ours");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(directory.path(), open).expect("it is ours");
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::all()).expect("a pipe with a name");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(pipe, open).expect("it is ours");
    directory
}

/// Everything that could be changed of such a directory.
fn state(directory: &Path) -> (Vec<String>, String, [i64; 6]) {
    let names = std::fs::read_dir(directory).expect("it is there").flatten();
    let file = directory.join("victim");
    let metadata = file.metadata().expect("it is there");
    let facts = [
        i64::from(metadata.mode()),
        i64::from(metadata.uid()),
        i64::from(metadata.gid()),
        metadata.nlink() as i64,
        metadata.mtime(),
        metadata.mtime_nsec(),
    ];
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    (names, std::fs::read_to_string(file).expect("it is readable"), facts)
}

/// Runs the guest twice: all ways out are closed, and nothing of the first run is left for the second.
fn try_all(guest: &Path, seen: &Path, covered: &Path) {
    let directories = [victim(seen), victim(covered)];
    let before = directories.each_ref().map(|directory| state(directory.path()));
    let paths = directories.each_ref().map(|directory| directory.path().to_str().expect("plain text"));
    // Who writes finds a reader.
    let pipes = directories.each_ref().map(|directory| {
        let (mut options, flags) = (std::fs::File::options(), nix::libc::O_NONBLOCK);
        options.read(true).write(true).custom_flags(flags);
        options.open(directory.path().join("pipe")).expect("it is ours")
    });
    let host = std::process::id().to_string();
    for _ in 0..2 {
        let ran = sandboxed(guest, &[paths[0], paths[1], &host], 7, Limits::default());
        assert_clean(&ran);
        assert!(ran.stdout.len() > 400, "{:#?}", ran.stdout);
    }
    assert_eq!(directories.each_ref().map(|directory| state(directory.path())), before);
    for mut pipe in pipes {
        let nothing = pipe.read(&mut [0]).expect_err("nothing came");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
    for left in ["/dev/shm/left", "/dev/shm/sem.left", "/tmp/left", "/var/tmp/left", "/run/left"] {
        assert!(!Path::new(left).exists(), "{left} is on the host");
    }
}

#[test]
fn nothing_gets_out() {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
    try_all(&compiled("contained.c"), own, Path::new("/tmp"));
}

/// The same as a user who may not mount, in a process of that user's.
#[test]
fn nothing_gets_out_of_a_user_namespace() {
    const GUEST: &str = "CONTAINED_GUEST";
    if let Some(guest) = std::env::var_os(GUEST) {
        let seen = Path::new(&guest).with_file_name("seen");
        return try_all(Path::new(&guest), &seen, Path::new("/tmp"));
    }
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: this takes root, to become somebody else");
    }
    let guest = compiled("contained.c");
    let test = std::env::current_exe().expect("it runs");
    // Both where anybody can run them.
    let place = tempfile::tempdir_in("/opt").expect("a directory for the test");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path(), open).expect("it is ours");
    let seen = place.path().join("seen");
    std::fs::create_dir(&seen).expect("it is ours");
    let anybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&seen, anybody).expect("it is ours");
    let [guest, test] = [(guest, "contained"), (test, "test")].map(|(from, name)| {
        copy(&from, &place.path().join(name));
        place.path().join(name)
    });
    let ran = Command::new(test)
        .args(["--exact", "nothing_gets_out_of_a_user_namespace"])
        .env(GUEST, guest)
        .current_dir("/")
        .uid(65_534)
        .gid(65_534)
        .output()
        .expect("it starts");
    assert!(
        ran.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// By another process: a child that another test begins meanwhile would hold the copy open, and what is open for writing
/// cannot be run.
fn copy(from: &Path, to: &Path) {
    assert!(
        Command::new("cp").args([from, to]).status().expect("it starts").success(),
        "{from:?} can be copied"
    );
}

/// Where the kernel permits no namespaces, the sandbox gives the same answers by itself.
#[test]
fn nothing_gets_out_where_nodes_have_no_root() {
    const GUEST: &str = "UNCONTAINED_GUEST";
    if let Some(guest) = std::env::var_os(GUEST) {
        let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
        return try_all(Path::new(&guest), own, Path::new("/tmp"));
    }
    let guest = compiled("contained.c");
    let test = std::env::current_exe().expect("it runs");
    let run = format!(
        "echo 0 > /proc/sys/user/max_mnt_namespaces && exec {} --exact nothing_gets_out_where_nodes_have_no_root",
        test.display()
    );
    let ran = Command::new("unshare").args(["-U", "-r", "sh", "-ec", &run]).env(GUEST, guest).output();
    let ran = ran.expect("util-linux is installed");
    assert!(
        ran.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// What a node may change, by the kernel's own word: its mounts.
#[test]
fn the_kernel_keeps_a_node_to_what_is_its_own() {
    let program = compiled("cluster.c");
    let room = Room::directory().expect("a room for the test");
    let mut config = cluster(&[(&program, &["ticker"])], 5, Limits::default());
    let mark = ("CONTAINED_BY".to_owned(), format!("test-{}", std::process::id()));
    config.nodes[0].environment.push(mark.clone());
    let mut sandbox = Sandbox::new(&room, config).expect("a sandbox");
    sandbox.start(0).expect("the guest starts");
    run_until_ms(&mut sandbox, 10);
    let mark = format!("{}={}", mark.0, mark.1);
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let guest = entries.map(|entry| entry.path()).find(|path| {
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark.as_bytes())
    });
    let guest = guest.expect("the guest lives");
    let mounts = std::fs::read_to_string(guest.join("mountinfo")).expect("it can be looked at");
    let status = std::fs::read_to_string(guest.join("status")).expect("it can be looked at");
    drop(sandbox);
    let mut own = Vec::new();
    for line in mounts.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (at, options) = (words[4], words[5]);
        let kind = line.split(" - ").nth(1).unwrap_or_default();
        assert!(options.contains("nosuid"), "{line}");
        assert!(
            !["proc ", "sysfs ", "devpts ", "cgroup"].iter().any(|kept| kind.starts_with(kept)),
            "{line}"
        );
        if !options.split(',').any(|option| option == "ro") {
            own.push(at.to_owned());
        }
        if !options.contains("nodev") {
            assert!(at.starts_with("/dev/"), "{line}");
        }
    }
    own.sort();
    // The second one is how it gets the page that it reads its clock from.
    assert_eq!(own, ["/dev/shm", "/proc/.passing", "/run", "/srv/n1", "/tmp", "/var/tmp"]);
    // Not one of the rights over the machine: capabilities(7), SYS_MODULE to SYS_ADMIN among them.
    let bounds = status.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).expect("it has some");
    let bounds = u64::from_str_radix(bounds, 16).expect("a number");
    assert_eq!(bounds & (1 << 16 | 1 << 17 | 1 << 19 | 1 << 21 | 1 << 27), 0);
}

#[test]
fn power_takes_memory_and_leaves_drives() {
    let program = compiled("keeps.c");
    let room = Room::directory().expect("a room for the test");
    let mut sandbox =
        Sandbox::new(&room, cluster(&[(&program, &[])], 5, Limits::default())).expect("a sandbox");
    let mut told = Vec::new();
    for fault in [Operation::PowerOff(0, Loss::All), Operation::Kill(0), Operation::Kill(0)] {
        sandbox.start(0).expect("the guest starts");
        run_while_up(&mut sandbox, 0, 1 + told.len() as u64);
        let lines = stdout_of(&sandbox, 0);
        told = lines;
        sandbox.operate(fault).expect("the sandbox works");
    }
    let nothing = "/tmp/kept 0 /tmp/lost 0 /dev/shm/kept 0 /run/kept 0";
    let all = "/tmp/kept 1 /tmp/lost 1 /dev/shm/kept 1 /run/kept 1";
    let drives = "/tmp/kept 1 /tmp/lost 0 /dev/shm/kept 0 /run/kept 0";
    assert_eq!(told, [nothing, drives, all]);
}

/// What a package manager does when anything is installed: the loader's cache grows. Runs are the same as before.
#[test]
fn what_is_installed_beside_changes_no_run() {
    const HASH: &str = "CONTAINED_HASH_OF";
    if let Some(guest) = std::env::var_os(HASH) {
        let ran = sandboxed(Path::new(&guest), &[], 7, Limits::default());
        assert_clean(&ran);
        return println!("hash {}", ran.hash);
    }
    let cache = Path::new("/etc/ld.so.cache");
    if !nix::unistd::geteuid().is_root() || !cache.exists() {
        return println!("skipped: this takes root, and a cache");
    }
    let guest = compiled("files.c");
    let directory = tempfile::tempdir().expect("a directory for the test");
    let grown = directory.path().join("cache");
    let mut content = std::fs::read(cache).expect("it is readable");
    let hash = |covered: &str| {
        let own = std::env::current_exe().expect("it runs");
        let run = format!(
            "{covered} exec {} --exact --nocapture what_is_installed_beside_changes_no_run",
            own.display()
        );
        let ran = Command::new("unshare").args(["-m", "sh", "-ec", &run]).env(HASH, &guest).output();
        let ran = ran.expect("util-linux is installed");
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
        told.lines().find_map(|line| line.split_once("hash ")).expect("it tells it").1.to_owned()
    };
    let before = hash("");
    content.extend([0; 4321]);
    std::fs::write(&grown, content).expect("it is writable");
    let after = hash(&format!("mount --bind {} /etc/ld.so.cache;", grown.display()));
    assert_eq!(before, after);
}
