use super::super::tests::{plan, tried};
use super::*;

fn made() -> Made {
    Made { version: "0.1.0".into(), machine: "a machine".into(), jobs: 2, raw: "out/raw.jsonl".into() }
}

#[test]
fn the_page_needs_nothing_else_and_tells_all() {
    let mut plan = plan(12);
    plan.about = "Is <learned> better & \"faster\"?".into();
    let trials = tried(&plan, |task| match task.arm {
        0 => Some(10 + task.cell.seed),
        _ => Some(100 + 10 * task.cell.seed).filter(|_| task.cell.seed < 11),
    });
    let page = html(&Analysis::of(&plan, &trials), &made());
    for part in [
        "Is &lt;learned&gt; better &amp; ",
        "<h3>stale-read</h3>",
        "12 of 12",
        "10 of 12",
        "prefers-color-scheme: dark",
        "@media print",
        "aria-label=\"share of searches that have found lost-write over executions\"",
        "later than the baseline",
        "0 of 12 <small>6000 executions</small>",
        "out/raw.jsonl",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for foreign in ["<script", "src=", "href=", "url(", "@import", "NaN", "inf<", "Not finished"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<td").count(), page.matches("</td>").count());
}

#[test]
fn a_page_of_what_is_not_finished_says_so() {
    let plan = plan(2);
    for left in [0, 5] {
        let mut trials = tried(&plan, |_| None);
        while trials.len() > left {
            trials.pop_last();
        }
        let page = html(&Analysis::of(&plan, &trials), &made());
        assert!(page.contains(&format!("Not finished: {left} of 12 searches")), "{page}");
        assert!(!page.contains("NaN") && !page.contains("inf<"), "{left}");
    }
}
