//! What operations on the room do to a small cluster.

mod support;

use interceptor::disk::{DiskFaults, Loss};
use interceptor::event::{HostId, Link};
use interceptor::room::Room;
use interceptor::sandbox::{Limits, Operation, Sandbox};
use interceptor::time::Span;
use support::{Guest, cluster, compiled, run_until_ms, stdout_of};

/// A running cluster and the room it is in.
struct Cluster {
    sandbox: Option<Sandbox>,
    room: Room,
}

impl Cluster {
    fn start(guests: &[&[&str]]) -> Self {
        let program = compiled("cluster.c");
        let guests: Vec<Guest<'_>> = guests.iter().map(|arguments| (program.as_path(), *arguments)).collect();
        let room = Room::directory().expect("a room for the test");
        let mut sandbox = Sandbox::new(&room, cluster(&guests, 5, Limits::default())).expect("a sandbox");
        for node in 0..guests.len() {
            sandbox.start(node).expect("the guest starts");
        }
        Self { sandbox: Some(sandbox), room }
    }

    /// A server, and a client that asks it every 100 ms.
    fn echo() -> Self {
        Self::start(&[&["server"], &["client", "10.0.0.1"]])
    }

    fn sandbox(&mut self) -> &mut Sandbox {
        self.sandbox.as_mut().expect("it is there until the end")
    }

    fn operate(&mut self, operation: Operation) {
        self.sandbox().operate(operation).expect("the sandbox works");
    }

    /// Runs on to this virtual millisecond; what a node wrote meanwhile, with the time of each line.
    fn run(&mut self, node: u16, ms: u64) -> Vec<(u64, String)> {
        let sandbox = self.sandbox();
        let before = stdout_of(sandbox, node).len();
        run_until_ms(sandbox, ms);
        assert_eq!(sandbox.stopped(), None);
        let lines = sandbox.logs().iter().filter(|line| line.host.0 == node && !line.stderr);
        lines.skip(before).map(|line| (line.at.0 / 1_000_000, line.text.clone())).collect()
    }

    /// As [`Cluster::run`], the text alone.
    fn lines(&mut self, node: u16, ms: u64) -> Vec<String> {
        self.run(node, ms).into_iter().map(|(_, text)| text).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.sandbox = None;
        let _left_for_the_next_start = std::fs::remove_dir_all(self.room.root());
    }
}

#[test]
fn a_killed_process_ends_its_connections() {
    let mut cluster = Cluster::echo();
    let answers = cluster.lines(1, 1000);
    assert!(answers.len() >= 9 && answers.iter().all(|line| line.starts_with("answer")), "{answers:?}");
    cluster.operate(Operation::Kill(0));
    assert!(!cluster.sandbox().is_up(0));
    let last = cluster.lines(1, 2000).pop().unwrap_or_default();
    assert!(["end", "read ECONNRESET", "write EPIPE", "write ECONNRESET"].contains(&last.as_str()), "{last}");
    assert!(!cluster.sandbox().is_up(1), "the client has ended by itself");
}

#[test]
fn a_host_without_power_is_silent_and_a_new_connection_to_it_times_out_late() {
    let mut cluster = Cluster::echo();
    cluster.run(1, 1000);
    cluster.operate(Operation::PowerOff(0, Loss::All));
    assert_eq!(cluster.lines(1, 20_000).iter().filter(|line| !line.starts_with("answer")).count(), 0);
    assert!(cluster.sandbox().is_up(1), "the client waits for the answer");
    cluster.operate(Operation::Kill(1));
    cluster.operate(Operation::Start(1));
    assert_eq!(cluster.lines(1, 60_000), [""; 0], "a connect goes unanswered");
}

/// When and how a client that waits for an answer learns that the server's host has lost its power at a second.
fn learns(how: &str) -> (u64, String) {
    let mut cluster = Cluster::start(&[&["server"], &["client", "10.0.0.1", how]]);
    cluster.run(1, 1000);
    cluster.operate(Operation::PowerOff(0, Loss::All));
    cluster.run(1, 20_000).into_iter().find(|(_, line)| !line.starts_with("answer")).expect("it is told")
}

