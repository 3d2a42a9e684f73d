//! The pages for users say what the code does.

use orlop_spec::change;
use orlop_spec::config::Execution;
use orlop_spec::reference::{Bare, Grammar, LoneStream};
use orlop_spec::validate::Rule;
use std::ffi::OsStr;

const REFERENCES: &str = include_str!("../../../docs/reference/references.md");
const CHANGE: &str = include_str!("../../../docs/reference/change.md");
const FINDINGS: &str = include_str!("../../../docs/reference/findings.md");

#[test]
fn every_rule_of_documents_stands_in_its_table() {
    let (of_documents, _) = FINDINGS.split_once("## Of blobs").expect("two tables");
    let rows: Vec<_> = of_documents.lines().filter(|line| line.starts_with("| `")).collect();
    let expected = Rule::ALL.map(|rule| format!("| `{}` | {} |", rule.name(), rule.meaning()));
    assert_eq!(rows, expected);
}

#[test]
fn every_example_of_a_reference_is_one() {
    let (_, examples) = REFERENCES.split_once("```text\n").expect("a block of examples");
    let examples: Vec<_> = examples.lines().take_while(|line| *line != "```").collect();
    assert!(examples.len() > 10);
    let grammar = Grammar { bare: Bare::Registry, lone_stream: LoneStream::Refused, exists: &|_, _| false };
    for example in examples {
        let reference = grammar.parse(OsStr::new(example)).expect(example);
        assert_eq!(reference.to_string(), example);
    }
}

/// The words in capitals of the table stand for values; these ones.
#[test]
fn every_instruction_of_the_table_is_followed() {
    let rows = CHANGE.lines().filter(|line| line.starts_with("| `"));
    let forms: Vec<&str> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
        .collect();
    assert!(forms.len() > 15);
    for form in forms {
        let text = form
            .replace("[OPTIONS]", "--interval=1s")
            .replace("[:GROUP]", ":0")
            .replace("WORKDIR DIR", "WORKDIR d");
        let text =
            text.replace("/DIR", "/d").replace("STOPSIGNAL NAME", "STOPSIGNAL TERM").replace('…', "true");
        let changed =
            change::apply(Execution::default(), [&*text]).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_ne!(changed, Execution::default(), "{text}");
    }
}
