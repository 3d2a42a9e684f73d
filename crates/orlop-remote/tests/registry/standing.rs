//! A tag that is moved only if it still leads to what was seen: what goes over the wire, and what registries make of it.

use crate::ports::World;
use orlop_spec::port::{Name, Overtaken, Result, Seen, Sink as _};
use orlop_spec::{Diagnose as _, Kind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use testkit::fault_server::Conditions;
use testkit::http::{Asked, Reply};
use testkit::shelf_server::ShelfServer;
use testkit::suites::Sample;

fn name() -> Name {
    Name::Tag("1".into())
}

/// A server that has an image under the tag, and what was seen of it.
fn with_image(world: &World, server: &ShelfServer, conditions: Conditions) -> Seen {
    let sample = Sample::new("as it was");
    server.shelf().conditions = conditions;
    let sink = world.create(&server.app());
    sample.put(&sink);
    Box::new(sink).finish(&[(name(), sample.root.clone())]).expect("a whole image is published");
    Seen::of(&name(), [&sample.root])
}

fn edit(world: &World, server: &ShelfServer, seen: &Seen) -> (Sample, Result<()>) {
    let sample = Sample::new("as I want it");
    let sink = world.create(&server.app());
    sample.put(&sink);
    let root = sample.root.clone();
    (sample, Box::new(sink).finish_if(&[(name(), root)], std::slice::from_ref(seen)))
}

fn standing(server: &ShelfServer) -> String {
    server.shelf().tags[&("app".into(), "1".into())].clone()
}

/// Whether a request changes the tag.
fn moves(asked: &Asked) -> bool {
    asked.method == "PUT" && asked.path().ends_with("/manifests/1")
}

#[test]
fn who_comes_second_where_if_match_is_heeded_is_told_and_overwrites_nothing() {
    let (world, theirs) = (World::default(), Sample::new("as they want it"));
    let coming = Arc::new(Mutex::new(None));
    let comes = Arc::clone(&coming);
    // Between the look at the tag and its change.
    let server = ShelfServer::meanwhile(move |asked, shelf| {
        let comes = if moves(asked) { comes.lock().expect("no test panics with it").take() } else { None };
        shelf.tags.extend(comes.map(|digest| (("app".into(), "1".into()), digest)));
    });
    let seen = with_image(&world, &server, Conditions::Heeded);
    let sink = world.create(&server.app());
    theirs.put(&sink);
    Box::new(sink).finish(&[(Name::Tag("theirs".into()), theirs.root.clone())]).expect("published");
    *coming.lock().expect("no test panics with it") = Some(theirs.root.digest.to_string());
    server.asked();
    let (_, told) = edit(&world, &server, &seen);
    let fault = told.expect_err("the other one was first");
    assert_eq!(fault.kind(), Kind::Other);
    assert!(fault.hint().is_some_and(|hint| hint.contains("run it again")), "{fault:?}");
    let told = fault.downcast_ref::<Overtaken>().expect("it is told by whom");
    assert_eq!((&told.was, &told.now), (&seen.roots, &vec![theirs.root.digest.clone()]));
    assert_eq!(standing(&server), theirs.root.digest.to_string());
    let puts = server.asked().iter().filter(|asked| *asked == "PUT /v2/app/manifests/1").count();
    assert_eq!(puts, 1, "it is not tried again without the condition");
}

/// As distribution 2.8 does: the entity tag is told and the condition passed by. The second one wins, as without it.
#[test]
fn where_if_match_is_passed_by_an_edit_lands_as_ever() {
    let world = World::default();
    for conditions in [Conditions::Ignored, Conditions::Unknown] {
        let server = ShelfServer::right();
        let seen = with_image(&world, &server, conditions);
        let (mine, landed) = edit(&world, &server, &seen);
        landed.expect("nobody was in between");
        assert_eq!(standing(&server), mine.root.digest.to_string(), "{conditions:?}");
    }
}

/// The first answer is lost after the tag was moved: what stands there then is what this very request put there.
#[test]
fn an_answer_that_was_lost_is_no_other_editor() {
    let (world, lost) = (World::default(), AtomicBool::new(false));
    let server = ShelfServer::that(move |asked, reply| {
        let is_lost = asked.header("If-Match").is_some() && !lost.swap(true, Ordering::SeqCst);
        if is_lost { Reply::new(503).with("Retry-After", "0") } else { reply }
    });
    let seen = with_image(&world, &server, Conditions::Heeded);
    let (mine, landed) = edit(&world, &server, &seen);
    landed.expect("it landed at once");
    assert_eq!(standing(&server), mine.root.digest.to_string());
}

/// One that tells entity tags by which it knows nothing again: the look tells that nobody was there, and that is all there is.
#[test]
fn a_registry_that_never_knows_its_own_entity_tags_is_still_written_to() {
    let (world, refused) = (World::default(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&refused);
    let server = ShelfServer::instead(move |asked| {
        asked.header("If-Match")?;
        count.fetch_add(1, Ordering::SeqCst);
        Some(Reply::error(412, "DENIED", "never heard of it"))
    });
    let seen = with_image(&world, &server, Conditions::Ignored);
    let (mine, landed) = edit(&world, &server, &seen);
    landed.expect("nobody was in between");
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    assert_eq!(standing(&server), mine.root.digest.to_string());
}

/// What was told is sent, and nothing where it is weak, or where there was no such document (RFC 9110, section 13.1.1).
#[test]
fn only_a_strong_entity_tag_of_a_tag_is_sent_along() {
    for (told, sent) in [("\"an entity\"", Some("\"an entity\"")), ("W/\"an entity\"", None)] {
        let (world, heard) = (World::default(), Arc::new(Mutex::new(Vec::new())));
        let note = Arc::clone(&heard);
        let server = ShelfServer::that(move |asked, reply| {
            if asked.method == "PUT" && asked.path().contains("/manifests/") {
                note.lock()
                    .expect("no test panics with it")
                    .push(asked.header("If-Match").map(str::to_owned));
            }
            if asked.method == "HEAD" { reply.with("ETag", told) } else { reply }
        });
        let seen = with_image(&world, &server, Conditions::Unknown);
        edit(&world, &server, &seen).1.expect("nobody was in between");
        assert_eq!(*heard.lock().expect("no test panics with it"), [None, sent.map(str::to_owned)], "{told}");
        // Without a name nothing is replaced.
        let other = Sample::new("another");
        let sink = world.create(&server.app());
        other.put(&sink);
        let seen = Seen { name: Name::Untagged, ..seen };
        Box::new(sink).finish_if(&[(Name::Untagged, other.root.clone())], &[seen]).expect("it is there");
        assert_eq!(heard.lock().expect("no test panics with it").last(), Some(&None), "{told}");
    }
}
