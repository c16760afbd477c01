//! Campaign events as JSON lines: whole, but for the detail of findings, which is in their directories.

use crate::campaign::CampaignEvent;

/// The event as one JSON object; the detail of an execution, its features and its choices are left out.
#[must_use]
pub fn line(event: &CampaignEvent) -> serde_json::Value {
    let mut value = match event {
        CampaignEvent::Finding { execution, .. } if execution.detail.is_some() => {
            let mut event = event.clone();
            if let CampaignEvent::Finding { execution, .. } = &mut event {
                execution.detail = None;
            }
            serde_json::to_value(event)
        }
        event => serde_json::to_value(event),
    }
    .expect("events are plain data with text keys");
    if let Some(execution) = value.get_mut("execution").and_then(serde_json::Value::as_object_mut) {
        for bulk in ["detail", "features", "episode"] {
            execution.remove(bulk);
        }
    }
    value
}
