//! Random calls, made on a real directory and in the model.

use super::model::{Edit, Model, Tree, judge, parent};
use super::{Node, key};
use crate::disk::{DiskFaults, Loss};
use proptest::prelude::*;
use std::os::unix::fs::FileExt;
use std::path::Path;

const NAMES: [&str; 7] = ["a", "b", "d", "e", "d/a", "d/b", "e/a"];

/// One call, on names by index.
#[derive(Clone, Debug)]
enum Call {
    Open { name: usize, truncate: bool },
    Write { name: usize, offset: u16, len: u16, fill: u8 },
    Append { name: usize, len: u16, fill: u8 },
    Truncate { name: usize, len: u16 },
    Sync { name: usize, fails: bool },
    SyncRange { name: usize, offset: u16, len: u16, fails: bool },
    Map { name: usize },
    Store { name: usize, offset: u16, len: u16, fill: u8 },
    SyncDir { name: usize },
    SyncAll,
    Mkdir { name: usize },
    Rmdir { name: usize },
    Unlink { name: usize },
    Link { from: usize, to: usize },
    Rename { from: usize, to: usize },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let name = || 0..NAMES.len();
    let call = prop_oneof![
        4 => (name(), any::<bool>()).prop_map(|(name, truncate)| Call::Open { name, truncate }),
        6 => (name(), 0..7000u16, 1..2000u16, 1..=255u8)
            .prop_map(|(name, offset, len, fill)| Call::Write { name, offset, len, fill }),
        3 => (name(), 1..1500u16, 1..=255u8).prop_map(|(name, len, fill)| Call::Append { name, len, fill }),
        2 => (name(), 0..4000u16).prop_map(|(name, len)| Call::Truncate { name, len }),
        2 => (name(), prop::bool::weighted(0.3)).prop_map(|(name, fails)| Call::Sync { name, fails }),
        1 => (name(), 0..7000u16, 1..2000u16, prop::bool::weighted(0.3))
            .prop_map(|(name, offset, len, fails)| Call::SyncRange { name, offset, len, fails }),
        2 => name().prop_map(|name| Call::Map { name }),
        5 => (name(), 0..7000u16, 1..2000u16, 0..=255u8)
            .prop_map(|(name, offset, len, fill)| Call::Store { name, offset, len, fill }),
        2 => name().prop_map(|name| Call::SyncDir { name }),
        1 => Just(Call::SyncAll),
        2 => name().prop_map(|name| Call::Mkdir { name }),
        1 => name().prop_map(|name| Call::Rmdir { name }),
        2 => name().prop_map(|name| Call::Unlink { name }),
        1 => (name(), name()).prop_map(|(from, to)| Call::Link { from, to }),
        3 => (name(), name()).prop_map(|(from, to)| Call::Rename { from, to }),
    ];
    prop::collection::vec(call, 1..40)
}

/// Makes one call on the node and, if it succeeded, in the model.
fn make(node: &mut Node, model: &mut Model, call: &Call) {
    match *call {
        Call::Open { name, truncate } => {
            let name = NAMES[name];
            let old = model.file(name);
            if node.create(name, truncate).is_err() {
                return;
            }
            match old {
                Some(file) if truncate => model.edit(file, Edit::SetLen(0)),
                Some(_) => {}
                None => {
                    let file = model.fresh_file(Vec::new());
                    model.rename_all(&[name], |names| {
                        _ = names.insert(name.to_owned(), file);
                    });
                }
            }
        }
        Call::Write { name, offset, len, fill } => {
            let Some(file) = model.file(NAMES[name]) else { return };
            let data = payload(len, fill);
            node.write(NAMES[name], offset.into(), &data);
            model.edit(file, Edit::Write { offset: offset.into(), data });
        }
        Call::Append { name, len, fill } => {
            let Some(file) = model.file(NAMES[name]) else { return };
            let data = payload(len, fill);
            node.append(NAMES[name], &data);
            let offset = model.bytes(file, &|_| usize::MAX).len();
            model.edit(file, Edit::Write { offset, data });
        }
        Call::Truncate { name, len } => {
            let Some(file) = model.file(NAMES[name]) else { return };
            node.truncate(NAMES[name], len.into());
            model.edit(file, Edit::SetLen(len.into()));
        }
        Call::Sync { name, fails } => {
            let Some(file) = model.file(NAMES[name]) else { return };
            let fsync_error = fails.then_some(1);
            node.disk.set_faults(DiskFaults { fsync_error, ..DiskFaults::default() });
            assert_eq!(node.sync(NAMES[name]).is_err(), fails);
            model.sync(file, fails, 0..usize::MAX);
        }
        Call::SyncRange { name, offset, len, fails } => {
            let Some(file) = model.file(NAMES[name]) else { return };
            let open = node.open(NAMES[name]);
            let fsync_error = fails.then_some(1);
            node.disk.set_faults(DiskFaults { fsync_error, ..DiskFaults::default() });
            let range = u64::from(offset)..u64::from(offset) + u64::from(len);
            assert_eq!(node.disk.admit_sync_range(&open, range).is_err(), fails);
            if !fails {
                node.disk.sync_range(&open, offset.into(), len.into()).unwrap();
            }
            model.sync(file, fails, offset.into()..usize::from(offset) + usize::from(len));
        }
        Call::Map { name } => {
            let Some(file) = model.file(NAMES[name]) else { return };
            node.disk.mapped(&node.open(NAMES[name])).unwrap();
            model.map(file, node.disk.inodes().known(key(node, NAMES[name])).unwrap());
        }
        Call::Store { name, offset, len, fill } => {
            let Some(file) = model.file(NAMES[name]) else { return };
            let data = vec![fill; len.into()];
            let fits = model.store(file, offset.into(), &data);
            // As the page cache has it: the file holds it at once, and no call was made.
            node.open(NAMES[name]).write_all_at(&data[..fits], offset.into()).unwrap();
        }
        Call::SyncDir { name } => {
            let name = parent(NAMES[name]);
            let Some(dir) = model.dir(name) else { return };
            node.sync(name).unwrap();
            model.sync_dir(dir);
        }
        Call::SyncAll => {
            node.disk.sync_all().unwrap();
            model.look_at_all();
            model.sync_all();
        }
        Call::Mkdir { name } => {
            if node.mkdir(NAMES[name]).is_ok() {
                let dir = model.fresh_dir();
                model.rename_all(&[NAMES[name]], |names| {
                    _ = names.insert(NAMES[name].to_owned(), dir);
                });
            }
        }
        Call::Rmdir { name } => {
            if node.rmdir(NAMES[name]).is_ok() {
                model.rename_all(&[NAMES[name]], |names| {
                    _ = names.remove(NAMES[name]);
                });
            }
        }
        Call::Unlink { name } => {
            if node.unlink(NAMES[name]).is_ok() {
                model.rename_all(&[NAMES[name]], |names| {
                    _ = names.remove(NAMES[name]);
                });
            }
        }
        Call::Link { from, to } => {
            let inode = model.names().get(NAMES[from]).copied();
            if node.link(NAMES[from], NAMES[to]).is_ok() {
                let inode = inode.expect("the node has it");
                model.rename_all(&[NAMES[to]], |names| {
                    _ = names.insert(NAMES[to].to_owned(), inode);
                });
            }
        }
        Call::Rename { from, to } => {
            let (from, to) = (NAMES[from], NAMES[to]);
            let same = model.names().get(from) == model.names().get(to);
            if node.rename(from, to).is_ok() && !same {
                model.rename_all(&[from, to], |names| {
                    let moved: Vec<String> =
                        names.keys().filter(|name| Path::new(name).starts_with(from)).cloned().collect();
                    for name in moved {
                        let inode = names.remove(&name).expect("just listed");
                        names.insert(format!("{to}{}", &name[from.len()..]), inode);
                    }
                });
            }
        }
    }
}

