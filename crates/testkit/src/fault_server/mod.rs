//! A registry that breaks on purpose: it is right but for one [`Fault`], and writes down everything it is asked.
//!
//! ```text
//! client ──► FaultServer ── 401 → token server        every request: Seen
//!              │ right answer of the Shelf
//!              │ one fault, the first N times or always
//!              ▼
//!            redirects, realms, locations and links of faults lead to the Trap: another site
//! ```
//!
//! Laws of its tests: each fault ends as its row says; nothing waits without a bound; no byte that is not what was
//! named is kept; the trap never sees a secret.

mod deliver;
pub mod faults;
pub mod laws;
pub mod shelf;
mod trap;

pub use faults::{Break, Effect, End, Fault, Times, Walk};
pub use shelf::{Conditions, Part, Shelf};
pub use trap::Trap;

use crate::authority::Authority;
use crate::http::{Asked, Reply};
use crate::line::{Line, Tls};
use crate::listener::Listener;
use crate::token_server::{Manner, TokenServer};
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

/// The server; it and all that belongs to it end when it is dropped.
pub struct FaultServer {
    listener: Listener,
    core: Arc<Core>,
}

/// One request as it was met.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it was about.
    pub part: Part,
    /// The request; of its body only the length is kept.
    pub asked: Asked,
    /// Bytes of its body that came.
    pub received: u64,
    /// Status of the answer; 0 where none was sent.
    pub status: u16,
    /// Bytes of the answer's body that were sent.
    pub sent: u64,
    /// When it came.
    pub at: Instant,
    /// How long the client was asked to wait, where that was a few seconds.
    pub pause: Option<Duration>,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Who has a token of the server's own token server; everybody may pull what begins with `public/`.
    Token,
    /// Everybody.
    Open,
}

/// What is no config.
const LARGE: usize = 16 << 10;

/// What the client is told arrives before the connection ends.
const PARTING: Duration = Duration::from_millis(200);

/// What the threads of the connections share.
struct Core {
    fault: Option<&'static Fault>,
    guard: Guard,
    shelf: Arc<Mutex<Shelf>>,
    tokens: TokenServer,
    trap: Trap,
    tls: Option<Tls>,
    host: OnceLock<String>,
    seen: Mutex<Vec<Seen>>,
    strikes: Mutex<usize>,
}

/// What a fault knows when it strikes.
pub struct Scene<'a> {
    /// The request.
    pub asked: &'a Asked,
    /// Whom it was asked, as `http://127.0.0.1:PORT`.
    pub site: String,
    /// The other site.
    pub trap: String,
    /// What the right challenge is.
    pub challenge: String,
    /// How often the fault struck before.
    pub count: usize,
    /// The blob that was asked for.
    pub blob: Vec<u8>,
}

impl FaultServer {
    /// A server with a fault, or without one, in the clear.
    pub fn start(fault: Option<&'static Fault>, guard: Guard) -> Self {
        Self::with(fault, guard, None)
    }

    /// The same under TLS.
    pub fn under_tls(fault: Option<&'static Fault>, guard: Guard, authority: &Authority) -> Self {
        Self::with(fault, guard, Some(Tls::new(authority)))
    }

    fn with(fault: Option<&'static Fault>, guard: Guard, tls: Option<Tls>) -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let core = Arc::new(Core {
            fault,
            guard,
            tokens: TokenServer::start(fault.map_or(Manner::Honest, |fault| fault.tokens)),
            trap: Trap::start(Arc::clone(&shelf)),
            shelf,
            tls,
            host: OnceLock::new(),
            seen: Mutex::default(),
            strikes: Mutex::default(),
        });
        let desk = Arc::clone(&core);
        let listener = Listener::start(move |stream| desk.serve(stream));
        core.host.set(listener.host()).expect("set once");
        Self { listener, core }
    }

    /// `127.0.0.1:PORT`, as references name it.
    pub fn host(&self) -> String {
        self.listener.host()
    }

    /// What it holds.
    pub fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.core.shelf()
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.core.seen.lock().expect("no holder panics").clone()
    }

    /// How often the fault struck.
    pub fn strikes(&self) -> usize {
        *self.core.strikes.lock().expect("no holder panics")
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.listener.connections()
    }

    /// The other site.
    pub fn trap(&self) -> &Trap {
        &self.core.trap
    }

    /// Who gives its tokens.
    pub fn tokens(&self) -> &TokenServer {
        &self.core.tokens
    }

    /// Bytes of blobs that went over the wire, there and back.
    pub fn carried(&self) -> u64 {
        let is_blob = |part| matches!(part, Part::Blob | Part::Chunk | Part::Finish);
        let seen = self.seen();
        seen.iter().filter(|seen| is_blob(seen.part)).map(|seen| seen.sent + seen.received).sum()
    }
}

