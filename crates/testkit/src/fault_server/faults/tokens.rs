//! Faults of authorisation.

use super::{DENIED, Effect, End, Fault, NONSENSE, Times, Walk, row, unknown};
use crate::fault_server::Part;
use crate::http::Reply;
use crate::token_server::Manner;
use orlop_spec::Kind;
use std::time::Duration;

const STRANGER: (Walk, Part, Times) = (Walk::Pull, Part::Stranger, Times::Always);
const MANIFESTS: (Walk, Part, Times) = (Walk::Pull, Part::Manifest, Times::Always);
const OUT: End = End::Refused(&[Kind::Denied, Kind::Policy, Kind::Limit, Kind::Other, Kind::Integrity]);

pub(super) static FAULTS: &[Fault] = &[
    row(
        "realm elsewhere",
        "A realm of another site is told no secret without consent (N1).",
        STRANGER,
        Effect::Instead(|scene| challenge(&format!("{}/token", scene.trap))),
        End::Safe,
    ),
    row(
        "realm in a file",
        "Only http and https are spoken.",
        STRANGER,
        Effect::Instead(|_| challenge("file:///etc/passwd")),
        OUT,
    ),
    row(
        "realm with a password",
        "A realm names nobody.",
        STRANGER,
        Effect::Instead(|scene| challenge(&scene.trap.replace("http://", "http://u:p@"))),
        OUT,
    ),
    row(
        "realm that is none",
        "A realm is an address.",
        STRANGER,
        Effect::Instead(|_| challenge("\u{0}")),
        NONSENSE,
    ),
    row(
        "Basic wanted in the clear",
        "A password goes to the site that it is for.",
        STRANGER,
        Effect::Instead(|_| basic()),
        OUT,
    ),
    row(
        "401 without a challenge",
        "Who does not say what it wants gets nothing.",
        STRANGER,
        Effect::Instead(|_| Reply::new(401)),
        OUT,
    ),
    row(
        "401 with an unknown scheme",
        "Who does not say what it wants gets nothing.",
        STRANGER,
        Effect::Instead(|_| Reply::new(401).with("WWW-Authenticate", "Negotiate abc")),
        OUT,
    ),
    row(
        "401 with nonsense",
        "Who does not say what it wants gets nothing.",
        STRANGER,
        Effect::Instead(|_| Reply::new(401).with("WWW-Authenticate", "Bearer realm=\"x,,=\"\"")),
        OUT,
    ),
    row("401 always", "Three rounds are enough (N12).", MANIFESTS, Effect::Instead(unknown), DENIED),
    with(
        "tokens that are good for nothing",
        "Three rounds are enough (N12).",
        Walk::Pull,
        Manner::Useless,
        DENIED,
    ),
    with("tokens of a mebibyte", "A token has a limit (N12).", Walk::Pull, Manner::Huge, OUT),
    with(
        "tokens with a line end",
        "A token holds no control character (N12).",
        Walk::Pull,
        Manner::Torn,
        OUT,
    ),
    with("no tokens", "A refusal is a refusal, and is not repeated.", Walk::Pull, Manner::Refuses, DENIED),
    with(
        "tokens of a slow clock",
        "The time of a token is counted here.",
        Walk::Pull,
        Manner::Behind,
        End::Recovered,
    ),
    with(
        "tokens that say little",
        "A token that says nothing is good for a minute.",
        Walk::Push,
        Manner::Terse,
        End::Recovered,
    ),
    with(
        "tokens that are over too early",
        "A token that is over is replaced.",
        Walk::Push,
        Manner::Liar(Duration::from_millis(30)),
        End::Safe,
    ),
    with(
        "tokens for a second",
        "A token is replaced before it is over.",
        Walk::Push,
        Manner::Brief(Duration::from_secs(1)),
        End::Recovered,
    ),
    with("tokens of an honest server", "Nothing is broken.", Walk::Push, Manner::Honest, End::Resumed),
];

const fn with(name: &'static str, law: &'static str, walk: Walk, tokens: Manner, end: End) -> Fault {
    Fault { name, law, walk, at: Part::Stranger, times: Times::Always, effect: Effect::None, tokens, end }
}

fn challenge(realm: &str) -> Reply {
    let value = format!("Bearer realm=\"{realm}\",service=\"registry.test\",scope=\"repository:app:pull\"");
    Reply::error(401, "UNAUTHORIZED", "who are you?").with("WWW-Authenticate", value)
}

fn basic() -> Reply {
    Reply::new(401).with("WWW-Authenticate", "Basic realm=\"x\"")
}
