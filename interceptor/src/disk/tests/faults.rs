//! One case per fault, and the edges of the disk: its budget, its clock, its root.

use super::{Node, key};
use crate::disk::{Admitted, Damage, DiskFaults, Landed, Loss};
use crate::time::{Instant, Span};
use nix::errno::Errno;
use std::fs;
use std::path::Path;

#[test]
fn an_append_is_torn_inside() {
    let before = vec![b'.'; 100];
    let payload = vec![b'x'; 3000];
    let mut lengths = Vec::new();
    for seed in 0..40 {
        let mut node = Node::new(seed);
        node.durable("log", &before);
        node.append("log", &payload);
        let lost = node.disk.power_loss(Loss::Torn).unwrap();
        let bytes = fs::read(node.path("log")).unwrap();
        assert!(lost.torn && (101..3100).contains(&bytes.len()), "{lost:?}");
        assert_eq!(lost.bytes, 3100 - bytes.len() as u64);
        assert!(bytes[100..].iter().all(|byte| *byte == b'x'));
        lengths.push(bytes.len());
    }
    assert!(lengths.iter().any(|len| len % 512 == 0) && lengths.iter().any(|len| len % 512 != 0));
}

#[test]
fn a_failed_fsync_is_reported_once_and_made_good_by_a_change_to_the_same_page_only() {
    for (next, then, left) in [(3, "newer", "newer"), (4096, "new", "old")] {
        let mut node = Node::new(1);
        node.durable("a", b"old");
        node.disk.set_faults(DiskFaults { fsync_error: Some(1), ..DiskFaults::default() });
        node.write("a", 0, b"new");
        assert_eq!(node.sync("a"), Err(Errno::EIO));
        assert_eq!(node.sync("a"), Ok(()));
        node.write("a", next, b"er");
        assert_eq!(node.sync("a"), Ok(()));
        assert_eq!(node.disk.landed(), Landed { syncs_failed: 1, ..Landed::default() });
        let begins = |node: &Node, with: &str| node.shown().starts_with(&format!("a={with}"));
        assert!(begins(&node, then), "{}", node.shown());
        node.disk.power_loss(Loss::All).unwrap();
        assert!(begins(&node, left), "{}", node.shown());
        assert!(node.shown().ends_with("er"));
    }
}

/// What a log does after a failed sync: it goes on behind the line that is in memory only. In the same page that line is
/// written with the next.
#[test]
fn a_log_that_goes_on_after_a_failed_sync_has_no_hole_within_a_page() {
    for loss in [Loss::All, Loss::Prefix, Loss::Torn, Loss::Subset] {
        for seed in 0..40 {
            let mut node = Node::new(seed);
            node.durable("log", b"one ");
            node.disk.set_faults(DiskFaults { fsync_error: Some(1), ..DiskFaults::default() });
            node.append("log", b"two ");
            assert_eq!(node.sync("log"), Err(Errno::EIO));
            node.append("log", b"three ");
            assert_eq!(node.sync("log"), Ok(()));
            node.append("log", b"four ");
            node.append("log", b"five ");
            node.disk.power_loss(loss).unwrap();
            let log = node.shown();
            assert!(log.starts_with("log=one two three "), "{log} after {loss:?}");
            assert!("log=one two three four five ".starts_with(&log), "{log} after {loss:?}");
        }
    }
}

#[test]
fn a_lying_fsync_saves_nothing_until_an_honest_one() {
    for (honest, left) in [(false, "a=old"), (true, "a=new b=")] {
        let mut node = Node::new(1);
        node.durable("a", b"old");
        node.disk.set_faults(DiskFaults { lying_fsync: true, ..DiskFaults::default() });
        node.write("a", 0, b"new");
        node.create("b", false).unwrap();
        node.sync("a").unwrap();
        node.sync("").unwrap();
        assert_eq!(node.disk.landed().syncs_lied, 2);
        node.disk.set_faults(DiskFaults::default());
        if honest {
            node.disk.sync_all().unwrap();
        }
        node.disk.power_loss(Loss::All).unwrap();
        assert_eq!(node.shown(), left);
    }
}

#[test]
fn space_runs_out_with_a_short_write_first() {
    let mut node = Node::new(1);
    node.durable("a", b"12345");
    node.disk.set_faults(DiskFaults { space: Some(4), ..DiskFaults::default() });
    let file = node.open("a");
    let admit = |node: &mut Node, offset, len| node.disk.admit_write(&file, offset, len);
    assert_eq!(admit(&mut node, 0, 5), Ok(Admitted { len: 5, delay: Span::ZERO }));
    assert_eq!(admit(&mut node, 3, 10), Ok(Admitted { len: 6, delay: Span::ZERO }));
    assert_eq!(node.disk.admit_allocate(&file, 10), Err(Errno::ENOSPC));
    node.write("a", 3, b"abcdef");
    assert_eq!(admit(&mut node, 9, 4), Err(Errno::ENOSPC));
    assert_eq!(node.disk.admit_create(), Err(Errno::ENOSPC));
    assert_eq!(admit(&mut node, 0, 9), Ok(Admitted { len: 9, delay: Span::ZERO }));
    let landed = node.disk.landed();
    assert_eq!((landed.writes_short, landed.refused_space), (1, 3));
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.disk.faults().space, Some(4));
    node.unlink("a").unwrap();
    assert_eq!(node.disk.faults().space, Some(9));
}

