//! The catalogue of planted bugs: which exist, what each gets wrong, and how hard it is to find.
//!
//! A bug is a choice made at one place of the code, always written `bugs.has(Bug::…)`, where an engineer
//! could have made the same mistake. Nothing here knows how a bug is found.

use thiserror::Error;

/// One planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Votes and terms adopted from others stay in memory.
    VoteNotPersisted,
    /// The vote already given in a term is not looked at.
    DoubleVote,
    /// The length of a candidate's log decides, not its last term.
    LongestLogWins,
    /// Appends of a past term are taken.
    StaleTermAccepted,
    /// A leader adopts a higher term and stays leader.
    LeaderKeepsReign,
    /// Entries of earlier terms commit by counting copies.
    Figure8Commit,
    /// The leader's own copy counts twice.
    PrematureCommit,
    /// A follower commits up to its own last entry.
    CommitTooFar,
    /// An entry that conflicts with the leader's stays.
    ConflictKept,
    /// The shortcut of the log-matching check reaches one entry too far.
    PrevOffByOne,
    /// Snapshots leave the session table out.
    SnapshotDropsSessions,
    /// A late snapshot replaces a newer log.
    SnapshotOverNewer,
    /// The term of the snapshot is not there again after a restart.
    ///
    /// A log that ends where the snapshot does then looks older than any other, until the next entry. Three steps: a
    /// node falls behind; the leader goes; the third one restarts while its log is empty, and votes for the first.
    /// With the leader there an entry mends it, without the restart the term is known, and who is not behind does no
    /// harm. So it was in NuRaft (eBay/NuRaft#668) and in the library of RedisRaft (RedisLabs/raft#14).
    SnapshotTermLost,
    /// Membership changes are taken before the last one is committed.
    EarlyMembership,
    /// Entries are acknowledged before they are durable.
    AckBeforeFsync,
    /// A follower makes an entry durable when it learns that it is committed, not when it acknowledges it.
    ///
    /// Three steps: a node falls behind; the leader goes after it has counted the third one's copy, and before it has
    /// told so; the third one loses power. Its copy and the leader's were the majority. While the leader is there it
    /// feeds the entry again, who is not behind has a copy more, and a restart without loss keeps the page cache.
    /// Redpanda's "Why fsync(): losing unsynced data on a single node leads to global data loss" (2022) tells this
    /// of Kafka, and sebadob/hiqlite#361 of a Raft.
    FsyncAtCommit,
    /// A failed fsync is only a warning.
    FsyncErrorIgnored,
    /// Renames are not made durable.
    RenameNotSynced,
    /// Recovery does not verify checksums.
    TornTailTrusted,
    /// Recovery stops at a torn record, and the log goes on behind it.
    ///
    /// Three steps: a slow disk keeps a batch in flight; power is lost and tears it; after more entries, and before
    /// the next snapshot takes a new file, the node restarts. It stops at the same record, and all behind it is lost,
    /// however often it was fsynced. With a quick disk there is hardly ever a batch in flight, untorn it leaves
    /// nothing to stop at, and without a second restart nobody reads it. So it was in pmcfadin/cqlite#1390,
    /// HarperFast/rocksdb-js#614 and amelielabs/amelie#17.
    TornTailKept,
    /// The leader's lease runs on the wall clock.
    LeaseWallClock,
    /// Reads are served without confirming leadership.
    StaleRead,
    /// Probe numbers begin again with each reign, but answers to those of an earlier one are remembered.
    ///
    /// Three steps: a leader is deposed; its successor is too, and it leads again; it is cut off once more before it
    /// has asked as often as in its first reign. Till then its reads pass for confirmed. In a first reign there is
    /// nothing to remember, and while nobody else leads nothing is stale. etcd had stale reads by answers that were
    /// meant for an earlier request of the same number (etcd-io/etcd#20418).
    ProbeNumbersRepeat,
    /// Duplicates are filtered when proposed, not when applied.
    RetryTwice,
    /// A lost append frame never gives its credit back.
    LostWakeup,
    /// A legal late reply is declared unreachable.
    PanicOrder,
}