impl Core {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().expect("no holder panics")
    }

    fn serve(&self, stream: TcpStream) {
        let stream = if self.tls.is_some() { Some(stream) } else { in_the_clear(stream) };
        let Some(stream) = stream else { return };
        let mut line = BufReader::new(Line::new(stream, self.tls.as_ref()));
        while let Some(asked) = Asked::head(&mut line) {
            let at = Instant::now();
            let (part, repository) = Part::of(&asked);
            let meant = self.meant(&asked, part, &repository);
            let struck = self.strike(meant, &asked, &repository);
            let mut seen = Seen { part, asked, received: 0, status: 0, sent: 0, at, pause: None };
            let goes_on = deliver::deliver(self, &mut line, &mut seen, &struck);
            seen.asked.body = Vec::new();
            self.seen.lock().expect("no holder panics").push(seen);
            if goes_on.is_none() {
                return;
            }
        }
        line.get_mut().part_politely();
    }

    /// What a request is for a fault: a stranger's is first of all a stranger's.
    fn meant(&self, asked: &Asked, part: Part, repository: &str) -> Part {
        let is_public = repository.starts_with("public/") && part.action() == "pull";
        let is_known = asked
            .bearer()
            .is_some_and(|token| part == Part::Ping || self.tokens.allows(token, repository, part.action()));
        if is_public || is_known || self.guard == Guard::Open { part } else { Part::Stranger }
    }

    /// What happens to a request, if anything.
    fn strike(&self, meant: Part, asked: &Asked, repository: &str) -> Struck {
        let mut strikes = self.strikes.lock().expect("no holder panics");
        let is_due = |fault: &&Fault| {
            fault.at == meant && fault.times.is_due(*strikes) && self.is_large(meant, asked, repository)
        };
        let fault = self.fault.filter(is_due);
        let count = *strikes;
        *strikes += usize::from(fault.is_some());
        Struck { meant, repository: repository.into(), fault, count }
    }

    /// Of blobs only the layers are struck: the config is too small to break in the middle.
    fn is_large(&self, meant: Part, asked: &Asked, repository: &str) -> bool {
        let name = asked.path().rsplit('/').next().unwrap_or_default();
        let length = || asked.header("Content-Length").and_then(|it| it.parse().ok()).unwrap_or(0);
        match meant {
            Part::Blob => self.shelf().blob(repository, name).is_none_or(|bytes| bytes.len() >= LARGE),
            Part::Finish => length() == 0 || length() >= LARGE,
            _ => true,
        }
    }

    fn scene<'a>(&self, asked: &'a Asked, struck: &Struck) -> Scene<'a> {
        let name = asked.path().rsplit('/').next().unwrap_or_default();
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Scene {
            asked,
            site: format!("{scheme}://{}", self.host.get().expect("set at the start")),
            trap: self.trap.site(),
            challenge: self.challenge(asked),
            count: struck.count,
            blob: self.shelf().blob(&struck.repository, name).map(<[u8]>::to_vec).unwrap_or_default(),
        }
    }

    /// The right answer.
    fn answer(&self, asked: &Asked, struck: &Struck) -> Reply {
        if struck.meant != Part::Stranger {
            return self.shelf().answer(asked);
        }
        Reply::error(401, "UNAUTHORIZED", "who are you?").with("WWW-Authenticate", self.challenge(asked))
    }

    fn challenge(&self, asked: &Asked) -> String {
        let (part, name) = Part::of(asked);
        let actions = if part.action() == "push" { "pull,push" } else { "pull" };
        match part {
            Part::Ping => self.tokens.challenge("").replace(r#",scope="""#, ""),
            Part::Catalog => self.tokens.challenge("registry:catalog:*"),
            _ => self.tokens.challenge(&format!("repository:{name}:{actions}")),
        }
    }
}

