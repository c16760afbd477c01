//! `rw-register`: transactions that write unique values to registers and read them. Elle's inference.

use super::direct::{Finding, Findings};
use super::explain::{self, Named, Why};
use super::graph::Kind;
use super::history::{Action, Datatype, History};
use super::report::{self, CONSISTENCY, Demand, REALTIME};
use super::succession::{Newer, Source, Succession, Vouched};
use super::{depend, direct, intake, search};
use crate::check::{Check, Holds, Options, Setting, Source as Entries};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::Error;
use crate::verdict::{Evidence, Judgement};

/// The oracle's name.
pub const NAME: &str = "rw-register";

/// `wfr-keys`
pub(super) const WRITES_FOLLOW_READS: Setting = Setting {
    name: "wfr-keys",
    about: "no: what a transaction writes need not be newer than what it read of the same register; yes without it",
};

/// `sequential-keys`
pub(super) const SEQUENTIAL: Setting = Setting {
    name: "sequential-keys",
    about: "yes: each register by itself follows the order of each process; no without it",
};

/// `linearizable-keys`
pub(super) const LINEARIZABLE: Setting = Setting {
    name: "linearizable-keys",
    about: "yes: each register by itself follows real time; no without it",
};

/// Elle's rw-register.
pub const CHECK: Check = Check {
    name: NAME,
    about: "transactions [[:w k v] [:r k v]], values written once: Elle's anomalies, as far as versions have an order",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:w x 1] [:r y nil]]",
            "1 :invoke :txn [[:w y 1] [:r x nil]]",
            "0 :ok :txn [[:w x 1] [:r y 1]]",
            "1 :ok :txn [[:w y 1] [:r x 1]]",
        ],
        finds: "rw-register/G1c",
    },
    options: &[CONSISTENCY, REALTIME, WRITES_FOLLOW_READS, SEQUENTIAL, LINEARIZABLE],
    holds: Holds::History,
    run,
};

fn run(entries: &mut Entries<'_>, options: &Options) -> Result<Judgement, Error> {
    let demand = Demand::new(options)?;
    let vouched = Vouched {
        writes_follow_reads: options.is_set(WRITES_FOLLOW_READS.name, true)?,
        sequential: options.is_set(SEQUENTIAL.name, false)?,
        linearizable: options.is_set(LINEARIZABLE.name, false)?,
    };
    let history = intake::read(entries, Datatype::Register)?;
    Ok(judge(NAME, &history, &demand, vouched))
}

/// What holds of every register of a store that is read committed at least.
pub(super) const MODEST: Vouched =
    Vouched { writes_follow_reads: true, sequential: false, linearizable: false };

/// All anomalies that can be inferred, as a judgement of this oracle.
pub(super) fn judge(oracle: &str, history: &History, demand: &Demand, vouched: Vouched) -> Judgement {
    let succession = Succession::new(history, vouched);
    let mut findings = direct::findings(history);
    circles(history, &succession, &mut findings);
    let order = succession.order(history);
    let graph = depend::graph(history, &order, demand.is_realtime);
    let cycles = search::cycles(&graph, demand.steps_max);
    let why: &Why<'_> = &|a, b, kind| data(history, &succession, a, b, kind);
    let mut judgement = report::judgement(oracle, demand, history, findings, &cycles, why);
    if oracle == NAME
        && let unordered = succession.unordered(history)
        && let Some((one, other)) = unordered.first()
    {
        judgement.note(unseen(history, unordered.len(), *one, *other));
    }
    judgement
}

/// What is not looked at: this many registers have versions without a known order, such as these two.
fn unseen(history: &History, count: usize, one: u32, other: u32) -> String {
    let key = history.key_name(history.versions[one as usize].key);
    let (one, other) = (value(history, one), value(history, other));
    format!(
        "the order of all versions is not known of {count} of {} keys (of {key}, {one} or {other} may be newer), so anomalies \
         that depend on it are not seen; `{}=yes` or `{}=yes` tell an order, and the models serializable, \
         strict-serializable and snapshot-isolation look at every order",
        history.keys.len(),
        LINEARIZABLE.name,
        SEQUENTIAL.name
    )
}

