//! Two who change one image at once: one wins, the other is told, and nobody's change is lost.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use testkit::command::orlop_path;
use testkit::fault_server::Conditions;
use testkit::noise::noise;
use testkit::registry::Registry;
use testkit::shelf_server::ShelfServer;
use testkit::tarball::{Member, tar};
use testkit::{Command, Finished, Scratch, orlop, proof, scratch};

const EDITORS: usize = 16;

fn run(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root()).env("ORLOP_ROOT", it.path("store"))
}

/// An index of two platforms in a place of each kind that has names.
fn places(it: &Scratch) -> Vec<&'static str> {
    for (tag, platform) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64")] {
        it.folder(tag);
        it.file(&format!("{tag}/file"), tag);
        let target = format!("oci:l:{tag}");
        run(it, &["build", "--platform", platform, tag, &target, "--created", "2020-01-01T00:00:00Z"]).ok();
    }
    run(it, &["ostree", "init", "--repo=r"]).ok();
    let places = [
        "oci:l:multi",
        "oci-archive:a.tar:multi",
        "docker-archive:d.tar:multi:1",
        "dir:d",
        "store:multi",
        "ostree:r@docker://h.example/multi:1",
    ];
    for place in places {
        run(it, &["index", "create", "oci:l:amd64", "oci:l:arm64", place]).ok();
    }
    places.into()
}

/// What each editor's own annotation is called.
fn key(editor: usize) -> String {
    format!("org.example.k{editor}")
}

/// The editors whose change the index has.
fn kept(it: &Scratch, place: &str) -> Vec<usize> {
    let index = run(it, &["inspect", "--raw", place]).ok().out();
    let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2));
    (0..EDITORS).filter(|editor| index["annotations"].get(key(*editor)).is_some()).collect()
}

fn annotate(it: &Scratch, place: &str, editor: usize) -> Finished {
    run(it, &["index", "annotate", place, &format!("{}=1", key(editor))]).run()
}

#[test]
fn of_many_editors_at_once_each_lands_or_is_told() {
    let it = scratch();
    let mut told = 0;
    for place in places(&it) {
        let outcomes: Vec<Finished> = thread::scope(|threads| {
            let it = &it;
            let running: Vec<_> =
                (0..EDITORS).map(|editor| threads.spawn(move || annotate(it, place, editor))).collect();
            running.into_iter().map(|editor| editor.join().expect("it ends")).collect()
        });
        for done in outcomes.iter().filter(|done| done.code() != Some(0)) {
            assert_eq!(done.code(), Some(1), "{place}: {done}");
            assert!(done.err().contains("run it again"), "{place}: {done}");
            told += 1;
        }
        let landed: Vec<usize> = (0..EDITORS).filter(|at| outcomes[*at].code() == Some(0)).collect();
        assert!(!landed.is_empty(), "{place}: somebody wins");
        assert_eq!(kept(&it, place), landed, "{place}");
        // Who was told tries again, alone.
        for editor in (0..EDITORS).filter(|editor| !landed.contains(editor)) {
            let done = annotate(&it, place, editor);
            assert_eq!(done.code(), Some(0), "{place}: {done}");
        }
        assert_eq!(kept(&it, place).len(), EDITORS, "{place}");
    }
    assert!(told > 0, "no two of them met");
    proof::ran("editors: many at once, each lands or is told", 6 * EDITORS);
}

/// What else an archive holds is neither lost nor mixed with what other places hold.
#[test]
fn an_archive_keeps_its_own_names_and_gets_no_others() {
    let it = scratch();
    places(&it);
    run(&it, &["build", "--platform", "linux/arm/v7", "arm64", "oci:other:armv7"]).ok();
    for (place, tag) in [("oci-archive:a.tar", "multi"), ("docker-archive:d.tar", "multi:1")] {
        let index = format!("{place}:{tag}");
        let before = tags(&it, place);
        run(&it, &["index", "add", &index, "oci:other:armv7"]).ok();
        assert_eq!(tags(&it, place), before, "{place}");
    }
}

