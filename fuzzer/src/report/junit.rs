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
            status
        });
        let mut test = TestCase::new(case.name.as_str(), status);
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

    #[test]
    fn failures_and_errors_are_told_apart() {
        let case = |name: &str, failure| Case { name: name.into(), failure, wall_ms: 250 };
        let cases = [
            case("witness/stale-read", None),
            case("campaign", Some(Failure::Violation("register/stale <read>".into()))),
            case("regressions/x", Some(Failure::Unknown("out of budget".into()))),
        ];
        insta::assert_snapshot!(report("toy", &cases).unwrap(), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="fuzz smoke" tests="3" failures="1" errors="1">
        <testsuite name="toy" tests="3" disabled="0" errors="1" failures="1">
            <testcase name="witness/stale-read" classname="toy" time="0.250">
            </testcase>
            <testcase name="campaign" classname="toy" time="0.250">
                <failure message="register/stale &lt;read&gt;" type="violation"/>
            </testcase>
            <testcase name="regressions/x" classname="toy" time="0.250">
                <error message="out of budget" type="unknown"/>
            </testcase>
        </testsuite>
    </testsuites>
    "#);
    }
}
