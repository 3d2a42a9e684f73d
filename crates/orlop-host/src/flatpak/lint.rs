//! What keeps flatpak from installing an image, or makes it install another tree than is meant.
//!
//! Invariant: every finding says what to do about it. An error is what a client refuses or gets wrong; a warning is what
//! it goes without.

use super::labels::{self, Labels};
use super::refname::{Kind, Ref};
use crate::ostree::keyfile::KeyFile;
use crate::ostree::variant::Variant;
use orlop_layer::path::escape;
use orlop_layer::tree::{InodeKind, Lower, Tree};
use orlop_spec::base64;
use orlop_spec::config::Config;
use orlop_spec::descriptor::Annotations;
use orlop_spec::validate::Severity;

/// Something that flatpak minds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the rule; scripts match it.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Which label or path, escaped.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub cure: String,
}

fn error(rule: &'static str, place: &str, what: impl Into<String>, cure: impl Into<String>) -> Finding {
    Finding { rule, severity: Severity::Error, place: place.into(), what: what.into(), cure: cure.into() }
}

fn warning(rule: &'static str, place: &str, what: impl Into<String>, cure: impl Into<String>) -> Finding {
    Finding { severity: Severity::Warning, ..error(rule, place, what, cure) }
}

/// How a label is added.
fn add(label: &str, value: &str) -> String {
    format!("build it with --label {label}={value}")
}

/// What is wrong with the documents of an image.
pub fn documents(config: &Config, annotations: &Annotations) -> Vec<Finding> {
    let none = Annotations::new();
    let given = config.config.as_ref().map_or(&none, |it| &it.labels);
    let mut found = Vec::new();
    let read = match Labels::parse(given) {
        Ok(read) => read,
        Err(bad) => {
            let why = format!("{}", bad.why);
            found.push(error(
                "label-unreadable",
                &bad.label,
                why,
                "write it as flatpak does, or leave it out",
            ));
            return found;
        }
    };
    if read.name.is_none() && annotations.contains_key(labels::REF) {
        let cure = "labels belong into the config, where flatpak reads them: build it with --label";
        found.push(error("label-as-annotation", labels::REF, "it is an annotation of the manifest", cure));
    }
    match &read.name {
        None => found.push(error(
            "ref-missing",
            labels::REF,
            "without a ref flatpak does not see the image",
            add(labels::REF, "app/ID/ARCH/BRANCH"),
        )),
        Some(name) => found.extend(machine(config, name)),
    }
    found.extend(metadata(&read));
    found.extend(repeated(&read));
    found.extend(goes_without(&read, given));
    found.extend(given.get(labels::DELTA_URL).and_then(|address| delta_url(address)));
    found
}

/// The client would ask at an address for nothing.
fn delta_url(address: &str) -> Option<Finding> {
    // RFC 3986, section 3.1.
    let is_scheme =
        |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let scheme = address.split_once(':').map(|(scheme, _)| scheme).filter(is_scheme);
    let is_web = scheme.is_none_or(|it| matches!(it, "http" | "https"));
    let warn = |rule, what, cure| Some(warning(rule, labels::DELTA_URL, what, cure));
    if address.is_empty() || !is_web || !address.bytes().all(|byte| byte.is_ascii_graphic()) {
        let cure = "write an address of the web, or one relative to the registry's, or leave it out";
        return warn("delta-url-invalid", "clients cannot ask there", cure);
    }
    let is_fixed = ["/sha256:", "/sha512:", "@sha256:", "@sha512:"].iter().any(|it| address.contains(it));
    if is_fixed {
        let what = "a manifest that an image names by digest cannot name that image: clients pass it over";
        let cure = "leave it out: orlop flatpak index and orlop flatpak serve name the deltas that are there";
        return warn("delta-url-fixed", what, cure);
    }
    None
}

fn machine(config: &Config, name: &Ref) -> Vec<Finding> {
    let mut found = Vec::new();
    if &*config.os != "linux" {
        let cure = "build it with --platform linux/ARCH";
        found.push(error("os-differs", labels::REF, format!("the image is for {}", config.os), cure));
    }
    match name.architecture() {
        Some(architecture) if architecture != &*config.architecture => found.push(error(
            "architecture-differs",
            labels::REF,
            format!(
                "the ref is for {}, which images call {architecture}, and the image for {}",
                name.arch, config.architecture
            ),
            format!("build it with --platform linux/{architecture}, or name the right machine in the ref"),
        )),
        None => found.push(warning(
            "architecture-unknown",
            labels::REF,
            format!("whether {} is {} is not known", name.arch, config.architecture),
            "look whether a client of that machine asks for it so",
        )),
        Some(_) => {}
    }
    found
}

