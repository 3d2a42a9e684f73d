//! The faults: what breaks, where, how often, and how it must end.

use super::{Part, Scene};
use crate::http::Reply;
use crate::token_server::Manner;
use orlop_spec::Kind;

mod bodies;
mod chunks;
mod heads;
mod lines;
mod places;
mod tags;
mod tokens;
mod uploads;

/// One fault.
pub struct Fault {
    /// Its name, as tests show it.
    pub name: &'static str,
    /// What must hold.
    pub law: &'static str,
    /// What the client is doing.
    pub walk: Walk,
    /// Which requests it strikes.
    pub at: Part,
    /// How often.
    pub times: Times,
    /// What it does.
    pub effect: Effect,
    /// How the token server behaves meanwhile.
    pub tokens: Manner,
    /// How it must end.
    pub end: End,
}

/// What a client is doing when a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Copies an image from the server.
    Pull,
    /// Copies an image to the server, each blob in one piece.
    Push,
    /// The same in chunks.
    Chunks,
    /// The same while another repository is known to hold the layers.
    Mount,
    /// Lists tags.
    Tags,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The first times.
    First(usize),
    /// Every time.
    Always,
}

impl Times {
    pub(super) fn is_due(self, before: usize) -> bool {
        match self {
            Self::First(times) => before < times,
            Self::Always => true,
        }
    }
}

/// What a fault does.
#[derive(Clone, Copy)]
pub enum Effect {
    /// Nothing.
    None,
    /// The right answer is changed.
    Change(fn(&Scene<'_>, Reply) -> Reply),
    /// Nothing is done, and this is the answer.
    Instead(fn(&Scene<'_>) -> Reply),
    /// These bytes, and the end of the connection.
    Raw(fn(&Scene<'_>, Reply) -> Vec<u8>),
    /// A whole blob breaks in the middle, and this is the answer to a range.
    Range(fn(&Scene<'_>) -> Reply),
    /// The connection breaks at some moment of the answer.
    Break(Break, Moment),
    /// The connection breaks in the middle of the request's body.
    Deaf(Break),
    /// This is answered in the middle of the request's body.
    Early(fn(&Scene<'_>) -> Reply),
    /// Who asks whether it may send its body is told nothing.
    Mute,
    /// A piece comes byte by byte, at 20 a second.
    Slow(Piece),
    /// Nothing comes; or half a body, and then nothing.
    Silent(Piece),
    /// A piece has no end.
    Endless(Piece),
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// By a reset.
    Reset,
    /// By an end; under TLS without notice.
    Close,
}

/// When a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was done.
    Asked,
    /// It was done, and nothing was answered.
    Done,
    /// In the middle of the head.
    HalfHead,
    /// After the head.
    Head,
    /// In the middle of the body.
    HalfBody,
    /// After the body.
    Whole,
}

/// A piece of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Status and headers.
    Head,
    /// The rest.
    Body,
}

/// How a walk must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It succeeds, and at most a tenth of the bytes is carried twice.
    Resumed,
    /// It succeeds.
    Recovered,
    /// It fails with one of these kinds.
    Refused(&'static [Kind]),
    /// It succeeds with right bytes, or fails.
    Safe,
}

/// Every fault.
pub fn all() -> impl Iterator<Item = &'static Fault> {
    let reading =
        [lines::FAULTS, heads::FAULTS, bodies::FAULTS, places::FAULTS, tags::FAULTS, tokens::FAULTS];
    reading.into_iter().chain([uploads::FAULTS, chunks::FAULTS]).flatten()
}

const INTEGRITY: End = End::Refused(&[Kind::Integrity]);
const UNREACHABLE: End = End::Refused(&[Kind::Unreachable]);
const DENIED: End = End::Refused(&[Kind::Denied]);
/// Nonsense is nobody's kind: what is asked is that it ends, and not as a success.
const NONSENSE: End = End::Refused(&[
    Kind::Unreachable,
    Kind::Integrity,
    Kind::Policy,
    Kind::Limit,
    Kind::Other,
    Kind::Denied,
    Kind::NotFound,
]);
const ONCE: Times = Times::First(1);

const fn row(
    name: &'static str,
    law: &'static str,
    (walk, at, times): (Walk, Part, Times),
    effect: Effect,
    end: End,
) -> Fault {
    Fault { name, law, walk, at, times, effect, tokens: Manner::Honest, end }
}

fn status(code: u16) -> Reply {
    Reply::error(code, "TROUBLE", "on purpose")
}

fn unknown(scene: &Scene<'_>) -> Reply {
    let challenge = format!("{},error=\"invalid_token\"", scene.challenge);
    Reply::error(401, "UNAUTHORIZED", "over").with("WWW-Authenticate", challenge)
}

fn redirect(to: String) -> Reply {
    Reply::new(307).with("Location", to)
}

fn path(scene: &Scene<'_>) -> String {
    scene.asked.path().to_owned()
}

/// The repository and the last word of a path.
fn names(scene: &Scene<'_>) -> (String, String) {
    let (_, repository) = Part::of(scene.asked);
    (repository, path(scene).rsplit('/').next().unwrap_or_default().to_owned())
}

fn other_digest(reply: Reply) -> Reply {
    reply.with("Docker-Content-Digest", format!("sha256:{}", "0".repeat(64)))
}

fn flipped(mut reply: Reply) -> Reply {
    let middle = reply.body.len() / 2;
    if let Some(byte) = reply.body.get_mut(middle) {
        *byte ^= 1;
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_laws_are_there_and_differ() {
        let names: BTreeSet<_> = all().map(|fault| fault.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(names.len() >= 40, "{}", names.len());
        assert!(all().all(|fault| fault.law.len() > 10 && fault.law.ends_with('.')));
    }
}
