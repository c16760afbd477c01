//! Campaign events as JSON lines: whole, but for the detail of runs, which is in their directories.

use crate::campaign::CampaignEvent;

/// The event as one JSON object; the detail of an execution, its features and its choices are left out.
#[must_use]
pub fn line(event: &CampaignEvent) -> serde_json::Value {
    let mut event = event.clone();
    if let CampaignEvent::Finding { execution: run, .. } | CampaignEvent::Ran { run, .. } = &mut event {
        run.detail = None;
    }
    let mut value = serde_json::to_value(event).expect("events are plain data with text keys");
    for field in ["execution", "run"] {
        let Some(run) = value.get_mut(field).and_then(serde_json::Value::as_object_mut) else { continue };
        for bulk in ["detail", "features", "episode"] {
            run.remove(bulk);
        }
    }
    value
}
