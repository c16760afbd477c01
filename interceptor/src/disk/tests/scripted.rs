//! One case per rule of durability.

use super::{Node, key};
use crate::disk::{Fallocate, Loss, Lost, NameCall};
use nix::fcntl::{AT_FDCWD, FallocateFlags, RenameFlags, fallocate, renameat2};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};

const LOSSES: [Loss; 4] = [Loss::All, Loss::Prefix, Loss::Subset, Loss::Torn];

#[test]
fn a_write_without_fsync_is_lost() {
    let mut node = Node::new(1);
    node.durable("a", b"hello");
    node.write("a", 1, b"EYEYE");
    let lost = node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=hello");
    let told = vec!["a lost 5 bytes".to_owned()];
    assert_eq!(lost, Lost { data_ops_undone: 1, bytes: 5, told, ..Lost::default() });
    assert_eq!(node.disk.landed().power_losses, 1);
    assert_eq!(node.disk.held(), 0);
}

#[test]
fn synced_data_survives_every_loss() {
    for loss in LOSSES {
        let mut node = Node::new(1);
        node.durable("a", b"hello");
        node.write("a", 3, b"p me");
        node.sync("a").unwrap();
        assert_eq!(node.disk.power_loss(loss).unwrap(), Lost::default());
        assert_eq!(node.shown(), "a=help me");
    }
}

#[test]
fn a_new_file_needs_its_directory_synced() {
    let mut node = Node::new(1);
    for (name, named) in [("a", true), ("b", false)] {
        node.create(name, false).unwrap();
        node.write(name, 0, b"data");
        node.sync(name).unwrap();
        if named {
            node.sync("").unwrap();
        }
    }
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=data");
}

#[test]
fn a_durable_name_may_have_no_data() {
    let mut node = Node::new(1);
    node.create("a", false).unwrap();
    node.write("a", 0, b"data");
    node.sync("").unwrap();
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=");
}

#[test]
fn a_rename_needs_its_directory_synced() {
    for (synced, left) in [(false, "conf=old conf.tmp=new"), (true, "conf=new")] {
        let mut node = Node::new(1);
        node.durable("conf", b"old");
        node.create("conf.tmp", false).unwrap();
        node.sync("").unwrap();
        node.write("conf.tmp", 0, b"new");
        node.sync("conf.tmp").unwrap();
        node.rename("conf.tmp", "conf").unwrap();
        assert_eq!(node.graves(), 1);
        if synced {
            node.sync("").unwrap();
            assert_eq!(node.graves(), 0);
        }
        node.disk.power_loss(Loss::All).unwrap();
        assert_eq!(node.shown(), left);
        assert_eq!(node.graves(), 0);
    }
}

#[test]
fn a_rename_over_unsynced_data_leaves_an_empty_file() {
    let mut node = Node::new(1);
    node.durable("conf", b"old");
    node.create("conf.tmp", false).unwrap();
    node.write("conf.tmp", 0, b"new");
    node.rename("conf.tmp", "conf").unwrap();
    node.sync("").unwrap();
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "conf=");
}

#[test]
fn deleted_files_come_back_with_their_inode() {
    let mut node = Node::new(1);
    node.durable("a", b"precious");
    let (real, number) = (key(&node, "a"), node.disk.inodes().known(key(&node, "a")));
    let held_open = node.open("a");
    node.unlink("a").unwrap();
    assert_eq!(held_open.metadata().unwrap().nlink() - node.disk.excess_links(real), 0);
    let pending = node.disk.before_write(&held_open, 0, 4).unwrap();
    held_open.write_all_at(b"gone", 0).unwrap();
    node.disk.after_write(pending, &held_open, 4).unwrap();
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=precious");
    assert_eq!(key(&node, "a"), real);
    assert_eq!(node.disk.inodes().known(real), number);
}

#[test]
fn a_durable_deletion_frees_the_inode_and_its_journal() {
    let mut node = Node::new(1);
    node.durable("a", b"old");
    let held_open = node.open("a");
    node.write("a", 0, b"new");
    node.unlink("a").unwrap();
    node.sync("").unwrap();
    assert_eq!((node.graves(), node.disk.held()), (0, 0));
    let pending = node.disk.before_write(&held_open, 0, 3).unwrap();
    held_open.write_all_at(b"xyz", 0).unwrap();
    node.disk.after_write(pending, &held_open, 3).unwrap();
    assert_eq!(node.disk.held(), 0);
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "");
}

#[test]
fn truncation_is_undone() {
    for (len, now) in [(0, "a="), (4, "a=0123"), (12, "a=0123456789__")] {
        let mut node = Node::new(1);
        node.durable("a", b"0123456789");
        node.truncate("a", len);
        assert_eq!(node.shown(), now);
        node.write("a", 1, b"zz");
        node.disk.power_loss(Loss::All).unwrap();
        assert_eq!(node.shown(), "a=0123456789");
    }
}

