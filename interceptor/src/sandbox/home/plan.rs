//! The steps that make a node's root: first the host's files, read only, then the node's own over them.

use super::furniture::{COVERED, Furniture, Use};
use crate::sandbox::system_files;
use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tracer::{Restriction, Step};

/// Where a root is put together, in the room.
const STAGE: &str = ".root";

/// What there is by a name in a directory of the host.
enum Entry {
    Directory,
    File,
    Link(PathBuf),
}

/// The steps of a root on this host.
pub fn native(room: &Path, own: &[Furniture]) -> Vec<Step> {
    let stage = room.join(STAGE);
    let within = |path: &Path| stage.join(path.strip_prefix("/").unwrap_or(path));
    let mut steps = vec![Step::Memory(text(&stage))];
    for (name, entry) in entries(Path::new("/")) {
        let path = Path::new("/").join(&name);
        // The directory of settings is ours, so that files can be in it that are not on the host.
        if path == Path::new("/etc") || COVERED.iter().any(|covered| path == Path::new(covered)) {
            continue;
        }
        steps.extend(host(&path, &entry, &within(&path)));
    }
    for covered in COVERED.iter().map(Path::new).chain([Path::new("/etc")]) {
        if covered.components().count() == 2 {
            steps.push(Step::Directory(text(&within(covered))));
        }
    }
    let ours = |path: &Path| own.iter().any(|own| own.at == path);
    for (name, entry) in entries(Path::new("/etc")) {
        let path = Path::new("/etc").join(&name);
        if !ours(&path) && !system_files::LEFT_OUT.iter().any(|left| name == *left) {
            steps.extend(host(&path, &entry, &within(&path)));
        }
    }
    for own in own.iter().filter(|own| own.what != Use::Shown) {
        let parent = own.at.parent().unwrap_or(&own.at);
        if parent == Path::new(super::BASE) {
            steps.push(Step::Directory(text(&within(&own.at))));
        } else if parent == Path::new("/etc") {
            steps.push(Step::File(text(&within(&own.at))));
        }
    }
    steps.push(Step::Restrict { at: text(&stage), how: Restriction::READ_ONLY, all: true });
    for own in own {
        steps.extend(put(own, &within(&own.at)));
    }
    // A room that is no file system of its own is a directory of the host; it is covered where it can be seen.
    let can_be_seen = !COVERED.iter().any(|covered| room.starts_with(covered));
    if can_be_seen {
        steps.push(Step::Memory(text(&within(room))));
    }
    steps.push(Step::Root(text(&stage)));
    steps
}

/// The steps that put a node's own into a container.
pub fn container(own: &[Furniture], namespace: OwnedFd) -> Vec<Step> {
    let take = |(slot, own): (usize, &Furniture)| Step::Take { slot, from: text(&own.from), all: false };
    let mut steps: Vec<Step> = own.iter().enumerate().map(take).collect();
    steps.push(Step::Enter(namespace));
    for (slot, own) in own.iter().enumerate() {
        if own.at.parent() == Some(Path::new(super::BASE)) {
            steps.push(Step::Directory(text(&own.at)));
        }
        steps.push(Step::Put { slot, at: text(&own.at) });
        steps.push(restrict(own, &own.at));
    }
    steps
}

/// Where roots are put together.
pub fn stage(room: &Path) -> PathBuf {
    room.join(STAGE)
}

fn put(own: &Furniture, at: &Path) -> [Step; 3] {
    let all = own.what == Use::Shown;
    [
        Step::Take { slot: 0, from: text(&own.from), all },
        Step::Put { slot: 0, at: text(at) },
        restrict(own, at),
    ]
}

fn restrict(own: &Furniture, at: &Path) -> Step {
    let how = match own.what {
        Use::Disk | Use::Memory | Use::Passing => Restriction::PLAIN,
        Use::Fixed | Use::Shown => Restriction::READ_ONLY,
        Use::Device => Restriction::DEVICE,
    };
    Step::Restrict { at: text(at), how, all: own.what == Use::Shown }
}

/// The steps that show something of the host.
fn host(path: &Path, entry: &Entry, at: &Path) -> Vec<Step> {
    let place = match entry {
        Entry::Link(to) => return vec![Step::Link { to: text(to), at: text(at) }],
        Entry::Directory => Step::Directory(text(at)),
        Entry::File => Step::File(text(at)),
    };
    vec![place, Step::Take { slot: 0, from: text(path), all: true }, Step::Put { slot: 0, at: text(at) }]
}

/// What is in a directory of the host, but for sockets and devices.
fn entries(directory: &Path) -> BTreeMap<OsString, Entry> {
    let found = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let entry = |entry: std::fs::DirEntry| {
        let kind = entry.file_type().ok()?;
        let what = if kind.is_symlink() {
            Entry::Link(std::fs::read_link(entry.path()).ok()?)
        } else if kind.is_dir() {
            Entry::Directory
        } else if kind.is_file() {
            Entry::File
        } else {
            return None;
        };
        Some((entry.file_name(), what))
    };
    found.filter_map(entry).collect()
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
