//! The rules of a collection that only grows, over small numbers instead of elements.

use crate::op::Outcome;

/// An operation that adds.
pub struct Addition {
    /// Numbered from 0, without gaps in one collection.
    pub element: u32,
    /// The operation.
    pub op: usize,
    /// Index of its invocation.
    pub invoke: u64,
    /// Index of its completion.
    pub complete: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
}

/// An acknowledged answer to the question for all elements.
pub struct Answer {
    /// The operation.
    pub op: usize,
    /// Index of its invocation.
    pub invoke: u64,
    /// Index of its completion.
    pub complete: u64,
    /// In the order in which they came.
    pub elements: Vec<u32>,
}

/// How the collection's words for things are found, for sentences.
pub trait Facts {
    /// An element as it was written.
    fn element(&self, element: u32) -> String;
    /// An operation without its times: `add 3`.
    fn operation(&self, op: usize) -> String;
    /// When it ended.
    fn completed(&self, op: usize) -> String;
}

/// Something that is wrong.
pub struct Finding {
    /// Its kind: see [`collection`](super).
    pub kind: &'static str,
    /// A sentence with the particulars.
    pub summary: String,
    /// The operation that shows it.
    pub answer: usize,
    /// All operations that prove it.
    pub ops: Vec<usize>,
    /// The elements concerned.
    pub elements: Vec<u32>,
}

/// What is known of an element.
#[derive(Clone, Default)]
struct Element {
    /// The operation that added it: an acknowledged one where there is any.
    op: Option<usize>,
    invoke: u64,
    /// How many operations may have added it.
    attempts: u32,
    /// When its addition was acknowledged.
    acknowledged: Option<u64>,
    /// When an answer first held it: the answer's completion.
    seen: Option<u64>,
    /// The last answer that holds it, by position.
    last: Option<usize>,
}

impl Element {
    fn is_acknowledged_before(&self, index: u64) -> bool {
        self.acknowledged.is_some_and(|done| done < index)
    }
}

/// A collection, all that was added to it and all answers, in the order in which they were asked for.
pub struct Growth<'a> {
    facts: &'a dyn Facts,
    answers: &'a [Answer],
    elements: Vec<Element>,
}

impl<'a> Growth<'a> {
    /// Looks at all additions and answers; linear in their size.
    pub fn new(facts: &'a dyn Facts, additions: &[Addition], answers: &'a [Answer]) -> Self {
        let mut elements: Vec<Element> = Vec::new();
        let grow = |elements: &mut Vec<Element>, id: u32| {
            let id = id as usize;
            if id >= elements.len() {
                elements.resize(id + 1, Element::default());
            }
            id
        };
        for addition in additions {
            let id = grow(&mut elements, addition.element);
            let element = &mut elements[id];
            let is_first = element.op.is_none();
            let is_better = element.acknowledged.is_none() && addition.outcome != Outcome::Fail;
            if is_first || (is_better && (element.attempts == 0 || addition.outcome == Outcome::Ok)) {
                element.op = Some(addition.op);
            }
            if addition.outcome != Outcome::Fail {
                let is_earlier = element.attempts == 0 || addition.invoke < element.invoke;
                element.invoke = if is_earlier { addition.invoke } else { element.invoke };
                element.attempts += 1;
            }
            if let (Outcome::Ok, Some(done)) = (addition.outcome, addition.complete) {
                element.acknowledged = Some(element.acknowledged.map_or(done, |other| other.min(done)));
            }
        }
        for (position, answer) in answers.iter().enumerate() {
            for id in &answer.elements {
                let id = grow(&mut elements, *id);
                let element = &mut elements[id];
                element.seen = Some(element.seen.map_or(answer.complete, |seen| seen.min(answer.complete)));
                element.last = Some(position);
            }
        }
        Self { facts, answers, elements }
    }