fn tags(it: &Scratch, place: &str) -> Vec<String> {
    let listed = run(it, &["ls", place]).ok().out();
    listed.lines().skip(1).map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

/// An editor that has read the image, and waits for the rest of its layer.
fn waiting(it: &Scratch, place: &str, begin: &[u8]) -> Child {
    let mut editor = std::process::Command::new(orlop_path())
        .args(["append", place, "-"])
        .current_dir(it.root())
        .env("ORLOP_ROOT", it.path("store"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // More than a pipe holds: when all of it is gone the editor reads its layer, and so has read the image before.
    editor.stdin.as_mut().expect("piped").write_all(begin).expect("it reads");
    editor
}

#[test]
fn who_is_overtaken_while_a_layer_comes_is_told_in_every_place() {
    const PROOF: &str = "editors: overtaken while a layer comes";
    let it = scratch();
    let mut places: Vec<String> =
        places(&it).into_iter().filter(|it| *it != "dir:d").map(Into::into).collect();
    let registry = Registry::plain();
    if let Some(registry) = &registry {
        let place = format!("docker://{}/app:1", registry.host());
        run(&it, &["index", "create", "oci:l:amd64", "oci:l:arm64", &place]).ok();
        places.push(place);
    }
    let layer = tar([Member::file("big", noise(3, 1 << 20))]);
    let (begin, rest) = layer.split_at(1 << 19);
    for place in &places {
        let mut slow = waiting(&it, place, begin);
        run(&it, &["config", place, "--label", "quick=1"]).ok();
        let quick = run(&it, &["digest", place]).ok().out();
        slow.stdin.take().expect("piped").write_all(rest).expect("it reads to the end");
        let done = slow.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{place}: {said}");
        assert!(said.contains("in the meantime") && said.contains("run it again"), "{place}: {said}");
        assert!(said.contains(quick.trim()), "{place}: {said}");
        assert_eq!(run(&it, &["digest", place]).ok().out(), quick, "{place}");
        run(&it, &["append", place, "-"]).input(layer.clone()).ok();
        assert_ne!(run(&it, &["digest", place]).ok().out(), quick, "{place}");
    }
    if registry.is_none() {
        return proof::skipped(PROOF, "docker-registry is missing");
    }
    proof::ran(PROOF, places.len());
}

/// A registry that tells somebody quick when it is about to move a tag; what they do is done before the tag is moved.
fn with_somebody_quick(quick: Receiver<Box<dyn FnOnce() + Send>>) -> ShelfServer {
    let quick = Mutex::new(quick);
    ShelfServer::instead(move |asked| {
        if asked.method == "PUT" && asked.path().ends_with("/manifests/1") {
            // Whoever is quick comes by here too, and must find the lock free.
            let comes = quick.lock().expect("nobody panics with it").try_recv();
            if let Ok(does) = comes {
                does();
            }
        }
        None
    })
}

/// Between the last look at a tag and its change there is the time of one request: a registry that heeds `If-Match` closes
/// it, and one that tells entity tags and passes the condition by is written to as ever.
#[test]
fn at_a_registry_that_heeds_if_match_nobody_slips_in_between() {
    for (conditions, code) in [(Conditions::Heeded, 1), (Conditions::Ignored, 0)] {
        let it = scratch();
        let (quick, comes) = channel::<Box<dyn FnOnce() + Send>>();
        let server = with_somebody_quick(comes);
        server.shelf().conditions = conditions;
        let place = format!("docker://{}/app:1", server.host());
        it.folder("a");
        run(&it, &["build", "a", &place]).ok();
        let (store, reference) = (it.path("store"), place.clone());
        let change = move || {
            let words = ["config", &reference, "--label", "quick=1"];
            drop(orlop().args(words).env("ORLOP_ROOT", store).ok());
        };
        quick.send(Box::new(change)).expect("the server waits");
        let slow = || run(&it, &["config", &place, "--label", "slow=1"]).run();
        let done = slow();
        assert_eq!(done.code(), Some(code), "{conditions:?}: {done}");
        let labels = || {
            let config = run(&it, &["inspect", "--config", &place]).ok().out();
            let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
            config["config"]["Labels"].clone()
        };
        if conditions == Conditions::Ignored {
            assert_eq!(labels(), serde_json::json!({"slow": "1"}), "the moment that is left");
            continue;
        }
        assert_eq!(labels(), serde_json::json!({"quick": "1"}));
        let standing = run(&it, &["digest", &place]).ok().out();
        for said in ["in the meantime", "run it again", standing.trim()] {
            assert!(done.err().contains(said), "{said}: {done}");
        }
        assert_eq!(slow().code(), Some(0));
        assert_eq!(labels(), serde_json::json!({"quick": "1", "slow": "1"}));
    }
}
