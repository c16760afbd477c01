//! `schedule.toml`: what is accepted is printed and read back the same, as text and in frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::codec;
use readers::schedule::{Schedule, Step};

fuzz_target!(|text: &str| {
    let Ok(schedule) = Schedule::parse(text) else { return };
    let printed = schedule.to_toml();
    assert_eq!(Schedule::parse(&printed).as_ref(), Ok(&schedule), "{printed}");
    let frame = codec::encode(&schedule).expect("a schedule fits in a frame");
    assert_eq!(codec::decode::<Schedule>(&frame).expect("a frame is read back"), schedule);
    assert_eq!(schedule.digest().len(), 64);
    assert!(schedule.down_at_once() <= usize::from(schedule.nodes));
    assert!(schedule.steps.iter().map(Step::to_string).all(|line| !line.contains('\n')), "{printed}");
});
