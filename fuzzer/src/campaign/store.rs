//! The campaign's directory.
//!
//! ```text
//! OUT/campaign.toml     what campaign it is; resumed only by the same one
//! OUT/campaign.state    everything else that is remembered, one frame
//! OUT/corpus/*.toml     executed schedules that showed something new, for people too
//! OUT/quarantine/       damaged files
//! OUT/undecided/        schedules of the first runs that could not be judged
//! OUT/environment.toml  what it runs on, and the target's manifest: by it schedules in OUT find their target
//! OUT/lock              held while a campaign runs
//! ```
//!
//! Files are written beside their place and renamed into it, so that each is whole or absent whenever the
//! program dies. What it does not know (events, reproducers, reports) it leaves alone.

use super::config::Search;
use super::error::CampaignError;
use super::event::CampaignEvent;
use super::input::entry_name;
use crate::codec;
use crate::plain;
use crate::schedule::{self, Schedule};
use interceptor::sandbox::Clock;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The format of the identity file and of what it stands for.
const FORMAT: u32 = 1;
/// The longest identity file that is read, in bytes.
const IDENTITY_MAX: usize = 1 << 20;
/// The longest state that is read, in bytes: a frame, and what a damaged one may have behind it.
const STATE_MAX: usize = codec::PAYLOAD_MAX + 1024;
/// What files begin with until they are whole.
const TEMPORARY: &str = ".tmp-";
/// The file of the state.
const STATE: &str = "campaign.state";
/// What may lie in the directory of a campaign that is about to begin.
const COMPANIONS: [&str; 8] = [
    "lock",
    "corpus",
    "quarantine",
    "undecided",
    "findings",
    "events.jsonl",
    "report.html",
    "environment.toml",
];
/// So many schedules of runs that could not be judged are kept.
const UNDECIDED_MAX: usize = 8;

/// Which campaign a directory holds. All of it must be the same for a resumption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    format: u32,
    pub(super) target: String,
    pub(super) manifest: String,
    pub(super) binary: String,
    #[serde(default)]
    pub(super) clock: Clock,
    pub(super) bugs: Vec<String>,
    pub(super) nodes: u8,
    pub(super) agent: String,
    /// Older campaigns searched by fixed weights.
    #[serde(default = "fixed")]
    pub(super) search: Search,
    /// As text: TOML has no numbers of 64 bits without sign.
    pub(super) seed: String,
    pub(super) horizon_ms: u64,
}

fn fixed() -> Search {
    Search::Fixed
}

/// The state of the campaign in a directory, if there is one.
pub(super) fn read_state_in(out: &Path) -> Result<Option<Vec<u8>>, CampaignError> {
    let path = out.join(STATE);
    match plain::bytes(&path, STATE_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CampaignError::io("read", &path)(error)),
    }
}

impl Identity {
    /// An identity of this version's format.
    pub(super) fn of(config: &super::CampaignConfig) -> Self {
        Self {
            format: FORMAT,
            target: config.target.clone(),
            manifest: config.target_digest.clone(),
            binary: config.binary_digest.clone(),
            clock: config.clock,
            bugs: config.bugs.clone(),
            nodes: config.nodes,
            agent: config.agent.clone(),
            search: config.search,
            seed: config.seed.to_string(),
            horizon_ms: config.horizon_ms,
        }
    }

