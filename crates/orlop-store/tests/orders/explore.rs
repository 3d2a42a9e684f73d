//! All orders of the steps of a few runs on one store.
//!
//! A state is what is in the store, who has locked which folder, which runs had begun when a file was last touched, and
//! where each run is. What a run does next depends on what it has seen alone, so a step is taken for real once for each
//! node and each thing that it can see there; from then on it is known what it does. Orders that meet in a state go on
//! alike, and are counted, not walked again.
//!
//! Three things make states fewer ([`Reduction::All`]), and none loses an end or a fault:
//! - A step is taken at once, and no other is tried before it, when it sees and does the same whatever others do before or
//!   after: it is on a file that only its writer has, or looks at what never is there.
//! - Which runs had begun when a file was touched counts only as long as a sweep can still look at that time, and as far as
//!   it can compare it: with its own time and those of the leases that it found alive.
//! - Runs forget: a taker of images what it saw of one blob when it comes to the next, a sweep what it saw of one kind
//!   of files when it comes to the next, but for what it bases its further steps on.
//!
//! None of them is believed: what is done for real, to learn a step or by chance, must be as it is known; a run that is in
//! one place must go on in one way; and small scenes have the same ends and faults without them.

use super::clock::Luck;
use super::conductor::What;
use super::learned::Learned;
use super::rehearsal::{Act, Rehearsal};
use super::stage::Stage;
use super::state::{About, BEGUN, Files, Plain, Plan, State, file_word, mixed};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// What was explored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    /// All of them.
    pub(crate) orders: f64,
    /// Places of runs.
    pub(crate) nodes: usize,
    /// Steps that were taken for real to learn what they do.
    pub(crate) learned: usize,
    /// What is in the store when all have ended: each different set of files.
    pub(crate) ends: BTreeSet<Vec<String>>,
}

/// An order that ends badly.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) what: String,
    pub(crate) order: String,
}

/// Whether states that are as good as others are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Nothing,
    All,
}

/// How many orders are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    All,
    /// So many, by chance.
    Some(u32),
}

/// So many orders are taken for real to their end beside all that are known.
const REAL: u32 = 8;

/// Runs on a stage. `sweepers` are those that look at times.
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) acts: &'a [Act],
    pub(crate) sweepers: &'a [usize],
    pub(crate) reduction: Reduction,
    pub(crate) luck: Luck,
}

/// A state, and who has not taken a step from it yet.
struct Fork {
    state: State,
    left: Vec<u8>,
    /// Orders from here to the end, so far.
    orders: f64,
}

pub(super) struct Explorer<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) plan: Plan,
    pub(super) files: Files,
    pub(super) learned: Learned,
    pub(super) rehearsal: Option<Rehearsal>,
    /// Orders from each state to the end.
    known: HashMap<u64, f64, Plain>,
    /// Who took the steps that led here.
    pub(super) path: Vec<u8>,
    ends: BTreeSet<Vec<String>>,
    /// Where names and what they need are in a state.
    law: (usize, Vec<usize>, Vec<usize>),
}

impl fmt::Display for Explored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, orders, nodes, learned, ends } = self;
        write!(
            out,
            "{states} states, {orders:.2e} orders, {nodes} places of runs, {learned} steps, {} ends",
            ends.len()
        )
    }
}

/// Explores the orders.
pub(crate) fn explore(scene: &Scene<'_>, extent: Extent) -> Result<Explored, Broken> {
    let mut explorer = Explorer {
        scene,
        plan: Plan {
            folders: scene.stage.folders().count(),
            actors: u8::try_from(scene.acts.len()).expect("few"),
        },
        files: Files::new(scene.stage.folders()),
        learned: Learned::default(),
        rehearsal: None,
        known: HashMap::default(),
        path: Vec::new(),
        ends: BTreeSet::new(),
        law: Default::default(),
    };
    let first = explorer.first();
    let (orders, states) = match extent {
        Extent::All => {
            let orders = explorer.walk(first.clone())?;
            explorer.by_chance(&first, REAL)?;
            (orders, explorer.known.len())
        }
        Extent::Some(count) => (f64::from(count), explorer.by_chance(&first, count)?),
    };
    let (nodes, learned) = (explorer.learned.nodes(), explorer.learned.steps());
    Ok(Explored { states, orders, nodes, learned, ends: explorer.ends })
}

