//! Automation of this repository, run as `cargo xtask TASK`.
//!
//! Invariant: a task reads the working copy, prints what it found, and exits 1 where something is wrong. It
//! never changes a file of it, but for `icount --record`, which says so.
#![expect(clippy::print_stdout, reason = "a task's result is what it prints")]
#![expect(clippy::print_stderr, reason = "a task's usage and failures go to the terminal")]

mod icount;
mod programs;
mod proofs;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: cargo xtask TASK

  tests SECONDS    every test, a program for each core, within that time
  tidy             crate directions, budgets, headers, bans, forgotten files, documents, item coverage
  proofs FILE      the table of proofs that the tests wrote to FILE; with CI=true a skipped one is an error
  icount [--record]  instruction counts of fixed operations against xtask/icount.json";

/// Whether a task found the repository in order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Green,
    Red,
}

/// What a task answers. An error is a task that could not look, for example a file that cannot be read.
type Outcome = Result<Verdict, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["tests", seconds] => match seconds.parse() {
            Ok(seconds) => programs::run(&root(), Duration::from_secs(seconds)),
            Err(_) => return usage(),
        },
        ["tidy"] => tidy::run(&root()),
        ["proofs", file] => proofs::run(Path::new(file)),
        ["icount"] => icount::run(&root(), icount::Mode::Check),
        ["icount", "--record"] => icount::run(&root(), icount::Mode::Record),
        _ => return usage(),
    };
    match outcome {
        Ok(Verdict::Green) => ExitCode::SUCCESS,
        Ok(Verdict::Red) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(64)
}

/// The repository: the folder above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}
