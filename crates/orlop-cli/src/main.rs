//! The binary: which personality, then one verb, then an exit code.
//!
//! Invariant: no logic about images lives in this crate. A verb's file turns arguments into one call of the
//! `orlop` crate and prints its result; stdout is that result and nothing else.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]
#![expect(unreachable_pub, reason = "in a binary, `pub` means: for the other modules")]

mod cli;
mod command;
mod compat;
mod deferred;
mod environment;
mod error;
mod flags;
mod foreseen;
mod hint;
mod interrupt;
mod manual;
mod output;
mod programs;
mod progress;
mod reference;
mod report;
mod shell;
mod spellings;

use compat::Personality;
use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(debug_assertions)]
    environment::arm_faults();
    let arguments = environment::arguments();
    match Personality::of(&arguments) {
        (Personality::Orlop, words) => cli::run(words),
        (Personality::SlociImage, words) => compat::sloci_image::run(words),
        (Personality::Umoci, words) => compat::umoci::run(words),
    }
}
