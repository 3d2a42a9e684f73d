//! From inside: the seam that every changing file operation passes.

use crate::stage::{SUBJECTS, Stage, Subject, Trial};
use testkit::fault::operations;
use testkit::{full, proof};

#[test]
fn every_operation_may_be_the_last() {
    let stage = Stage::new();
    let cases = SUBJECTS.iter().map(|subject| disturb(&stage, subject)).sum();
    proof::ran("crash: kill, EIO and ENOSPC at the file seam", cases);
}

fn disturb(stage: &Stage, subject: &Subject) -> usize {
    let trial = Trial::new(stage, subject);
    let last = count(stage, subject);
    assert!(last >= 2, "{}: {last} operations; is ORLOP_FAULT compiled in?", subject.name);
    let points: Vec<usize> = (1..=last).filter(|point| is_chosen(*point, last)).collect();
    for point in &points {
        for fault in ["kill", "eio", "enospc"] {
            let what = format!("{} {fault}:{point} of {last}", subject.name);
            let broken =
                trial.disturb(&what, |command| command.env("ORLOP_FAULT", format!("{fault}:{point}")));
            if fault == "kill" {
                // Threads that meet at a folder may need an operation more or less from run to run.
                let is_beyond = broken.success() && point + 3 > last;
                assert!(broken.signal() == Some(9) || is_beyond, "{what}: {broken}");
            } else {
                assert!(broken.code().is_some_and(|code| code != 101), "{what}: {broken}");
            }
        }
    }
    3 * points.len()
}

/// Every point, or in the gate the first ones, the last ones, where names are given, and some between.
fn is_chosen(point: usize, last: usize) -> bool {
    full() || point <= 2 || point + 5 >= last || point.is_multiple_of(13)
}

/// Changing operations of an undisturbed run.
fn count(stage: &Stage, subject: &Subject) -> usize {
    let work = stage.fresh();
    operations(subject.command(&work), &stage.notes()).len()
}
