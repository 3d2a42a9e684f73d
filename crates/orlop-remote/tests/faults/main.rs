//! Every fault of the fault server against the client: it ends as its row says, in time, without a wrong byte, and
//! without a secret in wrong hands (N1–N4, N10, N12; items 201–206, 210, 213–215).

mod judge;
mod tls;
mod walk;
mod world;

use judge::judge;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use testkit::fault_server::{Fault, FaultServer, Guard, Part, Walk, faults};
use testkit::image::{Image, Layer, Packing, sha256};
use testkit::proof;
use testkit::suites::memory::Memory;
use testkit::tarball::{Member, tar};

/// Who is let in: a secret that nobody asks for cannot get lost.
const GUARD: Guard = Guard::Token;

/// Most of a run is waiting for a server that says nothing.
const LANES: usize = 8;

/// Runs every fault of a walk, and tells all that went wrong.
fn run(name: &str, walk: Walk) {
    let rows: Vec<&Fault> = faults::all().filter(|fault| fault.walk == walk && is_chosen(fault)).collect();
    let (next, wrongs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(fault) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = judge(fault);
                    wrongs.lock().unwrap_or_else(PoisonError::into_inner).extend(wrong);
                }
            });
        }
    });
    let wrongs = wrongs.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrongs.is_empty(), "{} of {} are wrong:\n{}", wrongs.len(), rows.len(), wrongs.join("\n"));
    proof::ran(name, rows.len());
}

/// `FAULT=some words` chooses rows while one looks for a mistake.
fn is_chosen(fault: &Fault) -> bool {
    std::env::var("FAULT").map_or(true, |words| fault.name.contains(&words))
}

/// N1, N2, N10, N12: realms, redirects, stalls, heads; items 202, 203, 204 and 210 of what is read, items 212 and 213 of
/// what a server says beside it.
#[test]
fn faults_of_reading_end_well() {
    run("faults: reading an image", Walk::Pull);
}

/// N3: locations; items 204, 205, 206, 211, 213 and 215 of what is written.
#[test]
fn faults_of_writing_end_well() {
    run("faults: writing an image", Walk::Push);
}

/// N3: locations; items 205, 211 and 215 of chunks.
#[test]
fn faults_of_chunks_end_well() {
    run("faults: writing in chunks", Walk::Chunks);
}

#[test]
fn faults_of_mounting_end_well() {
    run("faults: mounting", Walk::Mount);
}

/// N4: links; item 214 of pages.
#[test]
fn faults_of_lists_end_well() {
    run("faults: listing tags", Walk::Tags);
}

/// What is listed by pages is listed whole.
#[test]
fn a_hundred_thousand_tags_are_listed() {
    let server = FaultServer::start(None, GUARD);
    let count = 100_000;
    server
        .shelf()
        .tags
        .extend((0..count).map(|number| (("app".into(), format!("t{number:06}")), String::new())));
    let world = world::World::new(server);
    let tags = walk::tags(&world).expect("they are listed");
    assert_eq!(tags.len(), count);
    assert!(tags.windows(2).all(|pair| pair[0] < pair[1]));
}

/// What a manifest says of other places for its layers is not followed, whether the registry has them or not.
#[test]
fn n9_urls_of_layers_are_never_opened() {
    for is_there in [true, false] {
        let server = FaultServer::start(None, GUARD);
        let urls = json!([format!("{}/blob/app/x", server.trap().site()), "file:///etc/passwd"]);
        let layer = Layer::new(&tar([Member::file("a", "1")]), Packing::Gzip);
        let digest = sha256(&layer.blob);
        let image = Image::new().layer(layer).manifest(move |mut manifest| {
            manifest["layers"][0]["urls"] = urls;
            manifest["layers"][0]["mediaType"] =
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
            manifest
        });
        server.shelf().put("app", "1", image);
        if !is_there {
            server.shelf().blobs.remove(&("app".into(), digest));
        }
        let world = world::World::new(server);
        let outcome = walk::walk(&world, Walk::Pull, &walk::Goods::new(0), &Memory::default());
        assert_eq!(outcome.is_ok(), is_there);
        assert!(world.server.trap().seen().is_empty(), "{:?}", world.server.trap().seen());
    }
}

/// Every type of a manifest is accepted, from the first question on.
#[test]
fn item_201_every_type_of_document_is_asked_for() {
    let server = FaultServer::start(None, GUARD);
    let goods = walk::Goods::new(1000);
    server.shelf().put_layout("app", "1", &goods.layout);
    let world = world::World::new(server);
    walk::walk(&world, Walk::Pull, &goods, &Memory::default()).expect("nothing is broken");
    let asked: Vec<_> = world.server.seen().into_iter().filter(|seen| seen.part == Part::Manifest).collect();
    assert!(!asked.is_empty());
    for seen in asked {
        let headers = seen.asked.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Accept"));
        let accept: Vec<_> = headers.map(|(_, value)| value.as_str()).collect();
        for kind in ["oci.image.manifest.v1", "oci.image.index.v1", "docker.distribution.manifest.v2"] {
            assert!(accept.join(",").contains(&format!("application/vnd.{kind}+json")), "{accept:?}");
        }
        assert!(accept.join(",").contains("vnd.docker.distribution.manifest.list.v2+json"), "{accept:?}");
    }
}
