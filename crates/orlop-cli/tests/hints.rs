//! What an error says to type next can be typed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use testkit::scratch::{Scratch, scratch};
use testkit::{Finished, orlop};

/// The flags of each verb, from the reference that the program prints.
fn flags_of_verbs() -> BTreeMap<String, BTreeSet<String>> {
    let text = orlop().args(["reference", "cli"]).ok().out();
    let mut verbs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut verb = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            name.clone_into(&mut verb);
        } else if let Some((flag, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')) {
            verbs.entry(verb.clone()).or_default().extend(flags(flag));
        }
    }
    verbs
}

/// The words with two dashes in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let words = text.split([' ', '`', '(', ',']).filter(|word| word.starts_with("--") && word.len() > 2);
    let name = |word: &str| {
        word.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect()
    };
    words.map(name).collect()
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The literals of a source file that are hints: those in a function `hint`, and the members of that name.
fn hints(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut regions: Vec<&str> = Vec::new();
    regions.extend(source.split("fn hint(&self)").skip(1).filter_map(|rest| rest.split("\n    }\n").next()));
    regions.extend(source.split("hint: \"").skip(1).filter_map(|rest| rest.split('"').next()));
    let literals = |region: &&str| -> Vec<String> {
        if !region.contains('"') {
            return vec![(*region).to_owned()];
        }
        region.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect()
    };
    regions.iter().flat_map(literals).collect()
}

#[test]
fn every_hint_of_every_error_names_verbs_and_flags_that_there_are() {
    let verbs = flags_of_verbs();
    let all: BTreeSet<&String> = verbs.values().flatten().collect();
    let mut files = Vec::new();
    for krate in ["orlop-cli", "orlop"] {
        sources(&crates().join(krate).join("src"), &mut files);
    }
    // Only what the program is made of: a crate may be there before its flags are.
    let manifest = fs::read_to_string(crates().join("orlop/Cargo.toml")).expect("a manifest");
    for krate in manifest.lines().filter_map(|line| line.strip_suffix(".workspace = true")) {
        if krate.starts_with("orlop-") {
            sources(&crates().join(krate).join("src"), &mut files);
        }
    }
    let mut seen = 0;
    for file in files {
        for hint in hints(&fs::read_to_string(&file).expect("text")) {
            // Options of an instruction of Dockerfiles, which stand in a value.
            if hint.starts_with("write --interval=") {
                continue;
            }
            seen += 1;
            for way in hint.split(", or ") {
                is_typable(way, &verbs, &all)
                    .unwrap_or_else(|what| panic!("{}: {hint:?}: {what}", file.display()));
            }
        }
    }
    assert!(seen > 40, "only {seen} hints were found");
}

/// Whether the flags in a way of a hint are flags, and the commands in it commands with such flags.
fn is_typable(
    way: &str,
    verbs: &BTreeMap<String, BTreeSet<String>>,
    all: &BTreeSet<&String>,
) -> Result<(), String> {
    let is_of_all = |flag: &String| all.contains(flag);
    let mut parts = way.split("orlop ");
    if let Some(flag) = flags(parts.next().unwrap_or_default()).iter().find(|flag| !is_of_all(flag)) {
        return Err(format!("no flag {flag}"));
    }
    for command in parts {
        let mut words = command.split([' ', '`', '"']);
        let verb = words.next().unwrap_or_default();
        if verb == "--help" {
            continue;
        }
        let inner = format!("{verb} {}", words.next().unwrap_or_default());
        let inmost = format!("{inner} {}", words.next().unwrap_or_default());
        let known = verbs.get(&inmost).or(verbs.get(&inner)).or(verbs.get(verb));
        let known = known.ok_or(format!("no verb {verb}"))?;
        let flags = flags(command.split(['`', ';']).next().unwrap_or_default());
        if let Some(flag) = flags.iter().find(|flag| *flag != "--help" && !known.contains(*flag)) {
            return Err(format!("{verb} lacks {flag}"));
        }
    }
    Ok(())
}

/// A folder with a name that no image can hold, another that is not empty, and an image.
fn places() -> Scratch {
    let scratch = scratch();
    scratch.folder("marked");
    scratch.file("marked/.wh.name", "x");
    scratch.folder("full");
    scratch.file("full/mine", "x");
    orlop().args(["build", "full", "oci:l:t"]).current_dir(scratch.root()).ok();
    scratch
}

