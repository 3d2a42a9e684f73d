//! One step from a state: as it is known, or else for real.

use super::conductor::{Waiting, What};
use super::explore::{Explorer, Reduction, Scene};
use super::learned::{Came, Done, Effect, Hold, Node};
use super::rehearsal::Rehearsal;
use super::stage::Seen;
use super::state::{About, BEGUN, State, begun_of, digest_of, file_word, keeps_times, lock_at, mixed};
use orlop_fs::seam::{Glance, Operation};
use std::collections::BTreeSet;

/// A list of this folder begins what a sweep does with what is there, and what it does with litter.
const BLOBS: &str = "store/blobs/sha256";

/// What is kept in mind of a lease; and that something has a name.
const OF_LEASE: u64 = 1 << 63;
const OF_NAME: u64 = 1;

impl Explorer<'_> {
    pub(super) fn node(&self, state: &State, actor: u8) -> &Node {
        self.learned.node(state.get(self.plan.node(actor)))
    }

    pub(super) fn start(&self, actor: u8, next: Option<Waiting>) -> Node {
        let is_sweeper = self.scene.sweepers.contains(&actor.into());
        let compares = if is_sweeper { u8::MAX } else { 0 };
        Node {
            next,
            failed: None,
            seen: 0,
            kept: BTreeSet::new(),
            part: 0,
            compares,
            leases: 1 << actor,
            touched: 0,
        }
    }

    /// The runs whose times are compared with nothing, or not with that of a file, now or later. Whether they had begun when
    /// it was touched does not matter, and is taken for true.
    pub(super) fn passed_by(&self, state: &State, file: Option<u32>) -> u8 {
        if self.scene.reduction == Reduction::Nothing {
            return 0;
        }
        let mut compared = 0;
        for actor in 0..self.plan.actors {
            let node = self.node(state, actor);
            if node.compares != 0 && file.is_none_or(|file| self.files.counts(file, node.part)) {
                compared |= node.compares;
            }
        }
        !compared & self.plan.all()
    }

    /// The state that a run's next step leads to; nothing where it has to wait.
    pub(super) fn step(&mut self, state: &State, actor: u8) -> Option<State> {
        let node = state.get(self.plan.node(actor));
        let seen = self.sees(state, node);
        if self.learned.came(node, seen).is_none() {
            let came = self.learn(state, actor, seen);
            self.learned.note(node, seen, came);
        }
        match self.learned.came(node, seen).expect("just learned") {
            Came::Waits => None,
            Came::Done(done) => Some(self.after(state, actor, done)),
        }
    }

    /// What a step may depend on: what is under its name, the names of its folder, who has its lock. Sweeps look at times.
    fn sees(&mut self, state: &State, number: u32) -> u64 {
        let node = self.learned.node(number);
        let looks = node.next.as_ref().is_some_and(|step| step.what == What::Glance(Glance::Look));
        let compares = if looks { node.compares } else { 0 };
        match self.learned.about(number, &self.files) {
            About::Own => state.get(BEGUN).into(),
            About::Lock(folder) => {
                let [shared, alone, ..] = state.get(lock_at(*folder)).to_le_bytes();
                u64::from(shared != 0) + 2 * u64::from(alone != 0)
            }
            About::Folder(files) => {
                let there = files.iter().filter(|file| state.get(self.plan.file(**file)) != 0);
                there.fold(1, |seen, file| mixed(seen, u64::from(*file)))
            }
            About::Name(files) => files.iter().fold(2, |seen, file| match state.get(self.plan.file(*file)) {
                0 => seen,
                word => {
                    let shown = word & !0xff | u32::from(begun_of(word) & compares);
                    mixed(mixed(seen, u64::from(*file)), shown.into())
                }
            }),
        }
    }

    fn after(&self, state: &State, actor: u8, done: &Done) -> State {
        let mut after = state.clone();
        if done.begins {
            after.set(BEGUN, state.get(BEGUN) | 1 << actor);
        }
        for (folder, hold) in &done.locks {
            let (at, bits) = (lock_at(*folder), 0x101 << actor);
            let others = state.get(at) & !bits;
            let own = match hold {
                Hold::Free => 0,
                Hold::Share => 1 << actor,
                Hold::Alone => 0x100 << actor,
            };
            after.set(at, others | own);
        }
        after.set(self.plan.node(actor), done.to);
        let begun = after.get(BEGUN).to_le_bytes()[0] | self.passed_by(&after, None);
        after.set(BEGUN, begun.into());
        for (file, effect) in &done.files {
            let word = match effect {
                Effect::Gone => 0,
                Effect::Touched(content) => file_word(*content, begun | self.passed_by(&after, Some(*file))),
                Effect::Kept(content, begun) => {
                    file_word(*content, begun | self.passed_by(&after, Some(*file)))
                }
            };
            after.set(self.plan.file(*file), word);
        }
        let (was, is) = (self.node(state, actor), self.node(&after, actor));
        if (was.compares, was.part) != (is.compares, is.part) && was.compares != 0 {
            for (file, _) in self.files.all() {
                let at = self.plan.file(file);
                if after.get(at) != 0 {
                    after.set(at, after.get(at) | u32::from(self.passed_by(&after, Some(file))));
                }
            }
        }
        after
    }

    /// Runs that have taken these steps for real, again and again until random names come in the order that is tried.
    pub(super) fn at(&mut self, path: &[u8]) -> &mut Rehearsal {
        loop {
            let goes_on = |it: &Rehearsal| path.starts_with(&it.taken) && !it.is_unlucky();
            if !self.rehearsal.as_ref().is_some_and(goes_on) {
                // The ones before must have ended: there is one store.
                self.rehearsal = None;
                let Scene { stage, acts, luck, .. } = self.scene;
                self.rehearsal = Some(Rehearsal::begin(stage, acts, *luck));
            }
            let rehearsal = self.rehearsal.as_mut().expect("just begun");
            let left = &path[rehearsal.taken.len()..];
            if !left.is_empty() {
                rehearsal.replay(left);
            }
            if !rehearsal.is_unlucky() {
                break;
            }
        }
        self.rehearsal.as_mut().expect("it broke off with one")
    }

    /// Takes these steps for real; what is there then must be as it is known.
    pub(super) fn lead_to(&mut self, path: &[u8], state: &State) -> Seen {
        let stage = self.scene.stage;
        let seen = self.at(path).look(stage);
        let rehearsal = self.rehearsal.as_ref().expect("it was led there");
        for actor in 0..self.plan.actors {
            let next = rehearsal.next(actor.into());
            assert_eq!(
                next,
                self.node(state, actor).next,
                "run {actor} is elsewhere:\n{}",
                rehearsal.order()
            );
        }
        let shown = |word: u32| {
            (word != 0).then(|| (self.files.contents.get((word >> 8) - 1).clone(), begun_of(word)))
        };
        for (file, path) in self.files.all() {
            let real = seen
                .files
                .get(path)
                .map(|it| ((it.size, it.content.clone()), it.begun | self.passed_by(state, Some(file))));
            let known = shown(state.get(self.plan.file(file)));
            assert_eq!(real, known, "{path} is another:\n{}", rehearsal.order());
        }
        let count = seen.files.keys().filter(|path| self.files.all().any(|(_, it)| it == *path)).count();
        assert_eq!(count, seen.files.len(), "there are files that nobody knows of:\n{}", rehearsal.order());
        for (folder, real) in seen.locks.iter().enumerate() {
            let [shared, alone, ..] = state.get(lock_at(folder)).to_le_bytes();
            assert_eq!(
                *real,
                [shared.count_ones(), alone.count_ones()],
                "other locks:\n{}",
                rehearsal.order()
            );
        }
        assert_eq!(
            u32::from(seen.begun | self.passed_by(state, None)),
            state.get(BEGUN),
            "another beginning"
        );
        seen
    }

    /// Takes the last step of the path for real.
    fn learn(&mut self, state: &State, actor: u8, shown: u64) -> Came {
        let (last, path) = self.path.split_last().expect("the step is on the path");
        assert_eq!(*last, actor);
        let path = path.to_vec();
        let before = self.lead_to(&path, state);
        let stage = self.scene.stage;
        let rehearsal = self.rehearsal.as_mut().expect("it was led there");
        rehearsal.replay(&[actor]);
        if rehearsal.is_unlucky() {
            return self.learn(state, actor, shown);
        }
        let next = rehearsal.next(actor.into());
        if next.as_ref().is_some_and(|next| next.what == What::Glance(Glance::Wait)) {
            self.rehearsal = None;
            return Came::Waits;
        }
        let failed = rehearsal.failed(actor.into());
        let after = rehearsal.look(stage);
        let Node { next: step, touched, .. } = self.node(state, actor).clone();
        let step = step.expect("it took a step");
        let node = self.follow(state, actor, &step, (shown, next, failed));
        let to = self.learned.add(actor, node);
        Came::Done(Done {
            files: self.effects((&step, touched), &before, &after),
            locks: holds(&before, &after),
            begins: before.begun != after.begun,
            to,
        })
    }

    /// What a step did to files; one that was nameless was touched when these runs had begun, as far as is known of them.
    fn effects(
        &mut self,
        (step, touched): (&Waiting, u8),
        before: &Seen,
        after: &Seen,
    ) -> Vec<(u32, Effect)> {
        let paths: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
        let mut effects = Vec::new();
        for path in paths {
            let (was, is) = (before.files.get(path), after.files.get(path));
            let file = self.files.of(path);
            match is {
                _ if was == is => {}
                None => effects.push((file, Effect::Gone)),
                Some(held) => {
                    let content = self.files.contents.of(&(held.size, held.content.clone()));
                    let effect = if keeps_times(step.what) {
                        Effect::Kept(content, held.begun | touched)
                    } else {
                        Effect::Touched(content)
                    };
                    effects.push((file, effect));
                }
            }
        }
        effects
    }

    /// The node behind a step that was taken.
    fn follow(
        &self,
        state: &State,
        actor: u8,
        step: &Waiting,
        (shown, next, failed): (u64, Option<Waiting>, Option<String>),
    ) -> Node {
        let node = self.node(state, actor);
        let Some(next) = next else {
            let seen = failed.as_deref().map_or(0, digest_of);
            return Node {
                next: None,
                failed,
                seen,
                kept: BTreeSet::new(),
                part: u32::MAX,
                compares: 0,
                leases: 0,
                touched: 0,
            };
        };
        // Who was given a lock does not know who else shares it.
        let is_lock = step.what == What::Glance(Glance::Lock)
            && step.about.contains("store/")
            && !step.about.contains("leases/");
        let shown = if is_lock { 0 } else { shown };
        let sight = mixed(digest_of(&format!("{:?} {}", step.what, step.about)), shown);
        let touched = match step.what {
            What::Change(Operation::SetMeta) => node.touched,
            What::Change(_) if step.about.is_empty() => begun_of(state.get(BEGUN)),
            what if keeps_times(what) => 0,
            _ => node.touched,
        };
        let mut to = Node { seen: mixed(node.seen, sight), next: Some(next), touched, ..node.clone() };
        if self.scene.reduction == Reduction::All {
            if self.scene.sweepers.contains(&actor.into()) {
                self.forget_as_sweep(state, step, sight, &mut to);
            } else if let Some(next) = &to.next
                && next.part != step.part
            {
                (to.seen, to.part) = (0, next.part);
            }
        }
        to
    }

    /// What a sweep keeps in mind: which leases live, and when they began; what names reach; which layers it removed, and
    /// whose lists it read. In the end, when it looks for litter, only how old is old.
    fn forget_as_sweep(&self, state: &State, step: &Waiting, sight: u64, to: &mut Node) {
        let begins_part = matches!(&to.next, Some(next) if next.what == What::Glance(Glance::List));
        let begins_blobs = begins_part && to.next.as_ref().is_some_and(|next| next.about.ends_with(BLOBS));
        let name = step.about.rsplit('/').next().unwrap_or_default();
        if to.part == 0 {
            let found = self.found(state, step);
            match (step.what, found) {
                (What::Glance(Glance::Lock), Some((path, begun))) if path.starts_with("leases/") => {
                    let owner: u8 = path["leases/".len()..]
                        .split('.')
                        .next()
                        .and_then(|it| it.parse().ok())
                        .expect("a run");
                    to.leases |= 1 << owner;
                    to.kept.insert(mixed(OF_LEASE, mixed(owner.into(), begun.into())) | OF_LEASE);
                }
                (What::Glance(Glance::Open), Some((path, _))) if path.starts_with("names/") => {
                    to.kept.insert(OF_NAME);
                }
                (What::Glance(Glance::Open), _) if !step.about.contains("store/leases/") => {
                    to.kept.insert(sight & !OF_LEASE);
                }
                _ => {}
            }
            if begins_blobs {
                (to.seen, to.part, to.compares) = (0, 1, to.leases);
            }
            return;
        }
        let is_layer = |file: u32, path: &str| {
            path.starts_with("layers/") && path.ends_with(name) && state.get(self.plan.file(file)) != 0
        };
        if self.files.all().any(|(file, path)| is_layer(file, path))
            && matches!(step.what, What::Glance(Glance::Open) | What::Change(Operation::Remove))
        {
            to.kept.insert(sight & !OF_LEASE);
        }
        if begins_blobs {
            to.kept.retain(|it| it & OF_LEASE != 0);
        }
        if begins_part {
            (to.seen, to.part) = (0, to.part + 1);
        }
    }

    /// The file that a step is about, where it is there, and which runs had begun when it was touched.
    fn found(&self, state: &State, step: &Waiting) -> Option<(&str, u8)> {
        let (file, path) =
            self.files.all().find(|(_, path)| step.about.ends_with(&format!("store/{path}")))?;
        let word = state.get(self.plan.file(file));
        (word != 0).then(|| (path, begun_of(word)))
    }
}

fn holds(before: &Seen, after: &Seen) -> Vec<(usize, Hold)> {
    let pairs = before.locks.iter().zip(&after.locks).enumerate();
    let changed = pairs.filter(|(_, (before, after))| before != after);
    changed
        .map(|(folder, (before, after))| match () {
            () if after[0] > before[0] => (folder, Hold::Share),
            () if after[1] > before[1] => (folder, Hold::Alone),
            () => (folder, Hold::Free),
        })
        .collect()
}
