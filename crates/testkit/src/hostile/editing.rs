//! One case given to one edit: it is refused, and the image stays as it is to the bit; or it becomes an image that unpacks
//! to the same files, and what nobody may unpack cannot be unpacked afterwards either.

use super::trial::{Trial, always};
use super::{Case, Expected, Form, Verb, listing};
use crate::command::{Finished, orlop};
use crate::dump::{Aspect, Difference, Dump, differences, dump};
use crate::scratch::remove;
use std::path::Path;

/// An edit. `IMAGE` is the image of the case, `../more` a folder with the file `new`.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// What is typed.
    pub words: &'static str,
    /// What it does to the files of an image.
    pub effect: Effect,
}

/// What an edit does to the files of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing; layers are not looked at.
    Beside,
    /// Nothing; layers are read.
    Through,
    /// The file `new` comes; layers are not looked at.
    Adds,
    /// It depends.
    Other,
}

const fn edit(words: &'static str, effect: Effect) -> Edit {
    Edit { words, effect }
}

/// Every way to edit an image in its place.
pub const EDITS: [Edit; 15] = [
    edit("flatten IMAGE", Effect::Through),
    edit("config IMAGE --env A=1 --annotation a=b --history-comment why", Effect::Beside),
    edit("convert IMAGE --compress zstd", Effect::Through),
    edit("append IMAGE ../more --owner squash", Effect::Adds),
    edit("convert IMAGE --layer-size 600", Effect::Through),
    edit("strip IMAGE --rm-path /f", Effect::Other),
    edit("convert IMAGE --compress none --media-types docker", Effect::Through),
    edit("insert IMAGE --whiteout /nothing-of-that-name", Effect::Beside),
    edit("convert IMAGE --algorithm sha512", Effect::Through),
    edit("rebase IMAGE --old-base IMAGE --new-base IMAGE", Effect::Beside),
    edit("flatten IMAGE --last 2 --compress gzip", Effect::Through),
    edit("strip IMAGE --rm-layer 0", Effect::Other),
    edit("index annotate IMAGE a=b", Effect::Other),
    edit("index add IMAGE IMAGE --overwrite", Effect::Other),
    edit("config IMAGE --set-platform linux/s390x", Effect::Other),
];

/// Good images that an edit refuses, and what it says.
const REFUSED: [(&str, &str, &str); 4] = [
    ("22 a layer not to be distributed", "flatten IMAGE", NOT_FREE),
    ("22 a layer not to be distributed", "flatten IMAGE --last 2 --compress gzip", NOT_FREE),
    ("29 indexes 2 deep", "convert IMAGE --compress none --media-types docker", FLAT),
    ("29 indexes 10 deep", "convert IMAGE --compress none --media-types docker", FLAT),
];
const NOT_FREE: &str = "one of the layers is not to be distributed";
const FLAT: &str = "Docker's lists hold images, and this index holds another index";

impl Trial {
    /// Gives a case to an edit, and tells everything that is wrong.
    pub fn edit(&self, case: &Case, edit: &Edit) -> Vec<String> {
        let source = self.lay_out(&case.form);
        let input = self.scratch.path("input");
        let before = dump(&input);
        let words = edit.words.split(' ').map(|word| if word == "IMAGE" { source.as_str() } else { word });
        let done = self.execute(orlop().args(words));
        let after = dump(&input);
        let mut wrong = always(&done);
        if done.success() {
            wrong.extend(refusal(case, edit).map(|says| format!("it was not refused by: {says}")));
            wrong.extend(kept(case, &before, &after));
            wrong.extend(self.unpacked(case, edit, &source));
        } else {
            wrong.extend(refused(case, edit, &done));
            wrong.extend(spoiled(&before, &after).iter().map(|it| format!("changed by an error: {it:?}")));
        }
        wrong.extend(self.canary_changes());
        wrong.extend(self.litter());
        if !wrong.is_empty() {
            wrong.push(format!("{done}"));
        }
        wrong
    }

    fn unpacked(&self, case: &Case, edit: &Edit, source: &str) -> Vec<String> {
        let target = self.scratch.path("work/target");
        let done = self.execute(orlop().args(["unpack", source]).arg(&target));
        let mut wrong = always(&done);
        wrong.extend(judge(case, edit, &done, &target));
        remove(&target);
        if !wrong.is_empty() {
            wrong.push(format!("unpacked: {done}"));
        }
        wrong
    }
}

/// What an error changed of a layout, or of any other place. Blobs that no name leads to may have come: a sweep removes them.
pub fn spoiled(before: &Dump, after: &Dump) -> Vec<Difference> {
    let is_new_blob = |it: &Difference| it.path.starts_with(b"blobs/") && !before.contains_key(&it.path);
    differences(before, after, &[Aspect::Time]).into_iter().filter(|it| !is_new_blob(it)).collect()
}

/// A file of a layout that an edit changed, but for the one that names what is there.
fn kept(case: &Case, before: &Dump, after: &Dump) -> Vec<String> {
    if !matches!(case.form, Form::Layout(_)) {
        return Vec::new();
    }
    let is_name = |path: &[u8]| path == b"index.json";
    let changed = before.iter().filter(|(path, node)| {
        !is_name(path)
            && after.get(*path).is_none_or(|now| (&now.kind, &now.content) != (&node.kind, &node.content))
    });
    changed.map(|(path, _)| format!("{} was changed or removed", path.escape_ascii())).collect()
}

fn refused(case: &Case, edit: &Edit, done: &Finished) -> Option<String> {
    if !done.err().lines().any(|line| line.starts_with("error: ")) {
        return Some("it does not say what is wrong".into());
    }
    if let Some(says) = refusal(case, edit) {
        return (!done.err().contains(says)).then(|| format!("it was not refused by: {says}"));
    }
    let is_good = case.verb == Verb::Unpack && matches!(case.expected, Expected::Tree(_));
    (is_good && edit.effect != Effect::Other).then(|| "a good image was refused".into())
}

/// By which words an edit refuses a good image.
fn refusal(case: &Case, edit: &Edit) -> Option<&'static str> {
    let known = REFUSED.iter().find(|(name, words, _)| *name == case.name && *words == edit.words);
    known.map(|(.., says)| *says)
}

fn judge(case: &Case, edit: &Edit, done: &Finished, target: &Path) -> Option<String> {
    if case.verb != Verb::Unpack || edit.effect == Effect::Other {
        return None;
    }
    match &case.expected {
        Expected::Refused(_) if done.success() => Some("what nobody may unpack was made good".into()),
        Expected::Tree(_) if !done.success() => Some("a good image was spoiled".into()),
        Expected::Tree(lines) | Expected::TreeOr(lines, _) if done.success() => {
            let mut lines = lines.clone();
            lines.extend((edit.effect == Effect::Adds).then(|| "new=n".to_owned()));
            let mut found = listing(target);
            found.sort_unstable();
            lines.sort_unstable();
            (found != lines).then(|| format!("expected {lines:?}, found {found:?}"))
        }
        _ => None,
    }
}