/// Bytes that tell their place, so that a piece from the wrong offset is noticed; never zero.
fn payload(len: u16, fill: u8) -> Vec<u8> {
    (0..len).map(|at| (fill.wrapping_add((at / 7) as u8)).max(1)).collect()
}

/// The tree after a loss, and the virtual inode numbers of its names.
type Outcome = (Tree, Vec<Option<u64>>);

fn check(parent: &Path, seed: u64, rounds: &[(Vec<Call>, Loss)]) -> Result<Vec<Outcome>, TestCaseError> {
    let mut node = Node::within(parent, seed);
    let mut outcomes = Vec::new();
    for (calls, loss) in rounds {
        let mut model = Model::of(&node.tree(), &|a, b| key(&node, a) == key(&node, b));
        for call in calls {
            make(&mut node, &mut model, call);
        }
        prop_assert_eq!(&node.tree(), &model.tree_now(), "the model lost track");
        node.disk.power_loss(*loss).unwrap();
        model.look_at_all();
        let tree = node.tree();
        judge(*loss, &model, &tree)?;
        prop_assert_eq!((node.graves(), node.disk.held()), (0, 0));
        let number = |name: &String| node.disk.inodes().known(key(&node, name));
        let numbers = tree.keys().map(number).collect();
        outcomes.push((tree, numbers));
    }
    Ok(outcomes)
}

fn losses() -> impl Strategy<Value = Loss> {
    prop_oneof![Just(Loss::All), Just(Loss::Prefix), Just(Loss::Subset), Just(Loss::Torn)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_survives_is_what_the_rules_allow(
        seed in any::<u64>(),
        rounds in prop::collection::vec((calls(), losses()), 1..4),
    ) {
        check(&std::env::temp_dir(), seed, &rounds)?;
    }

    /// With little room the journal writes files back by itself: what is left of each is then what it was at some time.
    #[test]
    fn what_is_volatile_is_bounded(seed in any::<u64>(), calls in calls(), budget in 1000..9000_u64) {
        let mut node = Node::within(&std::env::temp_dir(), seed);
        node.disk.set_budget(budget);
        let mut model = Model::of(&node.tree(), &|_, _| false);
        for call in &calls {
            let plain = !matches!(
                call,
                Call::Sync { fails: true, .. } | Call::SyncRange { .. } | Call::Map { .. } | Call::Rename { .. }
            );
            if plain {
                make(&mut node, &mut model, call);
            }
            prop_assert!(node.disk.held() <= budget, "{} of {budget}", node.disk.held());
        }
        node.disk.power_loss(Loss::All).unwrap();
        let tree = node.tree();
        prop_assert!(model.is_written_back(&tree), "{tree:?}");
    }

    /// Other inode numbers, another file system if there is one, the same outcome.
    #[test]
    fn a_loss_depends_on_the_seed_alone(
        seed in any::<u64>(),
        rounds in prop::collection::vec((calls(), losses()), 1..3),
    ) {
        let memory = Path::new("/dev/shm");
        let other = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        prop_assert_eq!(check(&std::env::temp_dir(), seed, &rounds)?, check(&other, seed, &rounds)?);
    }
}