/// A row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// Which bug.
    pub bug: Bug,
    /// The name on the command line.
    pub name: &'static str,
    /// 1: one fault shows it; 2: two faults or one well timed; 3: several in the right order.
    pub level: u8,
    /// The mistake, in one line.
    pub story: &'static str,
}

const fn planted(bug: Bug, name: &'static str, level: u8, story: &'static str) -> Planted {
    Planted { bug, name, level, story }
}

/// Every planted bug, in the order of the protocol: voting, replication, snapshots, storage, clients.
pub const CATALOG: [Planted; 26] = [
    planted(
        Bug::VoteNotPersisted,
        "vote-not-persisted",
        2,
        "the vote is answered first and never written, so a restarted node votes again in the same term",
    ),
    planted(
        Bug::DoubleVote,
        "double-vote",
        3,
        "a voter checks the candidate's log but not whether it has voted in this term already",
    ),
    planted(
        Bug::LongestLogWins,
        "longest-log-wins",
        2,
        "a voter compares the length of logs and forgets the term of the last entry",
    ),
    planted(
        Bug::StaleTermAccepted,
        "stale-term-accepted",
        2,
        "a follower takes appends of a past term, so a deposed leader rewrites newer entries",
    ),
    planted(
        Bug::LeaderKeepsReign,
        "leader-keeps-reign",
        2,
        "a leader that learns of a higher term adopts the term and forgets to step down",
    ),
    planted(
        Bug::Figure8Commit,
        "figure8-commit",
        3,
        "a leader commits entries of earlier terms by counting copies (figure 8 of the Raft paper)",
    ),
    planted(
        Bug::PrematureCommit,
        "premature-commit",
        1,
        "the leader's own copy is counted twice, so an entry commits before a majority has it",
    ),
    planted(
        Bug::CommitTooFar,
        "commit-too-far",
        3,
        "a follower commits up to its own last entry instead of the last entry it has verified",
    ),
    planted(
        Bug::ConflictKept,
        "conflict-kept",
        1,
        "a follower that has an entry at an index keeps it, even if the leader's entry there differs",
    ),
    planted(
        Bug::PrevOffByOne,
        "prev-off-by-one",
        3,
        "the shortcut past the log-matching check covers one entry beyond the committed ones",
    ),
    planted(
        Bug::SnapshotDropsSessions,
        "snapshot-drops-sessions",
        3,
        "snapshots hold the values but not the session table, so a retry after a restore is applied again",
    ),
    planted(
        Bug::SnapshotOverNewer,
        "snapshot-over-newer",
        3,
        "a snapshot that arrives late is installed over a log that is already ahead of it",
    ),
    planted(
        Bug::SnapshotTermLost,
        "snapshot-term-lost",
        3,
        "after a restart a snapshot counts as of term 0, so a node with nothing after it votes for outdated ones",
    ),
    planted(
        Bug::EarlyMembership,
        "early-membership",
        1,
        "a leader takes a membership change before anything of its term, or the last change, is committed",
    ),
    planted(
        Bug::AckBeforeFsync,
        "ack-before-fsync",
        1,
        "entries are acknowledged once written and fsynced up to a second later, for throughput",
    ),
    planted(
        Bug::FsyncAtCommit,
        "fsync-at-commit",
        3,
        "a follower acknowledges entries once written and fsyncs them when it hears that they are committed",
    ),
    planted(
        Bug::FsyncErrorIgnored,
        "fsync-error-ignored",
        2,
        "a failed fsync is logged and the node goes on as if the entries were durable",
    ),
    planted(
        Bug::RenameNotSynced,
        "rename-not-synced",
        2,
        "files are replaced by rename but the directory is never fsynced, so power loss brings old ones back",
    ),
    planted(
        Bug::TornTailTrusted,
        "torn-tail-trusted",
        3,
        "recovery trusts record lengths and skips checksums, so a half-written entry becomes an empty one",
    ),
    planted(
        Bug::TornTailKept,
        "torn-tail-kept",
        3,
        "recovery stops at a torn record and leaves it there, and what is written behind it is never read again",
    ),
    planted(
        Bug::LeaseWallClock,
        "lease-wall-clock",
        2,
        "reads rely on a leader lease measured on the wall clock, which may jump back",
    ),
    planted(
        Bug::StaleRead,
        "stale-read",
        1,
        "a leader answers reads from memory without asking anyone whether it still is the leader",
    ),
    planted(
        Bug::ProbeNumbersRepeat,
        "probe-numbers-repeat",
        3,
        "probe numbers begin again with each reign, and answers of the last one still count",
    ),
    planted(
        Bug::RetryTwice,
        "retry-twice",
        2,
        "duplicates are filtered when a request arrives, not when it is applied, so a quick retry runs twice",
    ),
    planted(
        Bug::LostWakeup,
        "lost-wakeup",
        2,
        "an append frame lost with its connection keeps its send credit, so that follower is never fed again",
    ),
    planted(
        Bug::PanicOrder,
        "panic-order",
        2,
        "a late reject while a snapshot is under way hits an `unreachable!`",
    ),
];