/// The key file of the commit's root.
fn metadata(read: &Labels) -> Vec<Finding> {
    let Some(text) = &read.metadata else {
        let what = "without it the client passes the image over";
        let cure = "build it with --label org.flatpak.metadata=TEXT, the text of the file `metadata`";
        return vec![error("metadata-missing", labels::METADATA, what, cure)];
    };
    let file = match KeyFile::parse(text.as_bytes()) {
        Ok(file) => file,
        Err(why) => {
            let cure = "write it as the file `metadata` stands in the tree";
            return vec![error("metadata-invalid", labels::METADATA, why.to_string(), cure)];
        }
    };
    read.name.as_ref().map(|name| agrees(&file, name)).unwrap_or_default()
}

fn agrees(file: &KeyFile, name: &Ref) -> Vec<Finding> {
    let group = name.kind.group();
    let place = labels::METADATA;
    if !file.has_group(group) {
        let what = format!("it has no group [{group}], which a ref of {} asks for", name.kind.as_str());
        return vec![error(
            "kind-differs",
            place,
            what,
            format!("write [{group}] into the metadata, or another ref"),
        )];
    }
    let mut found = Vec::new();
    match file.string(group, "name") {
        Ok(Some(id)) if *id == *name.id => {}
        Ok(Some(id)) => found.push(error(
            "name-differs",
            place,
            format!("it is of {}, and the ref of {}", escape(id.as_bytes()), name.id),
            format!("write name={} into the metadata, or another ref", name.id),
        )),
        _ => found.push(error(
            "name-missing",
            place,
            "it names no id",
            format!("write name={} into the metadata", name.id),
        )),
    }
    if name.kind == Kind::App {
        let runtime = file.string(group, "runtime").ok().flatten();
        let parsed = runtime.as_deref().map(|it| format!("runtime/{it}").parse::<Ref>());
        match parsed {
            Some(Ok(runtime)) if runtime.arch == name.arch => {}
            Some(Ok(runtime)) => found.push(error(
                "runtime-differs",
                place,
                format!("its runtime is for {}", runtime.arch),
                format!("name a runtime for {}", name.arch),
            )),
            _ => found.push(error(
                "runtime-missing",
                place,
                "it names no runtime, without which nothing runs",
                format!("write runtime=ID/{}/BRANCH into the metadata", name.arch),
            )),
        }
    }
    found
}

/// What stands in the labels and in the commit's metadata must agree: the client compares the two.
fn repeated(read: &Labels) -> Vec<Finding> {
    let mut found = Vec::new();
    let compare = |key: &str, rule: [&'static str; 2], expected: &str| {
        let label = format!("{}{key}", labels::COMMIT_METADATA);
        let right = base64::encode(&Variant::string(expected).to_bytes());
        match read.commit_metadata.get(key) {
            None => Some((rule[0], label.clone(), "it is not there", add(&label, &right))),
            Some(value) if value.as_str() != Some(expected) => Some((
                rule[1],
                label.clone(),
                "it says another thing than the label that it repeats",
                add(&label, &right),
            )),
            Some(_) => None,
        }
    };
    if let Some(text) = read.metadata.as_deref().filter(|text| !text.contains('\0')) {
        let rules = ["xa-metadata-missing", "xa-metadata-differs"];
        let finding = compare(labels::XA_METADATA, rules, text);
        found.extend(finding.map(|(rule, place, what, cure)| {
            error(rule, &place, format!("{what}; the client refuses to install"), cure)
        }));
    }
    if let Some(name) = &read.name {
        let finding = compare(labels::XA_REF, ["xa-ref-missing", "xa-ref-differs"], &name.to_string());
        found.extend(finding.map(|(rule, place, what, cure)| match rule {
            "xa-ref-differs" => error(rule, &place, what, cure),
            _ => warning(rule, &place, what, cure),
        }));
    }
    found
}

