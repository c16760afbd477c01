//! Linux AIO as state: contexts, requests on their way, and what is done that nobody has taken yet.
//!
//! The calls are in `syscalls/aio.rs`. Bytes move when a request is submitted, as far as programs can tell: the kernel
//! may move them at any time until it says that it is done. What comes later is the end of the request: its sync, its
//! event, its signal. A process that ends waits for its requests, as exit_aio of the kernel does; a node that loses
//! power does not.

use super::files::DescriptionId;
use super::task::ProcessId;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::ops::Range;

/// A context: the process whose memory it is in, and the address that stands for it (io_setup(2)).
pub type ContextId = (ProcessId, u64);

/// `struct io_event` (io_getevents(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// `aio_data` of the request.
    pub data: u64,
    /// The address of its `struct iocb`.
    pub request: u64,
    /// What the call would have returned: bytes, or a negative error.
    pub result: i64,
}

/// What is made durable when a request ends.
#[derive(Debug)]
pub struct Sync {
    /// The file.
    pub file: File,
    /// These bytes of it; all of it when absent.
    pub range: Option<Range<u64>>,
}

/// A request on its way.
#[derive(Debug)]
pub struct Request {
    /// Its context.
    pub context: ContextId,
    /// Its node, from 0.
    pub node: usize,
    /// What will be told.
    pub completion: Completion,
    /// The event descriptor that is signalled (`IOCB_FLAG_RESFD`).
    pub signals: Option<DescriptionId>,
    /// What is made durable.
    pub sync: Option<Sync>,
}

struct Context {
    capacity: usize,
    flying: usize,
    done: VecDeque<Completion>,
    /// io_destroy was called: nothing more is taken.
    closing: bool,
}

/// All contexts of a run, and all requests.
#[derive(Default)]
pub struct Aio {
    contexts: BTreeMap<ContextId, Context>,
    flying: BTreeMap<u64, Request>,
    next: u64,
}

impl Aio {
    /// A new context that holds this many requests, whether on their way or not taken.
    pub fn create(&mut self, id: ContextId, capacity: usize) {
        self.contexts.insert(id, Context { capacity, flying: 0, done: VecDeque::new(), closing: false });
    }

    /// Whether there is such a context.
    #[must_use]
    pub fn holds(&self, id: ContextId) -> bool {
        self.contexts.get(&id).is_some_and(|context| !context.closing)
    }

    /// Whether a context has room for one more request.
    #[must_use]
    pub fn has_room(&self, id: ContextId) -> bool {
        self.contexts.get(&id).is_some_and(|it| it.flying + it.done.len() < it.capacity)
    }

    /// A request is on its way; its number.
    pub fn submit(&mut self, request: Request) -> u64 {
        self.next += 1;
        if let Some(context) = self.contexts.get_mut(&request.context) {
            context.flying += 1;
        }
        self.flying.insert(self.next, request);
        self.next
    }

    /// A request has ended: its event can be taken. `None`: it went with its node.
    pub fn end(&mut self, number: u64) -> Option<Request> {
        let request = self.flying.remove(&number)?;
        if let Some(context) = self.contexts.get_mut(&request.context) {
            context.flying -= 1;
            context.done.push_back(request.completion);
        }
        Some(request)
    }

    /// How many events can be taken.
    #[must_use]
    pub fn ready(&self, id: ContextId) -> usize {
        self.contexts.get(&id).map_or(0, |context| context.done.len())
    }

    /// Takes at most `max` events, in the order in which the requests ended.
    pub fn take(&mut self, id: ContextId, max: usize) -> Vec<Completion> {
        let Some(context) = self.contexts.get_mut(&id) else { return Vec::new() };
        let count = max.min(context.done.len());
        context.done.drain(..count).collect()
    }

    /// The context takes no more requests; whether none is on its way any more, so that it is gone now.
    pub fn close(&mut self, id: ContextId) -> bool {
        let Some(context) = self.contexts.get_mut(&id) else { return true };
        context.closing = true;
        let over = context.flying == 0;
        if over {
            self.contexts.remove(&id);
        }
        over
    }

    /// The memory of a process goes, and its contexts with it; what was on its way, in the order of submission.
    pub fn forget_process(&mut self, process: ProcessId) -> Vec<Request> {
        self.contexts.retain(|id, _| id.0 != process);
        self.flying
            .extract_if(.., |_, request| request.context.0 == process)
            .map(|(_, request)| request)
            .collect()
    }

    /// A node lost its power: nothing that was on its way ends.
    pub fn forget_node(&mut self, node: usize) {
        self.flying.retain(|_, request| request.node != node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: ContextId = (ProcessId(1), 4096);

    fn request(node: usize, data: u64) -> Request {
        let completion = Completion { data, request: 0, result: 1 };
        Request { context: HERE, node, completion, signals: None, sync: None }
    }

    #[test]
    fn events_are_taken_in_the_order_of_ends_and_hold_their_place_until_then() {
        let mut aio = Aio::default();
        aio.create(HERE, 2);
        let [first, second] = [7, 8].map(|data| aio.submit(request(0, data)));
        assert!(!aio.has_room(HERE));
        aio.end(second);
        aio.end(first);
        assert!(aio.end(first).is_none() && !aio.has_room(HERE));
        let data: Vec<u64> = aio.take(HERE, 5).iter().map(|done| done.data).collect();
        assert_eq!((data, aio.has_room(HERE), aio.ready(HERE)), (vec![8, 7], true, 0));
    }

    #[test]
    fn a_context_that_is_closed_waits_for_its_requests() {
        let mut aio = Aio::default();
        aio.create(HERE, 2);
        let number = aio.submit(request(0, 1));
        assert!(!aio.close(HERE) && !aio.holds(HERE) && aio.has_room(HERE));
        aio.end(number);
        assert!(aio.close(HERE) && !aio.has_room(HERE));
    }

    #[test]
    fn a_process_leaves_its_requests_behind_and_a_power_loss_none() {
        let mut aio = Aio::default();
        aio.create(HERE, 4);
        let lost = aio.submit(request(1, 1));
        aio.submit(request(0, 2));
        aio.forget_node(1);
        assert!(aio.end(lost).is_none());
        let left: Vec<u64> =
            aio.forget_process(HERE.0).iter().map(|request| request.completion.data).collect();
        assert_eq!((left, aio.holds(HERE)), (vec![2], false));
    }
}