fn hint(done: &Finished) -> String {
    let text = done.err();
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("hint: "));
    line.unwrap_or_else(|| panic!("no hint: {done}")).to_owned()
}

#[test]
fn a_hint_names_flags_of_the_verb_or_says_whose_they_are() {
    let scratch = places();
    let verbs = flags_of_verbs();
    let cases: [&[&str]; 6] = [
        &["diff", "./marked", "./full"],
        &["copy", "rootfs:marked", "oci:l:m"],
        &["build", "marked", "oci:l:m"],
        &["copy", "oci:l:t", "rootfs:full"],
        &["unpack", "oci:l:t", "full"],
        &["bundle", "oci:l:t", "full"],
    ];
    for words in cases {
        let done = orlop().args(words).current_dir(scratch.root()).run();
        let hint = hint(&done);
        let (said, whose) = hint.split_once(" (a flag of ").unwrap_or((&hint, ""));
        for flag in flags(said) {
            let takers: Vec<&str> = match whose {
                "" => vec![words[0]],
                takers => takers.split('`').filter_map(|word| word.strip_prefix("orlop ")).collect(),
            };
            assert!(!takers.is_empty(), "{words:?}: {hint}");
            for verb in takers {
                assert!(verbs[verb].contains(&flag), "{words:?}: {verb} lacks {flag}: {hint}");
            }
        }
    }
    let copied = orlop().args(["copy", "oci:l:t", "rootfs:full"]).current_dir(scratch.root()).run();
    assert_eq!(hint(&copied), "exchange it with --replace (a flag of `orlop unpack`, `orlop bundle`)");
}

#[test]
fn a_personality_does_not_show_flags_of_ours_as_its_own() {
    let scratch = places();
    let done = orlop().args(["compat", "sloci-image", "marked", "new"]).current_dir(scratch.root()).run();
    assert_eq!(
        hint(&done),
        "leave them out with --unrepresentable skip (a flag of `orlop build`, `orlop append`, `orlop insert`, `orlop repack`)"
    );
}

#[test]
fn a_bare_word_that_could_be_a_layout_is_told_how_to_say_so() {
    let scratch = places();
    let cases: [(&[&str], &str); 3] = [
        (&["inspect", "l:t"], "oci:l:t"),
        (&["copy", "l:t", "oci:other"], "oci:l:t"),
        (&["build", "full", "new:t"], "oci:new:t"),
    ];
    for (words, meant) in cases {
        let done = orlop().args(words).current_dir(scratch.root()).run();
        assert!(
            hint(&done).contains(&format!("for a layout in a folder write {meant}")),
            "{words:?}: {done}"
        );
    }
    let others: [&[&str]; 4] = [
        &["inspect", "oci:nowhere:t"],
        &["inspect", "new:t"],
        &["run", "--pull=never", "new:t"],
        &["ostree", "pull", "--repo=nowhere", "remote", "new:t"],
    ];
    for words in others {
        let done = orlop().args(words).current_dir(scratch.root()).run();
        assert!(!done.success() && !done.err().contains("for a layout"), "{words:?}: {done}");
    }
}

#[test]
fn a_bare_word_that_the_store_has_is_told_how_to_say_so() {
    let scratch = places();
    let run =
        |words: &[&str]| orlop().args(words).env("ORLOP_ROOT", "store").current_dir(scratch.root()).run();
    assert!(run(&["copy", "oci:l:t", "store:small:1"]).success());
    let meant = "for the image of the local store write store:small:1";
    for words in [
        &["inspect", "--offline", "small:1"][..],
        &["push", "--offline", "small:1", "docker://q.example/small:1"],
        &["bundle", "--offline", "small:1", "b"],
    ] {
        assert!(hint(&run(words)).starts_with(meant), "{words:?}");
    }
    let elsewhere = ["inspect", "--offline", "--root=store", "small:1"];
    let done = orlop().args(elsewhere).env("ORLOP_ROOT", "none").current_dir(scratch.root()).run();
    assert!(hint(&done).starts_with(meant), "{done}");
    for words in
        [&["inspect", "--offline", "small:2"][..], &["inspect", "store:small:2"], &["inspect", "oci:l:no"]]
    {
        assert!(!run(words).err().contains(meant), "{words:?}");
    }
}