#[test]
fn counted_faults_run_out_and_delays_are_told() {
    let mut node = Node::new(1);
    node.durable("a", b"12345");
    node.disk.set_faults(DiskFaults {
        read_error: Some(1),
        write_error: Some(1),
        fsync_delay: Span::from_millis(7),
        write_delay: Span::from_millis(3),
        ..DiskFaults::default()
    });
    let file = node.open("a");
    assert_eq!(node.disk.admit_read(), Err(Errno::EIO));
    assert_eq!(node.disk.admit_read(), Ok(()));
    assert_eq!(node.disk.admit_write(&file, 0, 1), Err(Errno::EIO));
    assert_eq!(node.disk.admit_write(&file, 0, 1), Ok(Admitted { len: 1, delay: Span::from_millis(3) }));
    assert_eq!(node.disk.admit_sync(&file), Ok(Span::from_millis(7)));
    node.disk.set_faults(DiskFaults { read_only: true, ..DiskFaults::default() });
    assert_eq!(node.disk.admit_write(&file, 0, 1), Err(Errno::EROFS));
    assert_eq!(node.disk.admit_create(), Err(Errno::EROFS));
    assert_eq!(node.disk.admit_change(), Err(Errno::EROFS));
    let expected = Landed {
        reads_failed: 1,
        writes_failed: 1,
        writes_delayed: 1,
        syncs_delayed: 1,
        refused_read_only: 3,
        ..Landed::default()
    };
    assert_eq!(node.disk.landed(), expected);
}

#[test]
fn damage_outlives_the_undo() {
    let mut node = Node::new(3);
    node.durable("a", &[0; 64]);
    node.write("a", 0, &[0; 32]);
    let hit = node.disk.corrupt(None, Damage::BitFlips(3)).unwrap().unwrap();
    assert_eq!((hit.path.as_path(), hit.offsets.len()), (Path::new("a"), 3));
    node.disk.power_loss(Loss::All).unwrap();
    let bytes = fs::read(node.path("a")).unwrap();
    assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>() % 2, 1);
    let cut = node.disk.corrupt(Some(Path::new("a")), Damage::Truncation).unwrap().unwrap();
    assert_eq!(fs::metadata(node.path("a")).unwrap().len(), cut.offsets[0]);
    assert_eq!(node.disk.corrupt(Some(Path::new("none")), Damage::Truncation).unwrap(), None);
    assert_eq!(node.disk.corrupt(Some(Path::new("../n1.graveyard")), Damage::Truncation).unwrap(), None);
    assert_eq!(node.disk.landed().corruptions, 2);
}

#[test]
fn past_the_budget_the_oldest_changes_are_written_back() {
    let mut node = Node::new(1);
    for name in ["a", "b", "c"] {
        node.durable(name, &[b'.'; 1000]);
    }
    node.disk.set_budget(4200);
    node.write("b", 0, &[b'1'; 1000]);
    node.write("a", 0, &[b'2'; 1000]);
    node.write("c", 0, b"3");
    assert!(node.disk.held() <= 4200);
    node.disk.power_loss(Loss::All).unwrap();
    let begins = |name: &str| fs::read(node.path(name)).unwrap()[0];
    assert_eq!([begins("a"), begins("b"), begins("c")], [b'.', b'1', b'.']);
}

#[test]
fn what_is_larger_than_the_journal_is_written_at_once() {
    let mut node = Node::new(1);
    node.durable("a", &[b'.'; 9000]);
    node.disk.set_budget(5000);
    node.write("a", 0, b"x");
    node.truncate("a", 10);
    assert_eq!(node.disk.held(), 0);
    node.write("a", 1, b"y");
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=x.........");
}

#[test]
fn a_drive_that_lies_has_a_cache_of_a_size() {
    let mut node = Node::new(1);
    node.durable("a", b"");
    node.disk.set_budget(10_000);
    node.disk.set_faults(DiskFaults { lying_fsync: true, ..DiskFaults::default() });
    for turn in 0..30 {
        node.append("a", &[b'a' + turn; 1000]);
        node.sync("a").unwrap();
        assert!(node.disk.held() <= 10_000);
    }
    node.disk.power_loss(Loss::All).unwrap();
    let left = fs::metadata(node.path("a")).unwrap().len();
    assert!((18_000..30_000).contains(&left), "{left}");
}

#[test]
fn very_many_names_are_committed_by_halves() {
    let mut node = Node::new(1);
    node.mkdir("d").unwrap();
    let count = 100;
    node.disk.names_max = count;
    for _ in 0..count / 2 {
        node.rename("d", "e").unwrap();
        node.rename("e", "d").unwrap();
    }
    assert_eq!(node.disk.power_loss(Loss::All).unwrap().name_ops_undone, count as u64 / 2 + 1);
    assert_eq!(node.shown(), "e/");
}

#[test]
fn times_follow_the_virtual_clock_and_a_loss_turns_them_back() {
    let mut node = Node::new(1);
    node.durable("a", b"1");
    let key = key(&node, "a");
    node.disk.inodes_mut().touched(key, Instant(10));
    node.write("a", 0, b"2");
    node.disk.inodes_mut().touched(key, Instant(20));
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.disk.inodes().mtime(key), Some(Instant(10)));
}

#[test]
fn paths_are_covered_by_where_they_lead() {
    let mut node = Node::new(1);
    node.mkdir("d").unwrap();
    assert!(node.disk.covers(&node.path("d/../x")));
    assert!(node.disk.covers(node.disk.root()));
    assert!(!node.disk.covers(&node.path("../n1.graveyard/x")));
    assert!(!node.disk.covers(Path::new("/etc/passwd")));
    std::os::unix::fs::symlink("/etc", node.path("d/out")).unwrap();
    assert!(!node.disk.covers(&node.path("d/out/passwd")));
}