    fn fields(&self) -> [(&'static str, String); 10] {
        let quoted = |text: &str| format!("`{text}`");
        [
            ("target", quoted(&self.target)),
            ("bugs", quoted(&self.bugs.join(","))),
            ("nodes", self.nodes.to_string()),
            ("seed", self.seed.clone()),
            ("agent", quoted(&self.agent)),
            ("search", quoted(self.search.name())),
            ("horizon_ms", self.horizon_ms.to_string()),
            ("clock", quoted(self.clock.name())),
            ("manifest digest", quoted(&self.manifest)),
            ("binary digest", quoted(&self.binary)),
        ]
    }
}

/// The directory, locked.
#[derive(Debug)]
pub(super) struct Store {
    out: PathBuf,
    /// Held until the campaign is dropped.
    _lock: Flock<File>,
}

impl Store {
    /// Takes the directory for this campaign, and makes it if need be; whether a campaign was there already.
    pub(super) fn open(out: &Path, ours: &Identity) -> Result<(Self, bool), CampaignError> {
        refuse_strangers(out)?;
        let corpus = out.join("corpus");
        fs::create_dir_all(&corpus).map_err(CampaignError::io("make", &corpus))?;
        let path = out.join("lock");
        let file = File::create(&path).map_err(CampaignError::io("open", &path))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|_| CampaignError::Locked { path: out.to_owned() })?;
        let store = Self { out: out.to_owned(), _lock: lock };
        for directory in [out, &corpus] {
            remove_temporaries(directory)?;
        }
        let is_there = store.check_identity(ours)?;
        if !is_there {
            let text = toml::to_string(ours).map_err(|e| CampaignError::Settings(e.to_string()))?;
            write(&store.out.join("campaign.toml"), text.as_bytes(), true)?;
        }
        Ok((store, is_there))
    }

    fn check_identity(&self, ours: &Identity) -> Result<bool, CampaignError> {
        let path = self.out.join("campaign.toml");
        let text = match plain::text(&path, IDENTITY_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(CampaignError::io("read", &path)(error)),
        };
        let bad =
            |e: toml::de::Error| CampaignError::Identity { path: path.clone(), why: e.message().to_owned() };
        let Format { format } = toml::from_str(&text).map_err(bad)?;
        if format > FORMAT {
            return Err(CampaignError::Newer { path, found: format, known: FORMAT });
        }
        let theirs: Identity = toml::from_str(&text).map_err(bad)?;
        for ((field, theirs), (_, ours)) in theirs.fields().into_iter().zip(ours.fields()) {
            if theirs != ours {
                return Err(CampaignError::Foreign { path: self.out.clone(), field, theirs, ours });
            }
        }
        Ok(true)
    }

    /// Writes a corpus entry; its file name.
    pub(super) fn write_entry(&self, schedule: &Schedule) -> Result<String, CampaignError> {
        let name = format!("{}.toml", entry_name(schedule));
        write(&self.out.join("corpus").join(&name), schedule.to_toml().as_bytes(), false)?;
        Ok(name)
    }

    /// Keeps the schedule of a run that could not be judged, if it is one of the first.
    pub(super) fn write_undecided(&self, schedule: &Schedule) -> Result<Option<PathBuf>, CampaignError> {
        let directory = self.out.join("undecided");
        fs::create_dir_all(&directory).map_err(CampaignError::io("make", &directory))?;
        let kept = fs::read_dir(&directory).map_err(CampaignError::io("read", &directory))?.count();
        if kept >= UNDECIDED_MAX {
            return Ok(None);
        }
        let path = directory.join(format!("{}.toml", entry_name(schedule)));
        write(&path, schedule.to_toml().as_bytes(), false)?;
        Ok(Some(path))
    }

    /// All corpus entries by name. Damaged ones are set aside; one whose content is not what its name says was
    /// changed by hand and gets the name of its content.
    pub(super) fn read_entries(
        &self,
        news: &mut Vec<CampaignEvent>,
    ) -> Result<BTreeMap<String, Schedule>, CampaignError> {
        let directory = self.out.join("corpus");
        let mut entries = BTreeMap::new();
        for path in files(&directory)? {
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = match plain::text(&path, schedule::BYTES_MAX) {
                Ok(text) => Ok(text),
                // What is no plain file, no text, or too long is damaged; the rest is the disk's.
                Err(error) if error.kind() == io::ErrorKind::Other => Err(error.to_string()),
                Err(error) => return Err(CampaignError::io("read", &path)(error)),
            };
            match text.and_then(|text| Schedule::parse(&text).map_err(|e| e.to_string())) {
                Ok(schedule) => {
                    let name = entry_name(&schedule);
                    let proper = directory.join(format!("{name}.toml"));
                    if path != proper {
                        fs::rename(&path, &proper).map_err(CampaignError::io("rename", &path))?;
                    }
                    entries.insert(name, schedule);
                }
                Err(why) => news.push(self.quarantine(&path, why)?),
            }
        }
        Ok(entries)
    }