#[test]
fn a_user_timeout_ends_a_connection_with_a_dead_host() {
    let (at, line) = learns("user-timeout");
    assert!((6_000..6_700).contains(&at) && line == "read ETIMEDOUT", "{at} {line}");
}

#[test]
fn probes_find_that_the_host_of_a_silent_peer_is_dead() {
    // A paused client has nothing on its way, so its host may probe (tcp(7)).
    let mut cluster = Cluster::start(&[&["server"], &["client", "10.0.0.1", "keepalive"]]);
    cluster.run(1, 1000);
    cluster.operate(Operation::Pause(1));
    cluster.run(1, 1200);
    cluster.operate(Operation::PowerOff(0, Loss::All));
    cluster.run(1, 9_000);
    cluster.operate(Operation::Resume(1));
    let (at, line) = cluster.run(1, 9_500).pop().expect("it is told");
    assert!(at < 9_100 && line == "write ETIMEDOUT", "{at} {line}");
}

#[test]
fn where_nobody_listens_a_connection_is_refused_before_and_after_a_kill() {
    let mut cluster = Cluster::echo();
    cluster.operate(Operation::Kill(0));
    let refused = cluster.lines(1, 1000);
    assert!(refused.len() >= 9 && refused.iter().all(|line| line == "connect ECONNREFUSED"), "{refused:?}");
    cluster.operate(Operation::Start(0));
    assert!(cluster.lines(1, 2000).iter().filter(|line| line.starts_with("answer")).count() >= 8);
    cluster.operate(Operation::Kill(0));
    cluster.run(1, 2100);
    cluster.operate(Operation::Start(1));
    assert!(cluster.lines(1, 3000).iter().all(|line| line == "connect ECONNREFUSED"));
}

#[test]
fn what_is_on_the_disk_outlives_the_process_and_what_is_durable_the_power() {
    let mut cluster = Cluster::start(&[&["server"]]);
    assert_eq!(cluster.lines(0, 100), ["starts 1 1"]);
    cluster.operate(Operation::Kill(0));
    cluster.operate(Operation::Start(0));
    assert_eq!(cluster.lines(0, 200), ["starts 2 2"]);
    cluster.operate(Operation::PowerOff(0, Loss::All));
    cluster.operate(Operation::Start(0));
    // The name of the other file was made durable with the directory, at the second start; its contents were not.
    assert_eq!(cluster.lines(0, 300), ["starts 3 1"]);
}

#[test]
fn stores_to_memory_are_durable_by_msync_alone() {
    let mut cluster = Cluster::start(&[&["mapper"]]);
    let done = "msync done after 0";
    assert_eq!(cluster.lines(0, 100), ["pages 0 0 0 0", done]);
    // The page cache outlives the process.
    cluster.operate(Operation::Kill(0));
    cluster.operate(Operation::Start(0));
    assert_eq!(cluster.lines(0, 200), ["pages 1 1 1 1", done]);
    cluster.operate(Operation::PowerOff(0, Loss::All));
    let lost = cluster.sandbox().take_lost().expect("it lost something");
    assert_eq!(lost.told, ["mapped lost 12288 bytes"]);
    cluster.operate(Operation::Start(0));
    assert_eq!(cluster.lines(0, 300), ["pages 2 0 0 0", done]);
}

#[test]
fn faults_of_syncs_meet_msync() {
    let mut cluster = Cluster::start(&[&["mapper"]]);
    cluster.lines(0, 100);
    let mut again = |faults: DiskFaults, ms: u64| {
        cluster.operate(Operation::Kill(0));
        cluster.operate(Operation::Disk(0, faults));
        cluster.operate(Operation::Start(0));
        cluster.lines(0, ms)
    };
    let slow = DiskFaults { fsync_delay: Span::from_millis(70), ..DiskFaults::default() };
    assert_eq!(again(slow, 300), ["pages 1 1 1 1", "msync done after 70"]);
    let failing = DiskFaults { fsync_error: Some(1), ..DiskFaults::default() };
    assert_eq!(again(failing, 400), ["pages 2 2 2 2", "msync EIO after 0"]);
    cluster.operate(Operation::PowerOff(0, Loss::All));
    cluster.operate(Operation::Start(0));
    assert_eq!(cluster.lines(0, 500)[0], "pages 2 0 0 0", "what the failed one was to save is gone");
}