/// A set of planted bugs; empty for the correct program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bugs(u32);

impl Bugs {
    /// The correct program.
    pub const NONE: Bugs = Bugs(0);

    /// The set of exactly one bug.
    pub fn only(bug: Bug) -> Bugs {
        Bugs(1 << bug as u32)
    }

    /// Whether `bug` is in the set.
    pub fn has(self, bug: Bug) -> bool {
        self.0 & (1 << bug as u32) != 0
    }

    /// Reads `none`, or names of the catalogue separated by commas.
    pub fn parse(text: &str) -> Result<Bugs, UnknownBug> {
        let mut bugs = Bugs::NONE;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none") {
            let row = CATALOG.iter().find(|row| row.name == name);
            let row = row.ok_or_else(|| UnknownBug { name: name.to_owned() })?;
            bugs.0 |= 1 << row.bug as u32;
        }
        Ok(bugs)
    }
}

/// A name that is not in the catalogue.
#[derive(Debug, Error)]
#[error("unknown bug `{name}`; choose none, or from: {}", names())]
pub struct UnknownBug {
    /// The name as given.
    pub name: String,
}

/// Every name, in the order of the catalogue.
fn names() -> String {
    CATALOG.map(|row| row.name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_list_the_catalogue() {
        for row in CATALOG {
            let bugs = Bugs::parse(row.name).unwrap();
            assert_eq!(bugs, Bugs::only(row.bug));
            assert!((1..=3).contains(&row.level));
        }
        assert_eq!(Bugs::parse("none").unwrap(), Bugs::NONE);
        let both = Bugs::parse("stale-read, retry-twice").unwrap();
        assert!(both.has(Bug::StaleRead) && both.has(Bug::RetryTwice) && !both.has(Bug::PanicOrder));
        let error = Bugs::parse("stale-reed").unwrap_err().to_string();
        assert!(error.contains("`stale-reed`") && error.contains("stale-read, "), "{error}");
    }

    #[test]
    fn the_manifest_lists_exactly_the_catalogue() {
        let manifest = include_str!("../target.toml");
        let tables: Vec<&str> = manifest.split("[[bug]]").skip(1).collect();
        assert_eq!(tables.len(), CATALOG.len());
        for (table, row) in tables.iter().zip(CATALOG) {
            let want = format!("\nname = {:?}\nstory = {:?}\nlevel = {}\n", row.name, row.story, row.level);
            assert!(table.starts_with(&want), "expected{want}found{table}");
        }
    }

    #[test]
    fn the_readme_tells_every_story() {
        let readme = include_str!("../README.md");
        for row in CATALOG {
            let line = format!("| `{}` | {} | {} |", row.name, row.level, row.story);
            assert!(readme.contains(&line), "README.md lacks: {line}");
        }
    }
}