#[test]
fn open_with_truncation_is_undone() {
    let mut node = Node::new(1);
    node.durable("a", b"0123456789");
    node.create("a", true).unwrap();
    node.write("a", 0, b"xyz");
    assert_eq!(node.shown(), "a=xyz");
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=0123456789");
}

#[test]
fn holes_are_zeros_and_are_undone() {
    let mut node = Node::new(1);
    node.durable("a", b"abc");
    node.write("a", 6, b"xyz");
    assert_eq!(node.shown(), "a=abc___xyz");
    let file = node.open("a");
    let pending = node.disk.before_fallocate(&file, Fallocate::Punch, 1, 7).unwrap();
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&file, punch, 1, 7).unwrap();
    node.disk.after_resize(pending, true);
    assert_eq!(node.shown(), "a=a_______z");
    node.sync("a").unwrap();
    node.write("a", 20, b"far");
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=a_______z");
}

#[test]
fn preallocation_costs_no_memory_and_is_undone() {
    let mut node = Node::new(1);
    node.durable("wal", b"head");
    let file = node.open("wal");
    let mode = Fallocate::Allocate { keep_size: false };
    let pending = node.disk.before_fallocate(&file, mode, 0, 1 << 24).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, 1 << 24).unwrap();
    node.disk.after_resize(pending, true);
    node.sync("wal").unwrap();
    node.truncate("wal", 4);
    assert!(node.disk.held() < 100, "no more than the changes themselves");
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(fs::metadata(node.path("wal")).unwrap().len(), 1 << 24);
}

#[test]
fn directories_and_what_they_hold_are_undone() {
    let mut node = Node::new(1);
    node.mkdir("old").unwrap();
    fs::set_permissions(node.path("old"), fs::Permissions::from_mode(0o750)).unwrap();
    node.durable("a", b"1");
    node.rmdir("old").unwrap();
    node.mkdir("new").unwrap();
    node.rename("a", "new/a").unwrap();
    node.link("new/a", "new/b").unwrap();
    node.rename("new", "newer").unwrap();
    let link = node.path("newer/s");
    let pending = node.disk.before_name(NameCall::Create(&link)).unwrap();
    std::os::unix::fs::symlink("b", &link).unwrap();
    node.disk.after_name(pending, true).unwrap();
    node.unlink("newer/s").unwrap();
    assert_eq!(node.shown(), "newer/ newer/a=1 newer/b=1");
    let lost = node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(lost.name_ops_undone, 7);
    assert_eq!(node.shown(), "a=1 old/");
    assert_eq!(fs::metadata(node.path("old")).unwrap().permissions().mode() & 0o777, 0o750);
}

#[test]
fn exchanged_names_are_exchanged_back() {
    let mut node = Node::new(1);
    node.durable("a", b"1");
    node.durable("b", b"2");
    let (a, b) = (node.path("a"), node.path("b"));
    let pending = node.disk.before_name(NameCall::Exchange(&a, &b)).unwrap();
    renameat2(AT_FDCWD, &a, AT_FDCWD, &b, RenameFlags::RENAME_EXCHANGE).unwrap();
    node.disk.after_name(pending, true).unwrap();
    assert_eq!(node.shown(), "a=2 b=1");
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=1 b=2");
}

#[test]
fn a_directory_sync_reaches_back_but_not_forward() {
    let mut node = Node::new(1);
    node.mkdir("d").unwrap();
    node.create("a", false).unwrap();
    node.create("d/b", false).unwrap();
    node.create("c", false).unwrap();
    node.sync("d").unwrap();
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a= d/ d/b=");
}

#[test]
fn a_failed_call_leaves_no_trace() {
    let mut node = Node::new(1);
    node.durable("a", b"1");
    node.mkdir("d").unwrap();
    node.create("d/x", false).unwrap();
    node.disk.sync_all().unwrap();
    assert!(node.rename("d", "a").is_err());
    assert!(node.rename("a", "d").is_err());
    assert!(node.rmdir("d").is_err());
    assert!(node.unlink("d").is_err());
    assert!(node.mkdir("a").is_err());
    assert!(node.create("none/x", false).is_err());
    assert_eq!(node.graves(), 0);
    assert_eq!(node.disk.power_loss(Loss::All).unwrap(), Lost::default());
    assert_eq!(node.shown(), "a=1 d/ d/x=");
}

