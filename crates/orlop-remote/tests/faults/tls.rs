//! Faults under TLS, and faults of TLS itself.

use crate::judge::{chain, judge_at};
use crate::walk::{self, Goods};
use crate::world::{STALL, World};
use orlop_spec::Kind;
use std::io::Read as _;
use std::time::{Duration, Instant};
use testkit::authority::Authority;
use testkit::fault_server::{Break, Effect, Fault, FaultServer, Guard, Part, Walk, faults};
use testkit::listener::Listener;
use testkit::proof;
use testkit::suites::memory::Memory;

const PROOF: &str = "faults: under TLS, ends without notice among them";

/// An end without notice is no end: only lengths and digests say that a body is whole.
#[test]
fn connections_that_end_without_notice_end_well() {
    let Some(authority) = Authority::new() else { return proof::skipped(PROOF, "openssl is missing") };
    let is_of_the_line = |fault: &&Fault| {
        matches!(
            fault.effect,
            Effect::Break(Break::Close | Break::Reset, _) | Effect::Deaf(_) | Effect::Raw(_)
        ) && fault.walk != Walk::Chunks
            && fault.at != Part::Stranger
    };
    let rows: Vec<_> = faults::all().filter(is_of_the_line).collect();
    let judge = |fault: &&'static Fault| judge_at(fault, World::under_tls(Some(fault), &authority));
    let wrong: Vec<_> = rows.iter().flat_map(judge).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    proof::ran(PROOF, rows.len());
}

/// Pulls, and tells how that ended and how long it took.
fn pull(world: &World) -> (Option<Kind>, String, Duration) {
    let start = Instant::now();
    let goods = Goods::new(1000);
    let outcome = walk::walk(world, Walk::Pull, &goods, &Memory::default());
    let said = outcome.as_ref().err().map_or_else(String::new, chain);
    (outcome.err().map(|fault| fault.kind()), said, start.elapsed())
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_told_no_secret() {
    let (Some(one), Some(other)) = (Authority::new(), Authority::new()) else { return };
    let world = World::under_tls(None, &one).speaking_tls(&other);
    let (kind, said, _) = pull(&world);
    assert_eq!((kind, world.server.seen().len()), (Some(Kind::Policy), 0), "{said}");
}

#[test]
fn n1_a_realm_in_the_clear_of_a_registry_under_tls_is_not_even_asked() {
    let Some(authority) = Authority::new() else { return };
    let world = World::new(FaultServer::under_tls(None, Guard::Token, &authority)).speaking_tls(&authority);
    let (kind, said, _) = pull(&world);
    assert_eq!((kind, world.server.tokens().asked().len()), (Some(Kind::Policy), 0), "{said}");
}

#[test]
fn a_server_in_the_clear_is_no_server_under_tls() {
    let Some(authority) = Authority::new() else { return };
    let world = World::new(FaultServer::start(None, crate::GUARD)).speaking_tls(&authority);
    let (kind, said, _) = pull(&world);
    assert!(matches!(kind, Some(Kind::Policy | Kind::Unreachable)), "{kind:?} {said}");
    assert!(world.server.seen().is_empty());
}

#[test]
fn a_handshake_that_says_nothing_stalls() {
    let Some(authority) = Authority::new() else { return };
    let silent = Listener::start(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let world = World::under_tls(None, &authority).towards(&silent.host());
    let (kind, said, time) = pull(&world);
    assert_eq!(kind, Some(Kind::Unreachable), "{said}");
    assert!(time < STALL * 12, "{time:?}");
}

#[test]
fn nobody_at_the_port_is_unreachable() {
    let world = World::new(FaultServer::start(None, crate::GUARD));
    let gone = Listener::start(drop).host();
    let (kind, said, _) = pull(&world.towards(&gone));
    assert_eq!(kind, Some(Kind::Unreachable), "{said}");
}