#[test]
fn a_paused_node_does_nothing_and_goes_on_later() {
    let mut cluster = Cluster::echo();
    cluster.run(1, 1000);
    cluster.operate(Operation::Pause(1));
    assert_eq!(cluster.lines(1, 3000), [""; 0]);
    cluster.operate(Operation::Resume(1));
    assert!(cluster.lines(1, 4000).len() >= 9);
    // A paused server: its kernel takes the request, nobody answers.
    cluster.operate(Operation::Pause(0));
    assert!(cluster.lines(1, 6000).len() <= 1);
    cluster.operate(Operation::Resume(0));
    assert!(cluster.lines(1, 7000).len() >= 9);
}

/// Both readings of a ticker's line, in milliseconds.
fn readings(line: &(u64, String)) -> (i64, i64) {
    let (wall, steady) = line.1.split_once(' ').expect("a line of a ticker");
    (wall.parse().expect("a number"), steady.parse().expect("a number"))
}

#[test]
fn a_clock_jump_moves_the_wall_clock_alone() {
    let mut cluster = Cluster::start(&[&["ticker"]]);
    let before = readings(cluster.run(0, 1500).last().expect("it ticks"));
    cluster.operate(Operation::ClockJump(0, -3_600_000_000_000));
    let lines = cluster.run(0, 2500);
    let after = readings(&lines[0]);
    assert_eq!((after.0 - before.0, after.1 - before.1), (1000 - 3_600_000, 1000));
    assert_eq!(lines.len(), 1, "the sleep was not touched");
}

#[test]
fn a_slow_clock_makes_sleeps_longer() {
    let mut cluster = Cluster::start(&[&["ticker"], &["ticker"]]);
    cluster.run(0, 500);
    cluster.operate(Operation::ClockRate(0, 50));
    let lines = cluster.run(0, 9000);
    let gaps: Vec<u64> = lines.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.len() >= 3 && gaps.iter().all(|gap| (2000..=2001).contains(gap)), "{gaps:?}");
    let shown: Vec<i64> = lines.windows(2).map(|pair| readings(&pair[1]).1 - readings(&pair[0]).1).collect();
    assert!(shown.iter().all(|ms| (1000..=1001).contains(ms)), "it is not noticed: {shown:?}");
    assert_eq!(stdout_of(cluster.sandbox(), 1).len(), 9, "the other node's clock is right");
}

#[test]
fn disk_faults_are_seen_by_the_calls_they_hit() {
    let mut cluster = Cluster::start(&[&["writer"]]);
    let bad = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| *line != "wrote 100" && *line != "fsync after 0").cloned().collect()
    };
    let lines = cluster.lines(0, 1000);
    assert_eq!((bad(&lines), lines.len()), (vec![], 20));
    cluster.operate(Operation::Disk(0, DiskFaults { fsync_error: Some(1), ..DiskFaults::default() }));
    assert_eq!(bad(&cluster.lines(0, 2000)), ["fsync EIO"], "reported once");
    cluster.operate(Operation::Disk(0, DiskFaults { space: Some(250), ..DiskFaults::default() }));
    let lines = bad(&cluster.lines(0, 3000));
    assert_eq!(lines[..2], ["wrote 50", "write ENOSPC"]);
    assert!(lines[1..].iter().all(|line| line == "write ENOSPC"), "{lines:?}");
    cluster.operate(Operation::Disk(
        0,
        DiskFaults { fsync_delay: Span::from_millis(300), ..DiskFaults::default() },
    ));
    let slow = cluster.lines(0, 5000);
    assert!(slow.iter().filter(|line| *line == "fsync after 300").count() >= 4, "{slow:?}");
    cluster.operate(Operation::Disk(0, DiskFaults { read_only: true, ..DiskFaults::default() }));
    assert!(cluster.lines(0, 6000).iter().any(|line| line == "write EROFS"));
    assert!(cluster.sandbox().disk_landed(0) > 0);
    cluster.operate(Operation::Disk(0, DiskFaults::default()));
    cluster.lines(0, 6200);
    assert_eq!(bad(&cluster.lines(0, 7000)), [""; 0], "healed");
}

