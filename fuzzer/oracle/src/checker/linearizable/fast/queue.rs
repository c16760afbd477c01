//! Queues whose elements all differ, in n log n (Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability
//! proofs", CONCUR 2013, theorem 2: the four kinds of violations are all there are).
//!
//! An element comes out that never went in, or comes out twice; one that went in before another comes out after it; or
//! nothing is found though something was inside all the time.

use super::NEVER;
use super::transfers::{Way, sort_out};
use crate::checker::linearizable::decide::Quick;
use crate::checker::linearizable::search::Item;
use crate::model::sequence::Action;

/// Judges a queue; unclear if an element may have gone in twice, or a crash may have taken one.
pub(in super::super) fn judge(items: &[Item<Action>]) -> Quick {
    let transfers = match sort_out(items) {
        Ok(transfers) => transfers,
        Err(answer) => return answer,
    };
    let witness = overtaken(&transfers.ways).or_else(|| transfers.false_empty());
    transfers.answer(witness)
}

/// An element that went in before another for certain, and comes out after it for certain, or never.
fn overtaken(ways: &[Way]) -> Option<Vec<usize>> {
    let mut firsts: Vec<&Way> = ways.iter().collect();
    firsts.sort_unstable_by_key(|way| way.put_ret);
    let mut seconds: Vec<&Way> = ways.iter().filter(|way| way.take_ret != NEVER).collect();
    seconds.sort_unstable_by_key(|way| way.put_call);
    let mut firsts = firsts.into_iter().peekable();
    let mut latest: Option<&Way> = None;
    for second in seconds {
        while let Some(first) = firsts.next_if(|first| first.put_ret < second.put_call) {
            if latest.is_none_or(|latest| latest.take_call < first.take_call) {
                latest = Some(first);
            }
        }
        if let Some(first) = latest
            && second.take_ret < first.take_call
        {
            return Some(first.witness().chain(second.witness()).collect());
        }
    }
    None
}