#[test]
fn a_file_without_a_name_may_get_one() {
    let mut node = Node::new(1);
    let mut file =
        File::options().read(true).write(true).custom_flags(libc::O_TMPFILE).open(node.path("")).unwrap();
    node.disk.unnamed(&file).unwrap();
    let pending = node.disk.before_write(&file, 0, 4).unwrap();
    file.write_all(b"data").unwrap();
    node.disk.after_write(pending, &file, 4).unwrap();
    node.disk.sync(&file).unwrap();
    let path = node.path("a");
    let pending = node.disk.before_name(NameCall::Link(&path)).unwrap();
    let open = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    let follow = nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW;
    nix::unistd::linkat(AT_FDCWD, open.as_str(), AT_FDCWD, &path, follow).unwrap();
    node.disk.after_name(pending, true).unwrap();
    assert_eq!(node.graves(), 0);
    node.sync("").unwrap();
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=data");
}

#[test]
fn stores_through_memory_are_found_at_a_sync_and_at_a_loss() {
    let mut node = Node::new(1);
    node.durable("shm", b"0123456789");
    let file = node.open("shm");
    node.disk.mapped(&file).unwrap();
    file.write_all_at(b"ab", 0).unwrap();
    node.write("shm", 2, b"CD");
    node.sync("shm").unwrap();
    file.write_all_at(b"zz", 8).unwrap();
    node.disk.sync_all().unwrap();
    file.write_all_at(b"!!", 4).unwrap();
    let lost = node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(lost.data_ops_undone, 1);
    assert_eq!(node.shown(), "shm=abCD4567zz");
}

/// The store is older than the write, and lost with it: neither makes the other durable.
#[test]
fn a_store_beneath_a_later_write_is_undone_too() {
    for loss in [Loss::All, Loss::Prefix] {
        let mut node = Node::new(1);
        node.durable("shm", b"0123456789");
        let file = node.open("shm");
        node.disk.mapped(&file).unwrap();
        file.write_all_at(b"abcdef", 0).unwrap();
        node.write("shm", 2, b"CD");
        node.truncate("shm", 5);
        node.disk.power_loss(loss).unwrap();
        let left = node.shown();
        assert!(
            ["shm=0123456789", "shm=abcdef6789", "shm=abCDef6789", "shm=abCDe"].contains(&left.as_str()),
            "{left}"
        );
    }
}

#[test]
fn stores_are_durable_by_a_sync_of_their_pages_and_by_no_end_of_the_mapping() {
    let mut node = Node::new(1);
    node.durable("a", &[b'.'; 9000]);
    let file = node.open("a");
    node.disk.mapped(&file).unwrap();
    for at in [0, 4096, 8192] {
        file.write_all_at(b"x", at).unwrap();
    }
    node.disk.sync_range(&file, 4096, 10).unwrap();
    file.write_all_at(b"y", 4097).unwrap();
    node.disk.unmapped(|_| false).unwrap();
    assert!(!node.disk.is_mapped());
    node.disk.power_loss(Loss::All).unwrap();
    let bytes = fs::read(node.path("a")).unwrap();
    assert_eq!((bytes[0], &bytes[4096..4098], bytes[8192]), (b'.', &b"x."[..], b'.'));
}

#[test]
fn a_power_loss_tells_what_is_gone() {
    let mut node = Node::new(1);
    node.durable("CURRENT", b"1");
    node.create("CURRENT.tmp", false).unwrap();
    node.write("CURRENT.tmp", 0, b"2");
    node.sync("CURRENT.tmp").unwrap();
    node.rename("CURRENT.tmp", "CURRENT").unwrap();
    node.mkdir("log").unwrap();
    node.create("log/1", false).unwrap();
    node.write("log/1", 0, b"entry");
    let lost = node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(lost.told, ["log/ is gone with all in it", "CURRENT leads to what it led to before"]);
    assert_eq!((lost.bytes, lost.name_ops_undone), (5, 4));
}

#[test]
fn a_range_sync_saves_its_pages_only() {
    let mut node = Node::new(1);
    node.durable("a", &[b'.'; 5000]);
    node.write("a", 0, b"xx");
    node.write("a", 4096, b"zz");
    node.write("a", 4990, b"yyyy");
    let file = node.open("a");
    node.disk.sync_range(&file, 4990, 4).unwrap();
    node.disk.power_loss(Loss::All).unwrap();
    let bytes = fs::read(node.path("a")).unwrap();
    assert_eq!((&bytes[..2], &bytes[4096..4098], &bytes[4990..4994]), (&b".."[..], &b"zz"[..], &b"yyyy"[..]));
}

#[test]
fn a_read_only_file_is_undone_too() {
    let mut node = Node::new(1);
    node.durable("a", b"old");
    node.write("a", 0, b"new");
    fs::set_permissions(node.path("a"), fs::Permissions::from_mode(0o400)).unwrap();
    node.disk.power_loss(Loss::All).unwrap();
    assert_eq!(node.shown(), "a=old");
    assert_eq!(fs::metadata(node.path("a")).unwrap().permissions().mode() & 0o777, 0o400);
}