/// What a client can do without, though somebody will miss it.
fn goes_without(read: &Labels, given: &Annotations) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut missed = |is_there: bool, label: &str, what: &str, value: &str| {
        if !is_there {
            found.push(warning("label-missing", label, what, add(label, value)));
        }
    };
    missed(read.installed_size.is_some(), labels::INSTALLED_SIZE, "nobody is told what it takes", "BYTES");
    missed(read.download_size.is_some(), labels::DOWNLOAD_SIZE, "nobody is told what it costs", "BYTES");
    missed(read.time.is_some(), labels::TIMESTAMP, "it seems to be of 1970", "SECONDS");
    missed(read.commit.is_some(), labels::COMMIT, "the commit's id cannot come back", "HEX");
    if read.name.as_ref().is_some_and(|name| name.kind == Kind::App) {
        let what = "software centres have nothing to show";
        missed(given.contains_key(labels::APPDATA), labels::APPDATA, what, "XML");
    }
    found
}

/// The most findings of one rule about paths.
const MOST: usize = 5;

/// What is wrong with the layers: the client unpacks one over the other, and knows nothing of whiteouts.
pub fn layers(trees: &[Tree]) -> Vec<Finding> {
    let mut found = Vec::new();
    if trees.len() > 1 {
        found.push(warning(
            "several-layers",
            "",
            format!(
                "the image has {} layers; clients lay one over the other, and nothing of a lower one can be hidden",
                trees.len()
            ),
            FLATTEN,
        ));
    }
    let hidden = trees.iter().flat_map(whiteouts).take(MOST);
    found.extend(hidden.map(|path| {
        let what = "a whiteout is a file like any other to clients, and what it hides stays";
        error("whiteout", &path, what, FLATTEN)
    }));
    found
}

const FLATTEN: &str =
    "make one layer of it: orlop unpack REF DIR, then orlop build DIR NEW with the same labels";

fn whiteouts(tree: &Tree) -> Vec<String> {
    let hides = |kind: &InodeKind| {
        matches!(kind, InodeKind::Whiteout)
            || matches!(kind, InodeKind::Directory { lower: Lower::Hide | Lower::Replace, .. })
    };
    tree.walk()
        .filter(|(_, id)| hides(&tree.inode(*id).kind))
        .map(|(path, _)| path.to_string())
        .take(MOST)
        .collect()
}

/// What is wrong with the merged tree.
pub fn tree(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    if !tree
        .child(tree.root(), b"files")
        .is_some_and(|id| matches!(tree.inode(id).kind, InodeKind::Directory { .. }))
    {
        let cure = "put what is to be installed into the folder files, beside the file metadata";
        found.push(error("files-missing", "files", "the tree has no such folder", cure));
    }
    if !tree
        .child(tree.root(), b"metadata")
        .is_some_and(|id| matches!(tree.inode(id).kind, InodeKind::File(_)))
    {
        let cure = "put the text of the label org.flatpak.metadata into it";
        found.push(error("file-missing", "metadata", "the tree has no such file", cure));
    }
    found.extend(paths(
        tree,
        "special-file",
        "clients leave it out without a word",
        "leave it out",
        |inode| matches!(inode.kind, InodeKind::CharDevice(_) | InodeKind::BlockDevice(_) | InodeKind::Fifo),
    ));
    found.extend(paths(
        tree,
        "set-id",
        "clients do not install it so",
        "take the set-user-id and set-group-id bits away",
        |inode| !matches!(inode.kind, InodeKind::Directory { .. }) && inode.meta.mode & 0o6000 != 0,
    ));
    found.extend(paths(
        tree,
        "owner",
        "clients give everything to one user",
        "build it with --owner squash",
        |inode| (inode.meta.uid, inode.meta.gid) != (0, 0),
    ));
    found
}

fn paths(
    tree: &Tree,
    rule: &'static str,
    what: &'static str,
    cure: &'static str,
    is_bad: impl Fn(&orlop_layer::tree::Inode) -> bool,
) -> Vec<Finding> {
    let bad = tree.walk().filter(|(_, id)| is_bad(tree.inode(*id))).take(MOST);
    bad.map(|(path, _)| warning(rule, &path.to_string(), what, cure)).collect()
}

/// What is wrong with the file `metadata`, whose content is this.
pub fn file(config: &Config, content: &[u8]) -> Option<Finding> {
    let label = config.config.as_ref().and_then(|it| it.labels.get(labels::METADATA))?;
    (label.as_bytes() != content).then(|| {
        let what = "it is another one than the label org.flatpak.metadata";
        error("metadata-differs", "metadata", what, "write the same text into both")
    })
}

#[cfg(test)]
mod tests;
