//! The laws of every fault, as whoever runs the program sees them.

use crate::world::{BOUND, Goods, World, old, path_of};
use orlop::spec::Kind;
use std::fs;
use testkit::Finished;
use testkit::fault_server::{End, Fault, Walk, laws};
use testkit::image::sha256;
use testkit::token_server::PASSWORD;

/// Runs a fault and tells all that is wrong.
pub(crate) fn judge(fault: &'static Fault, goods: &Goods) -> Vec<String> {
    let world = World::new(fault, goods);
    let done = world.walk(fault.walk);
    let mut wrong = Vec::new();
    wrong.extend(ending(fault, &done));
    wrong.extend(laws::conduct(fault, &world.server));
    wrong.extend(match fault.walk {
        Walk::Pull => pulled(&world, &done),
        Walk::Push | Walk::Chunks | Walk::Mount => pushed(&world, &done),
        Walk::Tags => listed(fault, &done),
    });
    wrong.extend(talk(&done));
    if !done.success() {
        wrong.extend(laws::tidiness(fault, &world.server));
    }
    if fault.end == End::Resumed {
        wrong.extend(laws::thrift(&world.server, goods.size()));
    }
    wrong
        .into_iter()
        .map(|what| format!("{:?} {}: {what}; it ended: {done}", fault.walk, fault.name))
        .collect()
}

/// The exit code is that of the row's kinds, and of some kind at any rate.
fn ending(fault: &Fault, done: &Finished) -> Option<String> {
    let is_one_of =
        |kinds: &[Kind]| kinds.iter().any(|kind| done.code() == Some(i32::from(kind.exit_code())));
    let is_failure = is_one_of(&Kind::ALL) && !is_one_of(&[Kind::Usage, Kind::Interrupted, Kind::Partial]);
    let is_right = match fault.end {
        _ if done.timed_out => return Some(format!("it was not over after {BOUND:?}")),
        End::Safe => done.success() || is_failure,
        End::Resumed | End::Recovered => done.success(),
        End::Refused(kinds) => is_one_of(kinds),
    };
    (!is_right).then(|| format!("it should end as {:?}", fault.end))
}

/// An error is told as one, control characters are not passed on, and a password is never shown.
fn talk(done: &Finished) -> Vec<String> {
    let (out, err) = (done.out(), done.err());
    let mut wrong = Vec::new();
    if !done.success() && !err.contains("error: ") {
        wrong.push("no error is told".into());
    }
    let is_raw =
        |letter: char| letter.is_control() && letter != '\n' || ('\u{202a}'..='\u{202e}').contains(&letter);
    if out.contains(is_raw) || err.contains(is_raw) {
        wrong.push("control characters reach the terminal (L1)".into());
    }
    if out.contains(PASSWORD) || err.contains(PASSWORD) {
        wrong.push("the password is shown".into());
    }
    wrong
}

/// The target is as it was, or holds the image as well; every blob there is what its name says.
fn pulled(world: &World<'_>, done: &Finished) -> Vec<String> {
    let mut wrong = Vec::new();
    let (target, before) = (world.target(), old());
    let index = fs::read(target.join("index.json")).unwrap_or_default();
    let is_as_it_was = index == before.files["index.json"];
    if is_as_it_was == done.success() {
        wrong.push("the index and the exit code tell different things".into());
    }
    if done.success() && !String::from_utf8_lossy(&index).contains(&world.goods.root()) {
        wrong.push("the image is not named".into());
    }
    for (digest, bytes) in world.goods.blobs() {
        match fs::read(path_of(&target, &digest)) {
            Ok(found) if found != bytes => wrong.push(format!("wrong bytes are kept as {digest}")),
            Err(_) if done.success() => wrong.push(format!("{digest} is missing")),
            _ => {}
        }
    }
    for (path, bytes) in before.files.iter().filter(|(path, _)| path.starts_with("blobs/")) {
        if fs::read(target.join(path)).ok().as_ref() != Some(bytes) {
            wrong.push(format!("{path} of the image that was there is another"));
        }
    }
    for entry in fs::read_dir(target.join("blobs/sha256")).expect("a layout").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_right = fs::read(entry.path()).is_ok_and(|bytes| sha256(&bytes) == format!("sha256:{name}"));
        if !is_right {
            wrong.push(format!("{name} is left behind"));
        }
    }
    wrong
}

/// The registry holds what was named, and the tag only with all of it.
fn pushed(world: &World<'_>, done: &Finished) -> Vec<String> {
    let mut wrong = Vec::new();
    let (shelf, root) = (world.server.shelf(), world.goods.root());
    let tag = shelf.tags.get(&("app".to_owned(), "1".to_owned()));
    if tag.is_some_and(|tag| *tag != root) {
        wrong.push("the tag stands for something else".into());
    }
    let is_needed = done.success() || tag.is_some();
    for (digest, bytes) in world.goods.blobs() {
        let manifests =
            || shelf.manifests.get(&("app".to_owned(), digest.clone())).map(|(_, bytes)| &**bytes);
        let held = if digest == root { manifests() } else { shelf.blob("app", &digest) };
        match held {
            Some(found) if found != bytes => wrong.push(format!("wrong bytes are kept as {digest}")),
            None if is_needed => wrong.push(format!("{digest} is missing")),
            _ => {}
        }
    }
    if done.success() && tag.is_none() {
        wrong.push("the image is not named".into());
    }
    wrong
}

/// A list that is told is whole.
fn listed(fault: &Fault, done: &Finished) -> Vec<String> {
    let out = done.out();
    let is_whole = out.lines().filter(|line| ["1", "2", "3"].contains(&line.trim())).count() == 3;
    let is_right = fault.end != End::Recovered || is_whole;
    (!is_right).then(|| format!("the list is not whole: {out:?}")).into_iter().collect()
}
