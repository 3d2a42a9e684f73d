//! A manifest as text, line for line as go-mtree has it.

use super::facts::{Facts, Keyword};
use super::vis;
use orlop_layer::TreePath;
use std::io::{self, Write};

const HEAD: &str = "#      keywords: size,type,uid,gid,mode,link,nlink,tar_time,sha256digest,xattr\n";
/// What `/set` says of everything, beside the owner.
const SET: [(Keyword, &str); 3] = [(Keyword::Type, "file"), (Keyword::Nlink, "1"), (Keyword::Mode, "0664")];

/// What is still to be written.
enum Step {
    Folder(usize),
    Leave,
}

/// The entries are as the invariant of a manifest has them.
pub(super) fn write(entries: &[(TreePath, Facts)], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD.as_bytes())?;
    let ends = ends(entries);
    let is_set = entries.iter().all(|(_, facts)| inherits(facts));
    let mut writer = Writer { entries, ends: &ends, is_set, owner: None, out };
    let mut steps = vec![Step::Folder(0)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Leave => writer.out.write_all(b"..\n")?,
            Step::Folder(at) => {
                writer.folder(at)?;
                steps.push(Step::Leave);
                let below = steps.len();
                let folders = writer.children(at).filter(|child| entries[*child].1.is_folder());
                steps.extend(folders.map(Step::Folder));
                steps[below..].reverse();
            }
        }
    }
    Ok(())
}

/// For each entry the first that is not beneath it.
fn ends(entries: &[(TreePath, Facts)]) -> Vec<usize> {
    let mut ends = vec![entries.len(); entries.len()];
    let mut open: Vec<usize> = Vec::new();
    for (at, (path, _)) in entries.iter().enumerate() {
        while let Some(last) = open.pop() {
            if path.starts_with(&entries[last].0) {
                open.push(last);
                break;
            }
            ends[last] = at;
        }
        open.push(at);
    }
    ends
}

/// Whether a line can leave to `/set` what it would repeat: it says something about each.
fn inherits(facts: &Facts) -> bool {
    let set = SET.iter().map(|(keyword, _)| *keyword);
    set.chain([Keyword::Uid, Keyword::Gid]).all(|keyword| facts.knows(keyword))
}

struct Writer<'a> {
    entries: &'a [(TreePath, Facts)],
    ends: &'a [usize],
    /// Whether there is a `/set` at all.
    is_set: bool,
    /// User and group that the last `/set` named.
    owner: Option<(Option<u32>, Option<u32>)>,
    out: &'a mut dyn Write,
}

impl<'a> Writer<'a> {
    /// The folder and what is in it but for folders.
    fn folder(&mut self, at: usize) -> io::Result<()> {
        let entries = self.entries;
        let (path, facts) = &entries[at];
        writeln!(self.out, "\n# {}", comment(path))?;
        self.set(facts)?;
        let name = path.components().next_back().unwrap_or(b".");
        self.line(b"", name, facts)?;
        for child in self.children(at) {
            let (path, facts) = &entries[child];
            if !facts.is_folder() {
                let name = path.components().next_back().expect("it is in a folder");
                self.line(b"    ", name, facts)?;
            }
        }
        Ok(())
    }

    fn children(&self, at: usize) -> impl Iterator<Item = usize> + use<'a> {
        let ends = self.ends;
        let end = ends[at];
        let first = Some(at + 1).filter(|first| *first < end);
        std::iter::successors(first, move |child| Some(ends[*child]).filter(|next| *next < end))
    }

    fn set(&mut self, facts: &Facts) -> io::Result<()> {
        let owner = Some((facts.uid, facts.gid));
        if !self.is_set || self.owner == owner {
            return Ok(());
        }
        self.owner = owner;
        self.out.write_all(b"/set")?;
        for (keyword, value) in SET {
            write!(self.out, " {}={value}", keyword.name())?;
        }
        for keyword in [Keyword::Uid, Keyword::Gid] {
            let value = facts.value(keyword).expect("every line knows its owner where there is a `/set`");
            write!(self.out, " {}={value}", keyword.name())?;
        }
        self.out.write_all(b"\n")
    }

    fn line(&mut self, indent: &[u8], name: &[u8], facts: &Facts) -> io::Result<()> {
        let mut line = indent.to_vec();
        vis::encode(name, &mut line);
        for keyword in Keyword::ALL {
            let Some(value) = facts.value(keyword).filter(|value| !self.repeats(keyword, value, facts))
            else {
                continue;
            };
            let name = match (keyword, facts.time) {
                (Keyword::Time, Some(time)) => time.name(),
                _ => keyword.name(),
            };
            write!(line, " {name}={value}")?;
        }
        for (keyword, value) in facts.xattr_words() {
            write!(line, " {keyword}={value}")?;
        }
        line.push(b'\n');
        self.out.write_all(&line)
    }

    /// Whether the last `/set` says so already.
    fn repeats(&self, keyword: Keyword, value: &str, facts: &Facts) -> bool {
        let Some((uid, gid)) = self.owner else { return false };
        match keyword {
            Keyword::Uid => facts.uid == uid,
            Keyword::Gid => facts.gid == gid,
            _ => SET.contains(&(keyword, value)),
        }
    }
}

/// A path in a comment: for eyes, but on one line whatever it holds.
fn comment(path: &TreePath) -> String {
    if path.is_root() { ".".into() } else { orlop_layer::path::escape(path.as_bytes()) }
}