    /// How many elements were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.elements.iter().filter(|element| element.acknowledged.is_some()).count()
    }

    /// How many elements may have been added.
    pub fn attempted(&self) -> usize {
        self.elements.iter().filter(|element| element.attempts > 0).count()
    }

    /// Elements that an answer holds though nobody has acknowledged adding them.
    pub fn recovered(&self, answer: usize) -> usize {
        let is_one = |element: &&Element| {
            element.attempts > 0 && element.acknowledged.is_none() && element.last == Some(answer)
        };
        self.elements.iter().filter(is_one).count()
    }

    /// Elements that the last answer holds.
    pub fn stable(&self) -> usize {
        let last = self.answers.len().checked_sub(1);
        self.elements.iter().filter(|element| element.last.is_some() && element.last == last).count()
    }

    /// Elements that are neither stable nor lost: no answer was asked for after they were certainly there.
    pub fn never_read(&self) -> usize {
        let Some(last) = self.answers.last() else { return self.attempted() };
        let known = |element: &Element| element.acknowledged.into_iter().chain(element.seen).min();
        let is_one = |element: &&Element| {
            element.attempts > 0
                && element.last != Some(self.answers.len() - 1)
                && known(element).is_none_or(|known| known > last.invoke)
        };
        self.elements.iter().filter(is_one).count()
    }

    /// What nobody added, or what was refused for certain: in the first such answer.
    pub fn unexpected(&self) -> Option<Finding> {
        self.unexpected_in(self.answers)
    }

    /// The same of the last answer alone.
    pub fn unexpected_at_last(&self) -> Option<Finding> {
        self.unexpected_in(&self.answers[self.answers.len().saturating_sub(1)..])
    }

    fn unexpected_in(&self, answers: &[Answer]) -> Option<Finding> {
        let is_foreign = |answer: &Answer, id: u32| {
            let element = &self.elements[id as usize];
            element.attempts == 0 || element.invoke > answer.complete
        };
        let is_bad = |answer: &&Answer| answer.elements.iter().any(|id| is_foreign(answer, *id));
        let answer = answers.iter().filter(is_bad).min_by_key(|answer| answer.complete)?;
        let mut elements: Vec<u32> =
            answer.elements.iter().copied().filter(|id| is_foreign(answer, *id)).collect();
        elements.sort_unstable();
        elements.dedup();
        let first = *elements.first()?;
        let element = &self.elements[first as usize];
        let name = self.facts.element(first);
        let summary = match element.op {
            Some(_) if element.attempts == 0 => {
                format!("{name} is there, though adding it had failed for certain")
            }
            Some(_) => format!("{name} is there before anybody asked to add it"),
            None => format!("{name} is there, and nobody added it"),
        };
        let ops = element.op.into_iter().chain([answer.op]).collect();
        Some(Finding { kind: "unexpected-element", summary, answer: answer.op, ops, elements })
    }

    /// Elements that an answer holds more than once: the first such answer.
    pub fn duplicated(&self) -> Option<Finding> {
        let mut stamps = vec![usize::MAX; self.elements.len()];
        let mut bad: Vec<(usize, Vec<u32>)> = Vec::new();
        for (position, answer) in self.answers.iter().enumerate() {
            let mut twice = Vec::new();
            for id in &answer.elements {
                if std::mem::replace(&mut stamps[*id as usize], position) == position {
                    twice.push(*id);
                }
            }
            if !twice.is_empty() {
                bad.push((position, twice));
            }
        }
        let (position, elements) = bad.into_iter().min_by_key(|(at, _)| self.answers[*at].complete)?;
        let answer = &self.answers[position];
        let first = *elements.first()?;
        let summary = format!("{} was added once and is there more than once", self.facts.element(first));
        let ops = self.elements[first as usize].op.into_iter().chain([answer.op]).collect();
        Some(Finding { kind: "duplicated-element", summary, answer: answer.op, ops, elements })
    }

    /// In a log what was acknowledged before another addition began comes before it: the first answer where not.
    pub fn reordered(&self) -> Option<Finding> {
        let inverted = |answer: &Answer| {
            // Of all elements from here to the end, the one whose addition was acknowledged first.
            let mut earliest: Option<(u64, usize)> = None;
            for id in answer.elements.iter().rev() {
                let element = &self.elements[*id as usize];
                let (Some(op), 1) = (element.op, element.attempts) else { continue };
                if let Some((done, later)) = earliest
                    && done < element.invoke
                {
                    return Some((later, op));
                }
                if let Some(done) = element.acknowledged
                    && earliest.is_none_or(|(other, _)| done < other)
                {
                    earliest = Some((done, op));
                }
            }
            None
        };
        let bad = self.answers.iter().filter_map(|answer| Some((answer, inverted(answer)?)));
        let (answer, (later, op)) = bad.min_by_key(|(answer, _)| answer.complete)?;
        let (first, second) = (self.facts.operation(later), self.facts.operation(op));
        let summary = format!("{first} was acknowledged first and comes after {second}");
        let ops = vec![later, op, answer.op];
        Some(Finding { kind: "reordered-elements", summary, answer: answer.op, ops, elements: Vec::new() })
    }

    /// What was acknowledged or seen before the answer at this position was asked for, and neither it nor a later one
    /// holds: acknowledged elements first, then those that were only seen.
    ///
    /// There must be an answer at the position.
    pub fn lost(&self, position: usize) -> Vec<Finding> {
        let answer = &self.answers[position];
        let is_gone = |element: &&Element| element.last.is_none_or(|last| last < position);
        let numbered = || (0..).zip(&self.elements).filter(|(_, element)| is_gone(element));
        let mut findings = Vec::new();

        let is_lost = |(_, element): &(u32, &Element)| element.is_acknowledged_before(answer.invoke);
        let lost: Vec<(u32, &Element)> = numbered().filter(is_lost).collect();
        if let Some((_, element)) = lost.iter().min_by_key(|(_, element)| element.acknowledged)
            && let Some(op) = element.op
        {
            let summary = format!(
                "{} was acknowledged at {} and is gone; {} of {} acknowledged are",
                self.facts.operation(op),
                self.facts.completed(op),
                lost.len(),
                self.acknowledged()
            );
            let elements = lost.iter().map(|(id, _)| *id).collect();
            let (kind, ops) = ("acknowledged-element-lost", vec![op, answer.op]);
            findings.push(Finding { kind, summary, answer: answer.op, ops, elements });
        }

        let is_lost = |(_, element): &(u32, &Element)| {
            element.op.is_some()
                && !element.is_acknowledged_before(answer.invoke)
                && element.seen.is_some_and(|seen| seen < answer.invoke)
        };
        let lost: Vec<(u32, &Element)> = numbered().filter(is_lost).collect();
        if let Some((id, element)) = lost.iter().min_by_key(|(_, element)| element.seen) {
            let seen = self.answers.iter().find(|answer| Some(answer.complete) == element.seen);
            let summary = format!("{} was seen and is gone", self.facts.element(*id));
            let elements = lost.iter().map(|(id, _)| *id).collect();
            let ops = seen.map(|seen| seen.op).into_iter().chain([answer.op]).collect();
            findings.push(Finding { kind: "seen-element-lost", summary, answer: answer.op, ops, elements });
        }
        findings
    }

    /// What was acknowledged before an answer was asked for and is not in it, but in a later one: the first such
    /// answer. Elements that were only seen count as well if `seen` says so.
    ///
    /// n log n in the elements and linear in the answers: an element is followed from the first answer that must hold it
    /// to the first that does not, and in every answer but that one it costs no more than being there.
    pub fn stale(&self, seen: bool) -> Option<Finding> {
        let known = |element: &Element| {
            let seen = element.seen.filter(|_| seen);
            element.acknowledged.into_iter().chain(seen).min()
        };
        let mut coming: Vec<(u64, usize)> = self
            .elements
            .iter()
            .enumerate()
            .filter(|(_, element)| element.last.is_some())
            .filter_map(|(id, element)| Some((known(element)?, id)))
            .collect();
        coming.sort_unstable();
        let mut coming = coming.into_iter().peekable();
        let mut stamps = vec![usize::MAX; self.elements.len()];
        let mut followed: Vec<usize> = Vec::new();
        let mut stale: Option<(usize, Vec<usize>)> = None;
        for (position, answer) in self.answers.iter().enumerate() {
            answer.elements.iter().for_each(|id| stamps[*id as usize] = position);
            while let Some((_, id)) = coming.next_if(|(known, _)| *known < answer.invoke) {
                followed.push(id);
            }
            let mut missing = Vec::new();
            followed.retain(|id| {
                let is_there = stamps[*id] == position;
                if !is_there && self.elements[*id].last > Some(position) {
                    missing.push(*id);
                }
                is_there
            });
            let is_earlier = |other: &usize| answer.complete < self.answers[*other].complete;
            if !missing.is_empty() && stale.as_ref().is_none_or(|(other, _)| is_earlier(other)) {
                stale = Some((position, missing));
            }
        }
        let (position, missing) = stale?;
        let answer = &self.answers[position];
        let mut elements: Vec<u32> = missing.into_iter().filter_map(|id| u32::try_from(id).ok()).collect();
        elements.sort_unstable();
        let first = *elements.first()?;
        let name = self.facts.element(first);
        let was = if self.elements[first as usize].acknowledged.is_some_and(|done| done < answer.invoke) {
            "acknowledged"
        } else {
            "seen"
        };
        let summary = format!("{name} was {was} before the question, and the answer misses it");
        let ops = self.elements[first as usize].op.into_iter().chain([answer.op]).collect();
        Some(Finding { kind: "stale-elements", summary, answer: answer.op, ops, elements })
    }
}