/// Whether the first byte of a connection is that of a handshake (RFC 8446, section 5.1).
fn begins_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    stream.peek(&mut first).is_ok_and(|count| count == 1) && first == [22]
}

/// The stream, unless it begins with a handshake: then it is answered as servers in the clear do.
pub(crate) fn in_the_clear(stream: TcpStream) -> Option<TcpStream> {
    if !begins_tls(&stream) {
        return Some(stream);
    }
    let mut line = Line::new(stream, None);
    let reply = Reply::new(400).with("Connection", "close").body("this is no TLS");
    // Whoever shakes hands has left by then.
    let _gone = line.write_all(&reply.head()).and_then(|()| line.write_all(&reply.body));
    line.part_politely();
    line.wait(PARTING);
    None
}

/// What a request meets.
struct Struck {
    meant: Part,
    repository: String,
    fault: Option<&'static Fault>,
    count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, Packing};
    use crate::registry::skopeo;
    use crate::tarball::{Member, tar};
    use crate::{proof, scratch};

    const PROOF: &str = "testkit: skopeo writes and reads the fault server while it is right";

    /// The judge of the server's right half.
    #[test]
    fn skopeo_writes_and_reads_a_server_without_a_fault() {
        let (Some(_), Some(authority)) = (skopeo(), Authority::new()) else {
            return proof::skipped(PROOF, "skopeo or openssl is missing");
        };
        let scratch = scratch();
        let layout = Image::of(&[tar([Member::file("a", vec![7; 100_000])])], Packing::Gzip).layout();
        layout.write(&scratch.path("image"));
        let source = format!("oci:{}:latest", scratch.path("image").display());
        let trust = scratch.folder("trust");
        scratch.file("trust/ca.crt", authority.pem("root.pem"));
        for server in
            [FaultServer::start(None, Guard::Token), FaultServer::under_tls(None, Guard::Token, &authority)]
        {
            let there = format!("docker://{}/app:1", server.host());
            let back = format!("dir:{}", scratch.path("back").display());
            let creds = format!("{}:{}", crate::token_server::USER, crate::token_server::PASSWORD);
            for (side, from, to) in [("dest", &source, &there), ("src", &there, &back)] {
                let skopeo = skopeo().expect("found before").arg("copy");
                let skopeo = skopeo.arg(format!("--{side}-creds={creds}")).args([from, to]);
                let is_clear = server.core.tls.is_none();
                let trust = format!("--{side}-cert-dir={}", trust.display());
                skopeo.arg(if is_clear { format!("--{side}-tls-verify=false") } else { trust }).ok();
            }
            assert_eq!(
                server.shelf().tags[&("app".into(), "1".into())],
                crate::image::sha256(&layout.files[&layout.manifest_path()])
            );
            assert!(server.seen().iter().any(|seen| seen.part == Part::Finish && seen.status == 201));
            assert_eq!(
                (server.shelf().open_uploads(), server.trap().seen().len(), server.strikes()),
                (0, 0, 0)
            );
        }
        proof::ran(PROOF, 4);
    }

    #[test]
    fn without_a_token_nothing_is_done() {
        let server = FaultServer::start(None, Guard::Token);
        let there = format!("docker://{}/app:1", server.host());
        let Some(skopeo) = skopeo() else { return };
        assert!(!skopeo.args(["inspect", "--tls-verify=false", &there]).run().success());
        assert!(server.seen().iter().all(|seen| seen.status == 401), "{:?}", server.seen());
    }
}
