//! The laws of every fault.

use crate::walk::{self, Goods};
use crate::world::World;
use orlop_spec::port::Result;
use std::time::{Duration, Instant};
use testkit::fault_server::{End, Fault, FaultServer, Walk, laws};
use testkit::suites::memory::Memory;

/// No fault keeps a client longer: retries, stalls and pauses together.
const BOUND: Duration = Duration::from_secs(25);

/// Runs a fault in the clear and tells all that is wrong.
pub(crate) fn judge(fault: &'static Fault) -> Vec<String> {
    judge_at(fault, World::new(FaultServer::start(Some(fault), crate::GUARD)))
}

/// Runs a fault at its server.
pub(crate) fn judge_at(fault: &'static Fault, world: World) -> Vec<String> {
    let goods = Goods::new(if fault.walk == Walk::Chunks { 300_000 } else { 150_000 });
    let world = if fault.walk == Walk::Chunks { world.in_chunks() } else { world };
    walk::prepare(&world, fault.walk, &goods);
    let memory = Memory::default();
    let start = Instant::now();
    let outcome = walk::walk(&world, fault.walk, &goods, &memory);
    let time = start.elapsed();
    let mut wrong = Vec::new();
    wrong.extend(ending(fault, &outcome));
    wrong.extend((time > BOUND).then(|| format!("it took {time:?}")));
    wrong.extend(laws::conduct(fault, &world.server));
    wrong.extend(content(fault, &world.server, &goods, &memory, outcome.is_ok()));
    if outcome.is_err() {
        wrong.extend(laws::tidiness(fault, &world.server));
    }
    if fault.end == End::Resumed {
        wrong.extend(laws::thrift(&world.server, goods.size()));
    }
    let said = outcome
        .as_ref()
        .map_or_else(|fault| format!("{} ({:?})", chain(fault), fault.kind()), |()| "fine".into());
    wrong
        .into_iter()
        .map(|what| format!("{:?} {}: {what}; it ended: {said}", fault.walk, fault.name))
        .collect()
}

fn ending(fault: &Fault, outcome: &Result<()>) -> Option<String> {
    match (fault.end, outcome) {
        (End::Safe, _) | (End::Resumed | End::Recovered, Ok(())) => None,
        (End::Resumed | End::Recovered, Err(_)) => Some("it should succeed".into()),
        (End::Refused(kinds), Err(error)) if kinds.contains(&error.kind()) => None,
        (End::Refused(kinds), _) => Some(format!("it should fail as one of {kinds:?}")),
    }
}

/// What is kept is what was named, here and there; a name stands only for what is whole.
fn content(
    fault: &Fault,
    server: &FaultServer,
    goods: &Goods,
    memory: &Memory,
    is_done: bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let shelf = server.shelf();
    let manifest = goods.manifest();
    let all = goods.blobs.iter().map(|(blob, bytes)| (blob, bytes)).chain([(&goods.root, &manifest)]);
    for (blob, bytes) in all {
        let there = shelf.blob("app", &blob.digest.to_string()).map(|found| found == bytes.as_slice());
        let held = match fault.walk {
            Walk::Tags => continue,
            Walk::Pull => walk::is_right(memory, blob, bytes),
            Walk::Push | Walk::Chunks | Walk::Mount if *blob == goods.root => {
                let key = ("app".to_owned(), blob.digest.to_string());
                shelf
                    .manifests
                    .get(&key)
                    .map(|(media_type, found)| media_type == walk::ROOT && found == bytes)
            }
            Walk::Push | Walk::Chunks | Walk::Mount => there,
        };
        match held {
            Some(false) => wrong.push(format!("wrong bytes are kept as {}", blob.digest)),
            None if is_done => wrong.push(format!("{} is missing", blob.digest)),
            _ => {}
        }
    }
    wrong
}

/// An error with its causes.
pub(crate) fn chain(fault: &orlop_spec::Fault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
