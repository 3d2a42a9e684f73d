//! A registry in memory that is right, but for what a test makes of its answers.

use crate::fault_server::{Shelf, in_the_clear};
use crate::http::{self, Asked, Reply};
use crate::listener::Listener;
use std::sync::{Arc, Mutex, MutexGuard};

/// The server; it ends when it is dropped.
pub struct ShelfServer {
    listener: Listener,
    shelf: Arc<Mutex<Shelf>>,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl ShelfServer {
    /// One that is right.
    pub fn right() -> Self {
        Self::that(|_, reply| reply)
    }

    /// One whose answers are changed; `change` is given the question and the right answer.
    pub fn that(change: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |asked, shelf| change(asked, locked(shelf).answer(asked)))
    }

    /// One that does not even do what it answers to by itself.
    pub fn instead(refuse: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::start(move |asked, shelf| refuse(asked).unwrap_or_else(|| locked(shelf).answer(asked)))
    }

    /// One to which something else happens just before it answers.
    pub fn meanwhile(happens: impl Fn(&Asked, &mut Shelf) + Send + Sync + 'static) -> Self {
        Self::start(move |asked, shelf| {
            let mut shelf = locked(shelf);
            happens(asked, &mut shelf);
            shelf.answer(asked)
        })
    }

    fn start(answer: impl Fn(&Asked, &Mutex<Shelf>) -> Reply + Send + Sync + 'static) -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (shelves, notes) = (Arc::clone(&shelf), Arc::clone(&seen));
        let listener = Listener::start(move |stream| {
            let Some(stream) = in_the_clear(stream) else { return };
            http::serve(stream, |asked| {
                let kept = Asked { body: Vec::new(), ..asked.clone() };
                notes.lock().expect("no test panics with it").push(kept);
                answer(asked, &shelves)
            });
        });
        Self { listener, shelf, seen }
    }

    /// `127.0.0.1:PORT`, as references name it.
    pub fn host(&self) -> String {
        self.listener.host()
    }

    /// A repository of it.
    pub fn app(&self) -> String {
        format!("{}/app", self.host())
    }

    /// What it holds.
    pub fn shelf(&self) -> MutexGuard<'_, Shelf> {
        locked(&self.shelf)
    }

    /// The questions since this was last asked, as `METHOD path`, digests cut short.
    pub fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.seen.lock().expect("no test panics with it"));
        asked.iter().map(|asked| format!("{} {}", asked.method, short(asked.path()))).collect()
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.listener.connections()
    }
}

fn locked(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().expect("no test panics with it")
}

fn short(path: &str) -> String {
    match path.split_once("sha256:") {
        Some((before, digest)) => format!("{before}{}", &digest[..6]),
        None => path.into(),
    }
}
