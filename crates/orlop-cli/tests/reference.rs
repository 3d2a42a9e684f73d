//! The committed reference is what the program says today. `ORLOP_BLESS=1 cargo test -p orlop-cli --test
//! reference` writes it anew.

use std::path::Path;
use testkit::orlop;

#[test]
fn the_reference_of_the_command_line_is_fresh() {
    compare("docs/reference/cli.md", &orlop().args(["reference", "cli"]).ok().out());
}

#[test]
fn the_reference_of_exit_codes_is_fresh() {
    compare("docs/reference/exit-codes.md", &orlop().args(["reference", "exit-codes"]).ok().out());
}

#[test]
fn the_help_is_the_reviewed_one() {
    compare("crates/orlop-cli/tests/help.txt", &orlop().arg("--help").ok().out());
}

fn compare(committed: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(committed);
    if std::env::var_os("ORLOP_BLESS").is_some() {
        std::fs::write(&path, made).expect("the folder exists");
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == made, "{committed} is stale; ORLOP_BLESS=1 cargo test -p orlop-cli --test reference");
}
