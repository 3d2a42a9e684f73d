//! Lets threads take their steps in a given order: at the seam, every one waits for its turn.
//!
//! What is nobody else's concern is no step, and is done at once.

use super::clock::Book;
use orlop_fs::seam::{self, Glance, Operation, Verdict};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a thread is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Change(Operation),
    Glance(Glance),
}

/// A step, and the path or name that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: What,
    pub(crate) about: Vec<u8>,
}

impl Step {
    /// Whether a file without a name is made.
    pub(crate) fn begins(&self) -> bool {
        self.what == What::Change(Operation::Create) && self.about.is_empty()
    }
}

/// What a thread waits to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) what: What,
    /// Under a name that is the same in every order.
    pub(crate) about: String,
    /// How often the thread has said that it forgets, and what it keeps in mind.
    pub(crate) part: u32,
}

/// Where the threads of one run are.
struct Board {
    waiting: Vec<Option<(Step, Waiting)>>,
    ended: Vec<bool>,
    /// Who may run.
    turn: Option<usize>,
    /// Who comes next, without a question.
    script: VecDeque<usize>,
    /// Everybody is to end: each step fails.
    is_over: bool,
    order: Vec<(usize, Step)>,
    book: Book,
}

struct Inner {
    board: Mutex<Board>,
    /// One for each thread.
    bells: Vec<Condvar>,
    /// Everybody waits.
    still: Condvar,
}

/// The threads of one run.
#[derive(Clone)]
pub(crate) struct Conductor(Arc<Inner>);

thread_local! {
    static ACTOR: Cell<Option<usize>> = const { Cell::new(None) };
    static PART: Cell<u32> = const { Cell::new(0) };
}

/// Said by a run between two things that it does: what it does from now on depends on nothing that it saw before, but for
/// this.
pub(crate) fn forget_but(kept: u8) {
    PART.set((PART.get() & !0xff) + 0x100 + u32::from(kept));
}

static RUN: Mutex<Option<Conductor>> = Mutex::new(None);

impl Conductor {
    /// Begins a run of so many threads.
    pub(crate) fn begin(actors: usize, book: Book) -> Self {
        let board = Board {
            waiting: vec![None; actors],
            ended: vec![false; actors],
            turn: None,
            script: VecDeque::new(),
            is_over: false,
            order: Vec::new(),
            book,
        };
        let bells = (0..actors).map(|_| Condvar::new()).collect();
        let conductor = Self(Arc::new(Inner { board: Mutex::new(board), bells, still: Condvar::new() }));
        *RUN.lock().unwrap_or_else(PoisonError::into_inner) = Some(conductor.clone());
        seam::install(Box::new(|operation, name| arrive(What::Change(operation), name)));
        seam::watch(Box::new(|glance, path| arrive(What::Glance(glance), path)));
        conductor
    }

    /// What the thread of an actor does.
    pub(crate) fn act<R>(&self, actor: usize, work: impl FnOnce() -> R) -> R {
        ACTOR.set(Some(actor));
        PART.set(0);
        self.wait_for_turn(self.board(), actor);
        let done = work();
        ACTOR.set(None);
        let mut board = self.board();
        board.ended[actor] = true;
        self.hand_on(&mut board, actor);
        done
    }

    /// Lets each actor come to its first step.
    pub(crate) fn assemble(&self) {
        for actor in 0..self.0.bells.len() {
            self.go(actor);
        }
    }

    /// Lets the actors take these steps, each the next of its own.
    pub(crate) fn replay(&self, script: impl IntoIterator<Item = usize>) {
        let mut board = self.board();
        board.script.extend(script);
        if let Some(first) = board.next() {
            board.allow(first);
            drop(board);
            self.go(first);
        }
    }

    /// What an actor waits to do; nothing when it has ended.
    pub(crate) fn next(&self, actor: usize) -> Option<Waiting> {
        let board = self.board();
        if board.ended[actor] { None } else { board.waiting[actor].as_ref().map(|(_, it)| it.clone()) }
    }

    pub(crate) fn order(&self) -> String {
        let show =
            |(actor, step): &(usize, Step)| format!("{actor}: {:?} {}", step.what, step.about.escape_ascii());
        self.board().order.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn book<R>(&self, look: impl FnOnce(&Book) -> R) -> R {
        look(&self.board().book)
    }

    /// Ends the run, wherever it is.
    pub(crate) fn end(&self) {
        self.board().is_over = true;
        self.0.bells.iter().for_each(Condvar::notify_all);
    }

    /// Until everybody waits again.
    fn go(&self, actor: usize) {
        let mut board = self.board();
        board.turn = Some(actor);
        self.0.bells[actor].notify_all();
        while board.turn.is_some() {
            board = self.0.still.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the turn to whom the script says, or back.
    fn hand_on(&self, board: &mut Board, actor: usize) {
        board.turn = board.next();
        match board.turn {
            None => self.0.still.notify_all(),
            Some(next) => {
                board.allow(next);
                if next != actor {
                    self.0.bells[next].notify_all();
                }
            }
        }
    }

    fn wait_for_turn(&self, mut board: MutexGuard<'_, Board>, actor: usize) -> Verdict {
        while board.turn != Some(actor) && !board.is_over {
            board = self.0.bells[actor].wait(board).unwrap_or_else(PoisonError::into_inner);
        }
        if board.is_over { Verdict::Fail(5) } else { Verdict::Go }
    }

    fn arrive(&self, actor: usize, step: Step) -> Verdict {
        let mut board = self.board();
        if board.is_over {
            return Verdict::Fail(5);
        }
        if board.book.is_private(&step) {
            return Verdict::Go;
        }
        let (what, about) = (step.what, board.book.meet(actor, &step));
        board.waiting[actor] = Some((step, Waiting { what, about, part: PART.get() }));
        self.hand_on(&mut board, actor);
        self.wait_for_turn(board, actor)
    }
}

impl Board {
    /// Who comes next. A run that should have a step left and has ended is found out when the script is at its end.
    fn next(&mut self) -> Option<usize> {
        let (script, ended) = (&mut self.script, &self.ended);
        std::iter::from_fn(|| script.pop_front()).find(|actor| !ended[*actor])
    }

    fn allow(&mut self, actor: usize) {
        let (step, _) = self.waiting[actor].clone().expect("it waits");
        self.book.before(actor, &step);
        self.order.push((actor, step));
    }
}

/// At the seam: only actors wait.
fn arrive(what: What, about: &[u8]) -> Verdict {
    // The conductor's own looks at files are no steps.
    let Some(actor) = ACTOR.take() else { return Verdict::Go };
    let run = RUN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let verdict = run.map_or(Verdict::Go, |run| run.arrive(actor, Step { what, about: about.to_vec() }));
    ACTOR.set(Some(actor));
    verdict
}