    /// Sets a damaged file aside.
    pub(super) fn quarantine(&self, path: &Path, why: String) -> Result<CampaignEvent, CampaignError> {
        let directory = self.out.join("quarantine");
        fs::create_dir_all(&directory).map_err(CampaignError::io("make", &directory))?;
        let name = path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy());
        let places = (0_u64..).map(|n| match n {
            0 => directory.join(name.as_ref()),
            n => directory.join(format!("{name}.{n}")),
        });
        let moved_to = places.into_iter().find(|place| !place.exists()).expect("some number is free");
        fs::rename(path, &moved_to).map_err(CampaignError::io("set aside", path))?;
        Ok(CampaignEvent::Quarantined { file: path.to_owned(), moved_to, why })
    }

    /// Where the state is.
    pub(super) fn state_path(&self) -> PathBuf {
        self.out.join(STATE)
    }

    /// The state, if there is one.
    pub(super) fn read_state(&self) -> Result<Option<Vec<u8>>, CampaignError> {
        read_state_in(&self.out)
    }

    /// Why a campaign without a state begins anew, where something tells that there was one: its state was set aside (in
    /// `news`), its identity is there (`was_there`) with something that was found, or its record or findings are.
    pub(super) fn forgotten(
        &self,
        was_there: bool,
        schedules: usize,
        news: &[CampaignEvent],
    ) -> Result<Option<String>, CampaignError> {
        let state = self.state_path();
        for event in news {
            match event {
                CampaignEvent::Quarantined { file, why, .. } if *file == state => {
                    return Ok(Some(format!("campaign.state is damaged ({why})")));
                }
                _ => {}
            }
        }
        if was_there {
            let why =
                "campaign.state is gone, or the campaign was killed before it was saved for the first time";
            let lost = schedules > 0 || self.findings()? > 0;
            return Ok(lost.then(|| why.to_owned()));
        }
        let recorded = fs::metadata(self.out.join("events.jsonl")).is_ok_and(|found| found.len() > 0);
        let left = recorded || self.findings()? > 0;
        Ok(left.then(|| "campaign.toml and campaign.state are gone".to_owned()))
    }

    /// How many findings lie there.
    pub(super) fn findings(&self) -> Result<usize, CampaignError> {
        let directory = self.out.join("findings");
        if !directory.is_dir() {
            return Ok(0);
        }
        let is_finding = |path: &PathBuf| path.join("schedule.toml").is_file();
        Ok(files(&directory)?.iter().filter(|path| is_finding(path)).count())
    }

    /// Replaces the state; durable when it returns.
    pub(super) fn write_state(&self, bytes: &[u8]) -> Result<(), CampaignError> {
        write(&self.state_path(), bytes, true)
    }
}

/// Only the format, whatever else is there.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// A directory with content that no campaign left there is somebody else's.
fn refuse_strangers(out: &Path) -> Result<(), CampaignError> {
    if !out.exists() || out.join("campaign.toml").exists() {
        return Ok(());
    }
    for path in files(out)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "campaign.state" {
            let why = "it is gone, though campaign.state is there".to_owned();
            return Err(CampaignError::Identity { path: out.join("campaign.toml"), why });
        }
        let is_worker_log = name.starts_with("worker-");
        if !name.starts_with(TEMPORARY) && !is_worker_log && !COMPANIONS.contains(&name.as_str()) {
            return Err(CampaignError::NotACampaign { path: out.to_owned(), found: name });
        }
    }
    Ok(())
}