/// Why registers put `a` before `b`.
fn data(
    history: &History,
    succession: &Succession,
    a: Named<'_>,
    b: Named<'_>,
    kind: Kind,
) -> Option<String> {
    explain::pairs(history, a.0, b.0).find_map(|(old, new)| {
        let key = history.key_name(old.key);
        let (from, to) = (value(history, old.version), value(history, new.version));
        let verb = match (kind, old.action, new.action) {
            (Kind::Wr, Action::Write, Action::Read) => {
                let is_seen = old.version == new.version;
                return is_seen.then(|| format!("{} read {key} = {from}, which {} wrote", b.1, a.1));
            }
            (Kind::Ww, Action::Write, Action::Write) => "wrote",
            (Kind::Rw, Action::Read, Action::Write) => "read",
            _ => return None,
        };
        if old.version == history.keys[old.key as usize].initial {
            return Some(format!("{} read {key} in its first state, which {} overwrote with {to}", a.1, b.1));
        }
        let newer = succession.why(old.version, new.version).filter(|newer| holds(history, newer))?;
        let how = because(history, newer);
        Some(format!("{} {verb} {key} = {from}, and {} wrote {to}, which is newer: {how}", a.1, b.1))
    })
}

/// Does the history say what the pair does?
fn holds(history: &History, newer: &Newer) -> bool {
    let has = |txn: u32, version: u32| {
        let mut mops = history.mops_of(txn).iter();
        mops.any(|mop| mop.version == version && mop.action != Action::Unanswered)
    };
    let (before, after) = (&history.txns[newer.before as usize], &history.txns[newer.after as usize]);
    has(newer.before, newer.from)
        && has(newer.after, newer.to)
        && match newer.source {
            Source::Within => newer.before == newer.after,
            Source::Process => before.process == after.process && before.invoke < after.invoke,
            Source::Realtime => before.outcome == Outcome::Ok && before.complete < after.invoke,
        }
}

fn because(history: &History, newer: &Newer) -> String {
    let (from, to) = (value(history, newer.from), value(history, newer.to));
    let (before, after) = (&history.txns[newer.before as usize], &history.txns[newer.after as usize]);
    match newer.source {
        Source::Within => format!("the transaction #{} had {from}, then wrote {to}", after.invoke),
        Source::Process => {
            let process = before.process;
            format!("process {process} had {from} in #{}, then {to} in #{}", before.invoke, after.invoke)
        }
        Source::Realtime => {
            format!(
                "#{} had {from} and was over before #{} began, which had {to}",
                before.invoke, after.invoke
            )
        }
    }
}

fn value(history: &History, version: u32) -> String {
    history.versions[version as usize].value.to_string()
}

/// Registers whose versions would be older than themselves.
fn circles(history: &History, succession: &Succession, findings: &mut Findings) {
    for circle in &succession.circles {
        let ended = |pair: &Newer| history.ended_ns(pair.before).max(history.ended_ns(pair.after));
        let at_ns = circle.iter().map(ended).max().unwrap_or(0);
        let count = findings.get("cyclic-versions").map_or(0, |finding| finding.count) + 1;
        if let Some(earlier) = findings.get_mut("cyclic-versions").filter(|earlier| earlier.at_ns <= at_ns) {
            earlier.count = count;
            continue;
        }
        let mut txns: Vec<u32> = circle.iter().flat_map(|pair| [pair.before, pair.after]).collect();
        txns.sort_unstable();
        txns.dedup();
        let mut evidence = Evidence::default();
        for txn in txns {
            let op = history.op(txn);
            evidence.lines.push(op.to_string());
            evidence.ops.push(op);
        }
        evidence.lines.extend(circle.iter().map(|pair| {
            let (from, to) = (value(history, pair.from), value(history, pair.to));
            format!("{to} is newer than {from}: {}", because(history, pair))
        }));
        let key = history.key_name(history.versions[circle[0].from as usize].key);
        let summary = format!("versions of {key} come before themselves");
        findings.insert("cyclic-versions", Finding { at_ns, summary, evidence, count });
    }
}
