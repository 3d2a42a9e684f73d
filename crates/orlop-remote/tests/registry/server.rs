//! A registry that is right, but for what a test makes of its answers.

use std::sync::{Arc, Mutex, MutexGuard};
use testkit::fault_server::Shelf;
use testkit::http::{self, Asked, Reply};
use testkit::listener::Listener;

/// A registry in memory.
pub(crate) struct Server {
    listener: Listener,
    shelf: Arc<Mutex<Shelf>>,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// One that is right.
    pub(crate) fn right() -> Self {
        Self::that(|_, reply| reply)
    }

    /// One whose answers are changed; `change` is given the question and the right answer.
    pub(crate) fn that(change: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(|_| None, change)
    }

    /// One that does not even do what it answers to by itself.
    pub(crate) fn instead(refuse: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::start(refuse, |_, reply| reply)
    }

    fn start(
        refuse: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
        change: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (shelves, notes) = (Arc::clone(&shelf), Arc::clone(&seen));
        let listener = Listener::start(move |stream| {
            http::serve(stream, |asked| {
                let kept = Asked {
                    body: Vec::new(),
                    headers: Vec::new(),
                    method: asked.method.clone(),
                    target: asked.target.clone(),
                };
                notes.lock().expect("no test panics with it").push(kept);
                let right = || shelves.lock().expect("no test panics with it").answer(asked);
                refuse(asked).unwrap_or_else(|| change(asked, right()))
            });
        });
        Self { listener, shelf, seen }
    }

    pub(crate) fn host(&self) -> String {
        self.listener.host()
    }

    /// A repository of it.
    pub(crate) fn app(&self) -> String {
        format!("{}/app", self.host())
    }

    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().expect("no test panics with it")
    }

    /// The questions since this was last asked, as `METHOD path`, digests cut short.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.seen.lock().expect("no test panics with it"));
        asked.iter().map(|asked| format!("{} {}", asked.method, short(asked.path()))).collect()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.listener.connections()
    }
}

fn short(path: &str) -> String {
    match path.split_once("sha256:") {
        Some((before, digest)) => format!("{before}{}", &digest[..6]),
        None => path.into(),
    }
}
