//! Orders of the steps of a few runs on one store, each state once.
//!
//! A state is what is in the store, how old each file is beside the times that count (when a lease began, when a sweep
//! did), and what each run has done and seen so far. Two orders that lead to one state go on alike, so only one of them
//! does. The clock moves with every step.
//!
//! All states are too many: orders are bounded by their switches, which is how often a run that could go on is made to wait.

use super::conductor::{Conductor, Step, What};
use super::stage::{Snapshot, Stage, observed};
use orlop_fs::seam::Glance;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;

/// What a run does; an error is none that may be.
pub(crate) type Act = fn(&Path) -> Result<(), String>;

/// What was explored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    /// Orders that were followed to their end; all others come to a state that one of them had.
    pub(crate) orders: usize,
}

/// How often a run that could go on may be made to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Switches(pub(crate) u8);

impl Switches {
    fn is_none(self) -> bool {
        self.0 == 0
    }

    fn but_one(self) -> Self {
        Self(self.0 - 1)
    }
}

/// A state, and who took the step from it.
struct Fork {
    taken: usize,
    left: Vec<usize>,
    /// Who took the step that led here, if that one could go on.
    before: Option<usize>,
    switches: Switches,
    /// What each run had done and seen.
    seen: Vec<u64>,
}

/// States, and with how many switches left.
type Known = HashMap<u64, Switches>;

/// Explores all orders with so many switches.
pub(crate) fn explore(stage: &Stage, acts: &[Act], switches: Switches) -> Explored {
    let mut explored = Explored::default();
    let mut known = Known::default();
    let mut forks: Vec<Fork> = Vec::new();
    loop {
        explored.orders += usize::from(play(stage, acts, switches, &mut forks, &mut known));
        while forks.last().is_some_and(|fork| fork.left.is_empty()) {
            forks.pop();
        }
        explored.states = known.len();
        match forks.last_mut() {
            Some(fork) => fork.taken = fork.left.pop().expect("not empty"),
            None => return explored,
        }
    }
}

/// One run: along the forks, then on until a state is known or everybody has ended, which it tells.
fn play(stage: &Stage, acts: &[Act], switches: Switches, forks: &mut Vec<Fork>, known: &mut Known) -> bool {
    let conductor = Conductor::begin(acts.len(), stage.reset());
    let place = stage.place();
    let outcome = thread::scope(|scope| {
        let begin = |(actor, act): (usize, &Act)| {
            let (conductor, place, act) = (conductor.clone(), &place, *act);
            scope.spawn(move || {
                conductor.act(actor, || {
                    catch_unwind(AssertUnwindSafe(|| act(place))).unwrap_or_else(|_| Err("a panic".into()))
                })
            })
        };
        let actors: Vec<_> = acts.iter().enumerate().map(begin).collect();
        conductor.assemble();
        let mut run =
            Run { stage, conductor: &conductor, seen: vec![0; acts.len()], stuck: vec![false; acts.len()] };
        let came = run.along(switches, forks, known);
        conductor.end();
        let outcomes: Vec<_> = actors.into_iter().map(|actor| actor.join().expect("caught")).collect();
        came.and_then(|is_end| {
            if is_end { outcomes.into_iter().collect::<Result<_, _>>().map(|()| true) } else { Ok(false) }
        })
    });
    orlop_fs::seam::clear();
    match outcome {
        Ok(false) => false,
        Ok(true) => {
            stage.check_end();
            true
        }
        Err(what) => panic!("{what}, in this order:\n{}", conductor.order()),
    }
}

struct Run<'a> {
    stage: &'a Stage,
    conductor: &'a Conductor,
    seen: Vec<u64>,
    /// Who asked for a lock that another has, and nobody took a step since.
    stuck: Vec<bool>,
}

impl Run<'_> {
    /// Whether the run came to its end.
    fn along(
        &mut self,
        mut switches: Switches,
        forks: &mut Vec<Fork>,
        known: &mut Known,
    ) -> Result<bool, String> {
        // Who goes first is no switch.
        let mut last = None;
        if let [before @ .., fork] = &forks[..] {
            self.conductor.replay(before.iter().map(|fork| fork.taken));
            self.seen.clone_from(&fork.seen);
            self.step(fork.taken, &self.snapshot());
            last = Some(fork.taken);
            let is_switch = fork.before.is_some_and(|before| before != fork.taken);
            switches = if is_switch { fork.switches.but_one() } else { fork.switches };
        }
        loop {
            let mut able: Vec<usize> = (0..self.seen.len()).filter(|actor| self.is_able(*actor)).collect();
            let before = last.filter(|last| able.contains(last));
            able.sort_by_key(|actor| Some(*actor) != before);
            if before.is_some() && switches.is_none() {
                able.truncate(1);
            }
            let Some((first, left)) = able.split_first() else {
                let all_ended = self.stuck.iter().all(|is_stuck| !is_stuck);
                return if all_ended { Ok(true) } else { Err("everybody waits for a lock".into()) };
            };
            let snapshot = self.snapshot();
            self.stage.check_names(&snapshot)?;
            if known.get(&self.key(&snapshot, before)).is_some_and(|had| *had >= switches) {
                return Ok(false);
            }
            known.insert(self.key(&snapshot, before), switches);
            forks.push(Fork {
                taken: *first,
                left: left.to_vec(),
                before,
                switches,
                seen: self.seen.clone(),
            });
            self.step(*first, &snapshot);
            last = Some(*first);
        }
    }

    fn is_able(&self, actor: usize) -> bool {
        !self.stuck[actor] && self.conductor.next(actor).is_some()
    }

    fn snapshot(&self) -> Snapshot {
        self.conductor.book(|book| self.stage.snapshot(book))
    }

    fn step(&mut self, actor: usize, snapshot: &Snapshot) {
        let step = self.conductor.next(actor).expect("it waits");
        let mut hasher = DefaultHasher::new();
        (self.seen[actor], step.what).hash(&mut hasher);
        self.conductor.book(|book| observed(actor, &step, snapshot, book)).hash(&mut hasher);
        self.conductor.step(actor);
        let waits = |step: Step| step.what == What::Glance(Glance::Wait);
        if self.conductor.next(actor).is_some_and(waits) {
            // To ask in vain is no step.
            self.stuck[actor] = true;
        } else {
            self.stuck.fill(false);
            self.seen[actor] = hasher.finish();
        }
    }

    /// Who goes on without a switch is part of it.
    fn key(&self, snapshot: &Snapshot, before: Option<usize>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (snapshot, &self.seen, before).hash(&mut hasher);
        for actor in 0..self.seen.len() {
            self.conductor.next(actor).is_none().hash(&mut hasher);
        }
        hasher.finish()
    }
}