#[test]
fn faults_of_the_disk_reach_requests_that_end_later() {
    let mut cluster = Cluster::start(&[&["requester"]]);
    let fine = ["durable 100 after 0", "loose 100 after 0"];
    let bad = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| !fine.contains(&line.as_str())).collect()
    };
    let lines = cluster.lines(0, 1050);
    assert_eq!((lines.len(), &lines[0], bad(lines[1..].to_vec())), (23, &"blocks 0 0".to_owned(), vec![]));
    let mut broken = |faults: DiskFaults, ms: u64| {
        cluster.operate(Operation::Disk(0, faults));
        let lines = bad(cluster.lines(0, ms));
        cluster.operate(Operation::Disk(0, DiskFaults::default()));
        let _on_its_way = cluster.lines(0, ms + 450);
        assert_eq!(bad(cluster.lines(0, ms + 950)), [""; 0], "healed");
        lines
    };
    let faults = DiskFaults::default;
    assert_eq!(broken(DiskFaults { fsync_error: Some(1), ..faults() }, 2050), ["durable EIO"]);
    assert_eq!(broken(DiskFaults { write_error: Some(1), ..faults() }, 4050), ["durable EIO"]);
    let full = broken(DiskFaults { space: Some(150), ..faults() }, 6050);
    assert_eq!(full[..3], ["loose 50 after 0", "durable ENOSPC", "loose ENOSPC"]);
    let slow = broken(DiskFaults { fsync_delay: Span::from_millis(300), ..faults() }, 8050);
    assert!(slow.len() >= 2 && slow.iter().all(|line| line == "durable 100 after 300"), "{slow:?}");
    let slow = broken(DiskFaults { write_delay: Span::from_millis(200), ..faults() }, 10_050);
    assert!(slow.contains(&"loose 100 after 200".to_owned()), "{slow:?}");
}

#[test]
fn a_request_on_its_way_ends_with_its_process_but_not_without_power() {
    let blocks = |last: Operation| {
        let mut cluster = Cluster::start(&[&["requester"]]);
        cluster.lines(0, 1050);
        // Eleven of each are written; the twelfth durable one is on its way for a second.
        let slow = DiskFaults { fsync_delay: Span::from_secs(1), ..DiskFaults::default() };
        cluster.operate(Operation::Disk(0, slow));
        cluster.lines(0, 1500);
        cluster.operate(last);
        cluster.operate(Operation::PowerOff(0, Loss::All));
        cluster.operate(Operation::Disk(0, DiskFaults::default()));
        cluster.operate(Operation::Start(0));
        cluster.lines(0, 1510).swap_remove(0)
    };
    assert_eq!(blocks(Operation::PowerOff(0, Loss::All)), "blocks 11 0");
    assert_eq!(blocks(Operation::Kill(0)), "blocks 12 0");
}

#[test]
fn a_partition_holds_messages_back_until_it_heals() {
    let mut cluster = Cluster::echo();
    cluster.run(1, 1000);
    let (server, client) = (HostId(0), HostId(1));
    let blocked = Link { blocked: true, ..Link::default() };
    cluster.operate(Operation::Link(client, server, blocked));
    assert!(cluster.lines(1, 5000).len() <= 1);
    assert!(cluster.sandbox().link_landed(client, server) > 0);
    cluster.operate(Operation::Link(client, server, Link::default()));
    let answers = cluster.lines(1, 15_000);
    assert!(answers.len() > 20 && answers.iter().all(|line| line.starts_with("answer")), "{answers:?}");
}

#[test]
fn a_reset_is_an_error_at_both_ends_and_the_server_lives() {
    let mut cluster = Cluster::echo();
    cluster.run(1, 1000);
    cluster.operate(Operation::Reset(HostId(0), HostId(1)));
    let last = cluster.lines(1, 2000).pop().unwrap_or_default();
    assert!(["read ECONNRESET", "write ECONNRESET", "write EPIPE"].contains(&last.as_str()), "{last}");
    assert!(cluster.sandbox().is_up(0));
    cluster.operate(Operation::Start(1));
    assert!(cluster.lines(1, 3000).len() >= 8, "a new connection works");
}