impl Explorer<'_> {
    fn first(&mut self) -> State {
        let rehearsal = Rehearsal::begin(self.scene.stage, self.scene.acts, self.scene.luck);
        let seen = rehearsal.look(self.scene.stage);
        let mut state = State::default();
        for actor in 0..self.plan.actors {
            let node = self.start(actor, rehearsal.next(actor.into()));
            let node = self.learned.add(actor, node);
            state.set(self.plan.node(actor), node);
        }
        for (path, held) in &seen.files {
            let content = self.files.contents.of(&(held.size, held.content.clone()));
            state.set(self.plan.file(self.files.of(path)), file_word(content, 0));
        }
        let names = ["names/a", "names/b"].map(str::to_owned);
        for path in self.scene.stage.needed().iter().chain(&names) {
            self.files.of(path);
        }
        state.set(BEGUN, self.passed_by(&state, None).into());
        self.rehearsal = Some(rehearsal);
        state
    }

    /// Depth first. How many orders there are.
    fn walk(&mut self, first: State) -> Result<f64, Broken> {
        let mut forks = Vec::new();
        self.enter(first, &mut forks)?;
        loop {
            let fork = forks.last_mut().expect("it ends with the first one");
            if let Some(actor) = fork.left.pop() {
                let state = fork.state.clone();
                self.path.push(actor);
                let orders = match self.step(&state, actor) {
                    Some(next) => self.enter(next, &mut forks)?,
                    None => Some(0.0),
                };
                if let Some(orders) = orders {
                    self.path.pop();
                    forks.last_mut().expect("it is the one before").orders += orders;
                }
                continue;
            }
            let Fork { state, orders, .. } = forks.pop().expect("it was the last");
            if orders == 0.0 {
                return Err(self.broken("everybody waits for a lock".into()));
            }
            self.known.insert(state.digest(), orders);
            self.path.pop();
            match forks.last_mut() {
                Some(before) => before.orders += orders,
                None => return Ok(orders),
            }
        }
    }

    /// Comes to a state: how many orders lead on from it, or nothing where that is found out next.
    fn enter(&mut self, state: State, forks: &mut Vec<Fork>) -> Result<Option<f64>, Broken> {
        if let Some(orders) = self.known.get(&state.digest()) {
            return Ok(Some(*orders));
        }
        self.check(&state)?;
        let mut left = self.able(&state);
        if left.is_empty() {
            self.end(&state);
            self.known.insert(state.digest(), 1.0);
            return Ok(Some(1.0));
        }
        if self.scene.reduction == Reduction::All
            && let Some(alone) = left.iter().copied().find(|actor| self.is_alone(&state, *actor))
        {
            left = vec![alone];
        }
        forks.push(Fork { state, left, orders: 0.0 });
        Ok(None)
    }

    fn able(&self, state: &State) -> Vec<u8> {
        let is_able = |actor: &u8| self.node(state, *actor).next.is_some();
        (0..self.plan.actors).filter(is_able).collect()
    }

    /// Whether a run's next step sees and does the same whatever others do before or after it: it looks at what never is
    /// there, or is on a file that only its writer has, and all have begun whose time counts.
    fn is_alone(&mut self, state: &State, actor: u8) -> bool {
        let live = self.able(state).iter().fold(0, |live, actor| live | 1 << actor);
        let all_began = live & !state.get(BEGUN) == 0;
        let node = state.get(self.plan.node(actor));
        match self.learned.about(node, &self.files) {
            About::Own => all_began,
            About::Name(files) if files.is_empty() => {
                let step = self.node(state, actor).next.clone().expect("it is able");
                let is_look = matches!(step.what, What::Glance(_));
                if is_look {
                    self.files.never(&step.about);
                }
                is_look
            }
            About::Folder(files) => files.is_empty(),
            _ => false,
        }
    }

    /// The laws of every moment: an image that has a name is whole, and no run ends with an error.
    fn check(&mut self, state: &State) -> Result<(), Broken> {
        for actor in 0..self.plan.actors {
            if let Some(failed) = self.node(state, actor).failed.clone() {
                return Err(self.broken(failed));
            }
        }
        if self.law.0 != self.files.paths.len() {
            let places = |is: &dyn Fn(&str) -> bool| {
                let found = self.files.all().filter(|(_, path)| is(path));
                found.map(|(file, _)| self.plan.file(file)).collect()
            };
            let names = places(&|path| path.starts_with("names/") && !path.contains("temp"));
            let needed = places(&|path| self.scene.stage.needed().contains(path));
            self.law = (self.files.paths.len(), names, needed);
        }
        let (_, names, needed) = &self.law;
        let is_there = |at: &usize| state.get(*at) != 0;
        if names.iter().any(is_there) && !needed.iter().all(is_there) {
            return Err(self.broken("there is a name for what is not whole".into()));
        }
        Ok(())
    }

    /// Everybody has ended. What is left is judged for real, once for each set of files.
    fn end(&mut self, state: &State) {
        let is_there = |(file, _): &(u32, &str)| state.get(self.plan.file(*file)) != 0;
        let left = self.files.all().filter(is_there).map(|(_, path)| path.to_owned()).collect();
        if self.ends.insert(left) {
            let path = self.path.clone();
            self.lead_to(&path, state);
            self.scene.stage.check_end();
            self.rehearsal = None;
        }
    }

    pub(super) fn broken(&mut self, what: String) -> Broken {
        let path = self.path.clone();
        let rehearsal = self.at(&path);
        Broken { what, order: rehearsal.order() }
    }

    /// Some orders, each to its end, as it is known and then for real. How many states they have.
    fn by_chance(&mut self, first: &State, count: u32) -> Result<usize, Broken> {
        let mut met = 0;
        for seed in 0..count {
            let states = self.choose(first.clone(), seed.into())?;
            met += states.len();
            let path = std::mem::take(&mut self.path);
            self.rehearsal = None;
            for (steps, state) in states.iter().enumerate() {
                self.lead_to(&path[..steps], state);
            }
        }
        Ok(met)
    }

    fn choose(&mut self, first: State, seed: u64) -> Result<Vec<State>, Broken> {
        let mut below = chances_of(seed);
        let mut states = vec![first];
        self.path.clear();
        loop {
            let state = states.last().expect("the first").clone();
            self.check(&state)?;
            let mut able = self.able(&state);
            if able.is_empty() {
                self.end(&state);
                return Ok(states);
            }
            // Runs mostly go on for some steps, as they do when nobody makes them wait.
            let last = self.path.last().copied().filter(|last| able.contains(last) && below(8) > 0);
            let next = loop {
                let chosen = last.filter(|last| able.contains(last));
                let chosen = chosen.and_then(|last| able.iter().position(|it| *it == last));
                let actor = able.swap_remove(chosen.unwrap_or_else(|| below(able.len())));
                self.path.push(actor);
                if let Some(next) = self.step(&state, actor) {
                    break next;
                }
                self.path.pop();
            };
            states.push(next);
        }
    }
}

/// Numbers below a bound, the same for the same seed.
fn chances_of(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        seed = mixed(seed, 1);
        usize::try_from(seed % bound as u64).expect("it is below")
    }
}
