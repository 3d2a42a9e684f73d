//! What was found, in memory that does not grow with the number of findings.
//!
//! Invariant: of each rule and severity the first [`SHOWN`] findings are kept, and the others are counted.

use super::Problem;
use orlop_spec::validate::Severity;
use std::collections::BTreeMap;

/// Findings of one rule that are kept.
const SHOWN: u64 = 1000;

/// Findings that were counted only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct More {
    /// Name of the rule.
    pub rule: &'static str,
    /// How bad they are.
    pub severity: Severity,
    /// How many there are beside those that are told.
    pub count: u64,
}

#[derive(Debug, Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    counts: BTreeMap<(Severity, &'static str), u64>,
}

impl Report {
    pub(super) fn add(&mut self, problem: Problem) {
        let count = self.counts.entry((problem.severity, problem.rule)).or_default();
        *count += 1;
        if *count <= SHOWN {
            self.problems.push(problem);
        }
    }

    pub(super) fn finish(self) -> (Vec<Problem>, Vec<More>) {
        let more = self.counts.into_iter().filter(|(_, count)| *count > SHOWN);
        let more =
            more.map(|((severity, rule), count)| More { rule, severity, count: count - SHOWN }).collect();
        (self.problems, more)
    }
}