fn remove_temporaries(directory: &Path) -> Result<(), CampaignError> {
    for path in files(directory)? {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY)) {
            fs::remove_file(&path).map_err(CampaignError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Everything in a directory, by name.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>, CampaignError> {
    let listed = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut paths = listed.map_err(CampaignError::io("list", directory))?;
    paths.sort();
    Ok(paths)
}

/// Writes a file beside its place and renames it into it. `durable`: it survives a loss of power afterwards.
fn write(path: &Path, bytes: &[u8], durable: bool) -> Result<(), CampaignError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("{TEMPORARY}{name}"));
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(parent) if durable => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    })();
    written.map_err(|error| {
        // Half a file helps nobody, least of all on a full disk.
        let _ = fs::remove_file(&temporary);
        CampaignError::io("write", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            format: FORMAT,
            target: "demo".into(),
            manifest: "m".into(),
            binary: "b".into(),
            clock: Clock::Virtual,
            bugs: vec!["stale".into()],
            nodes: 3,
            agent: "uniform".into(),
            search: Search::Learned,
            seed: u64::MAX.to_string(),
            horizon_ms: 8000,
        }
    }

    fn refusal(out: &Path, ours: &Identity) -> String {
        Store::open(out, ours).unwrap_err().to_string().replace(&out.display().to_string(), "OUT")
    }

    #[test]
    fn a_directory_belongs_to_one_campaign_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("deep/er");
        let (held, resumed) = Store::open(&out, &identity()).unwrap();
        assert!(!resumed);
        assert_eq!(
            refusal(&out, &identity()),
            "OUT is in use by another campaign; wait for it, or choose another --out"
        );
        drop(held);
        assert!(Store::open(&out, &identity()).unwrap().1);
        let other = Identity { seed: "5".into(), ..identity() };
        assert_eq!(
            refusal(&out, &other),
            "OUT holds a campaign with seed = 18446744073709551615, this one has 5; \
             choose another --out, or the same settings to resume it"
        );
    }

    #[test]
    fn strangers_and_the_future_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        fs::write(out.join("thesis.tex"), "").unwrap();
        assert_eq!(
            refusal(out, &identity()),
            "OUT is not empty and holds no campaign (there is `thesis.tex`); choose another --out"
        );
        assert_eq!(files(out).unwrap().len(), 1, "nothing was left behind");
        fs::remove_file(out.join("thesis.tex")).unwrap();
        fs::write(out.join("campaign.toml"), "format = 7\nunheard_of = 1").unwrap();
        assert_eq!(
            refusal(out, &identity()),
            "OUT/campaign.toml was written by a newer version of this program (format 7, this one reads 1); update fuzz"
        );
        fs::write(out.join("campaign.toml"), "format = ").unwrap();
        assert!(refusal(out, &identity()).contains("does not describe a campaign"));
        fs::remove_file(out.join("campaign.toml")).unwrap();
        fs::write(out.join("campaign.state"), "state").unwrap();
        assert_eq!(
            refusal(out, &identity()),
            "OUT/campaign.toml does not describe a campaign: it is gone, though campaign.state is there; \
             restore it, or choose another --out"
        );
    }

    #[test]
    fn leftovers_of_a_killed_campaign_vanish() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        fs::create_dir(out.join("corpus")).unwrap();
        for name in [".tmp-campaign.toml", "corpus/.tmp-0123.toml", "events.jsonl", "worker-0.log"] {
            fs::write(out.join(name), "half").unwrap();
        }
        Store::open(out, &identity()).unwrap();
        let left: Vec<String> = files(out)
            .unwrap()
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left, ["campaign.toml", "corpus", "events.jsonl", "lock", "worker-0.log"]);
        assert!(files(&out.join("corpus")).unwrap().is_empty());
    }

    #[test]
    fn quarantine_never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path(), &identity()).unwrap();
        for _ in 0..2 {
            fs::write(directory.path().join("corpus/x.toml"), "not toml [").unwrap();
            let mut news = Vec::new();
            assert!(store.read_entries(&mut news).unwrap().is_empty());
            assert!(matches!(&news[..], [CampaignEvent::Quarantined { .. }]));
        }
        assert_eq!(files(&directory.path().join("quarantine")).unwrap().len(), 2);
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path(), &identity()).unwrap();
        store.write_state(b"first").unwrap();
        // A directory in the temporary file's place cannot be written to.
        fs::create_dir(directory.path().join(".tmp-campaign.state")).unwrap();
        let error = store.write_state(b"second").unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert_eq!(store.read_state().unwrap().unwrap(), b"first");
    }

    #[test]
    fn a_full_disk_says_what_to_do() {
        let error = CampaignError::io("write", Path::new("x"))(io::ErrorKind::StorageFull.into());
        assert!(error.to_string().ends_with("nothing written so far is lost"), "{error}");
    }
}
