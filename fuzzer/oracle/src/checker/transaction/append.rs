//! `list-append`: transactions that append unique elements to lists and read whole lists.
//!
//! A list shows the order of its elements, so dependencies need no guess. Elle (Kingsbury and Alvaro, VLDB 2020).

use super::history::Datatype;
use super::report::{self, CONSISTENCY, Demand, REALTIME};
use super::{depend, direct, explain, intake, search};
use crate::check::{Check, Holds, Options, Source};
use crate::example::Example;
use crate::raw::Error;
use crate::verdict::Judgement;

/// The oracle's name.
pub const NAME: &str = "list-append";

/// Elle's list-append.
pub const CHECK: Check = Check {
    name: NAME,
    about: "transactions [[:append k v] [:r k [v ...]]]: Elle's anomalies, at the strength of a consistency model",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:append x 1] [:append y 1]]",
            "0 :ok :txn [[:append x 1] [:append y 1]]",
            "1 :invoke :txn [[:r x nil] [:r y nil]]",
            "1 :ok :txn [[:r x []] [:r y [1]]]",
        ],
        finds: "list-append/G-single",
    },
    options: &[CONSISTENCY, REALTIME],
    holds: Holds::History,
    run,
};

fn run(entries: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let demand = Demand::new(options)?;
    let history = intake::read(entries, Datatype::List)?;
    let findings = direct::findings(&history);
    let order = depend::of_lists(&history);
    let graph = depend::graph(&history, &order, demand.is_realtime);
    let cycles = search::cycles(&graph, demand.steps_max);
    let why = |a: explain::Named<'_>, b: explain::Named<'_>, kind| explain::of_lists(&history, a, b, kind);
    Ok(report::judgement(NAME, &demand, &history, findings, &cycles, &why))
}
