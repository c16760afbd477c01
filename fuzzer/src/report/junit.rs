//! JUnit XML, for continuous integration.

use crate::smoke::{Case, Failure};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The report of one smoke test.
///
/// # Errors
/// When the XML cannot be written.
pub fn report(target: &str, cases: &[Case]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(target);
    for case in cases {
        let status = case.failure.as_ref().map_or_else(TestCaseStatus::success, |failure| {
            let (kind, name) = match failure {
                Failure::Violation(_) => (NonSuccessKind::Failure, "violation"),
                Failure::Missed(_) => (NonSuccessKind::Failure, "missed"),
                Failure::Diverged(_) => (NonSuccessKind::Failure, "diverged"),
                Failure::Unknown(_) => (NonSuccessKind::Error, "unknown"),
                Failure::Error(_) => (NonSuccessKind::Error, "error"),
            };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(name).set_message(failure.text());
            if !case.story.is_empty() {
                status.set_description(case.story.as_str());
            }
            status
        });
        let mut test = TestCase::new(case.name.as_str(), status);
        test.set_system_out(format!("operations: {}", case.operations));
        test.set_classname(target).set_time(Duration::from_millis(case.wall_ms));
        suite.add_test_case(test);
    }
    let mut report = Report::new("fuzz smoke");
    report.add_test_suite(suite);
    report.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::{Counts, Tally};
    use oracle::Function;
    use std::collections::BTreeMap;

    #[test]
    fn failures_and_errors_are_told_apart() {
        let case = |name: &str, failure| Case {
            name: name.into(),
            failure,
            story: String::new(),
            operations: Tally::default(),
            wall_ms: 250,
        };
        let cases = [
            case("witness/stale-read", None),
            Case {
                story: "1. n1 is cut off\nReplay it: fuzz replay /out/x\n".into(),
                operations: Tally {
                    counts: BTreeMap::from([(Function::Read, Counts { ok: 9, failed: 1, unknown: 0 })]),
                    ..Tally::default()
                },
                ..case("campaign", Some(Failure::Violation("register/stale <read>".into())))
            },
            case("regressions/x", Some(Failure::Unknown("out of budget".into()))),
        ];
        insta::assert_snapshot!(report("toy", &cases).unwrap(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="fuzz smoke" tests="3" failures="1" errors="1">
        <testsuite name="toy" tests="3" disabled="0" errors="1" failures="1">
            <testcase name="witness/stale-read" classname="toy" time="0.250">
                <system-out>operations: none</system-out>
            </testcase>
            <testcase name="campaign" classname="toy" time="0.250">
                <failure message="register/stale &lt;read&gt;" type="violation">1. n1 is cut off
    Replay it: fuzz replay /out/x
    </failure>
                <system-out>operations: read 9 ok, 1 failed, 0 unknown</system-out>
            </testcase>
            <testcase name="regressions/x" classname="toy" time="0.250">
                <error message="out of budget" type="unknown"/>
                <system-out>operations: none</system-out>
            </testcase>
        </testsuite>
    </testsuites>
    "#);
    }
}
