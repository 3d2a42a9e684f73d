//! What an image lies over (appc specification 0.8.11, `aci.md`, "Dependency Matching" and "Image Archives").
//!
//! ```text
//! assembled(image) = stack(assembled(dependency 1), …, assembled(dependency n), rootfs), without what no
//!                    whitelist names
//! ```
//!
//! Invariant: each image is assembled once, and lies below another once, however often it is named; one that lies over
//! itself is an error.

use super::archive::Archive;
use orlop_host::Error as HostError;
use orlop_host::aci::AciError;
use orlop_host::aci::manifest::Dependency;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entry, Error as LayerError, Kind, Meta, TreePath};
use orlop_spec::port::Result;
use orlop_spec::{Cancel, Limits};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Finds an image that is not among those that were given; gives what it lies over too.
pub type Elsewhere<'a> = &'a dyn Fn(&Dependency) -> Result<Option<Tree>>;

/// Images that may be named, the first of which is to be assembled.
pub struct Assembly<'a> {
    /// The images.
    pub images: &'a [Archive],
    /// Where others are.
    pub elsewhere: Elsewhere<'a>,
    /// How much is allowed.
    pub limits: &'a Limits,
    /// Asks to stop.
    pub cancel: &'a Cancel,
}

/// Which image a dependency means.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Lower<'a> {
    /// One of those that were given.
    Given(usize),
    /// Another, by its name there and the id that it must have.
    Elsewhere(String, Option<&'a str>),
}

impl Assembly<'_> {
    /// The files of the first image and of what it lies over.
    pub fn assemble(&self) -> Result<Tree> {
        self.one(0, &mut Vec::new(), &mut HashMap::new())
    }

    /// Images that nobody needed.
    pub fn unused(&self) -> impl Iterator<Item = &Archive> {
        let named: Vec<_> = self.images.iter().flat_map(|image| &image.manifest.dependencies).collect();
        self.images[1..].iter().filter(move |image| !named.iter().any(|dependency| fits(dependency, image)))
    }

    fn one(&self, at: usize, within: &mut Vec<usize>, done: &mut HashMap<usize, Tree>) -> Result<Tree> {
        let image = &self.images[at];
        if let Some(tree) = done.get(&at) {
            return Ok(tree.clone());
        }
        if within.contains(&at) {
            return Err(HostError::from(AciError::OverItself { name: image.manifest.name.clone() }).into());
        }
        within.push(at);
        let mut tree = Tree::default();
        for (lower, dependency) in self.lowers(image)? {
            self.cancel.check()?;
            let lower = match lower {
                Lower::Given(lower) => self.one(lower, within, done)?,
                Lower::Elsewhere(..) => self.found_elsewhere(image, dependency)?,
            };
            tree = tree.stack(lower)?;
        }
        within.pop();
        let tree = whitelisted(tree.stack(image.tree.clone())?, &image.manifest.path_whitelist, self.limits)?;
        done.insert(at, tree.clone());
        Ok(tree)
    }

    /// What an image lies over, in its order, each once. Of two mentions the later one counts: it would lie over the other.
    fn lowers<'i>(&self, image: &'i Archive) -> Result<Vec<(Lower<'i>, &'i Dependency)>> {
        let (mut seen, mut lowers) = (HashSet::new(), Vec::new());
        for dependency in image.manifest.dependencies.iter().rev() {
            self.cancel.check()?;
            let lower = match self.images.iter().position(|image| fits(dependency, image)) {
                Some(lower) => Lower::Given(lower),
                None => Lower::Elsewhere(called(dependency), dependency.image_id.as_deref()),
            };
            if seen.insert(lower.clone()) {
                lowers.push((lower, dependency));
            }
        }
        lowers.reverse();
        Ok(lowers)
    }

    fn found_elsewhere(&self, image: &Archive, dependency: &Dependency) -> Result<Tree> {
        (self.elsewhere)(dependency)?.ok_or_else(|| {
            let (of, name) = (image.manifest.name.clone(), dependency.image_name.clone());
            HostError::from(AciError::DependencyMissing { of, name }).into()
        })
    }
}

/// What a dependency is called elsewhere: by its version, where one is wanted, behind a colon.
pub fn called(dependency: &Dependency) -> String {
    let version = dependency.labels.iter().find(|label| &*label.name == "version");
    match version {
        Some(version) => format!("{}:{}", dependency.image_name, version.value),
        None => dependency.image_name.to_string(),
    }
}

/// Whether the image is the one that is meant: by its name, every label that is named, and its id where that is named.
fn fits(dependency: &Dependency, image: &Archive) -> bool {
    let has_id = |id: &str| id.strip_prefix("sha512-").is_some_and(|hex| hex == image.id.hex());
    dependency.image_name == image.manifest.name
        && dependency.labels.iter().all(|label| image.manifest.labels.contains(label))
        && dependency.image_id.as_deref().is_none_or(has_id)
}

/// The tree without the paths that the list does not name; an empty list names all. What a named path lies in stays.
fn whitelisted(tree: Tree, list: &[Box<str>], limits: &Limits) -> Result<Tree, LayerError> {
    if list.is_empty() {
        return Ok(tree);
    }
    let mut named = BTreeSet::new();
    for path in list {
        let path = TreePath::parse(path.as_bytes())
            .map_err(|_| LayerError::Entry { path: path.to_string(), what: "climbs out of the image" })?;
        named.insert(path.as_bytes().to_vec());
    }
    // What a named path lies in stays: one that begins with the path and a slash is the next in order, if there is one.
    let is_kept = |path: &TreePath| {
        let inner = [path.as_bytes(), b"/"].concat();
        named.contains(path.as_bytes())
            || named.range(inner.clone()..).next().is_some_and(|next| next.starts_with(&inner))
    };
    let mut removals = Builder::new(u16::MAX, limits);
    let (mut ordinal, mut removed) = (0, None::<TreePath>);
    for (path, _) in tree.walk() {
        let is_gone = removed.as_ref().is_some_and(|folder| path.starts_with(folder));
        if path.is_root() || is_gone || is_kept(&path) {
            continue;
        }
        let whiteout = Entry { path: path.clone(), meta: Meta::default(), kind: Kind::Whiteout };
        removals.add(ordinal, 0, &whiteout)?;
        (ordinal, removed) = (ordinal + 1, Some(path));
    }
    tree.stack(removals.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_host::aci::manifest::{ImageManifest, Pair};
    use orlop_spec::{Algorithm, Digest};
    use std::cell::Cell;

    /// An image of empty files.
    fn image(name: &str, files: &[&str], over: &[&str], list: &[&str]) -> Archive {
        let mut builder = Builder::new(0, &Limits::default());
        for (ordinal, file) in (0..).zip(files) {
            let path = TreePath::parse(file.as_bytes()).expect("a path");
            let entry = Entry { path, meta: Meta::default(), kind: Kind::File { size: 0 } };
            builder.add(ordinal, 0, &entry).expect("an entry");
        }
        let dependency = |name: &&str| Dependency {
            image_name: (*name).into(),
            image_id: None,
            labels: Vec::new(),
            size: None,
        };
        let mut manifest =
            ImageManifest::parse(br#"{"labels":[{"name":"version","value":"1"}]}"#).expect("JSON");
        manifest.name = name.into();
        manifest.dependencies = over.iter().map(dependency).collect();
        manifest.path_whitelist = list.iter().map(|path| (*path).into()).collect();
        let id = Digest::of(Algorithm::Sha512, name.as_bytes());
        Archive { name: name.into(), manifest, raw: "".into(), tree: builder.finish(), id }
    }

    fn assembled(images: &[Archive]) -> Result<Vec<String>> {
        let assembly =
            Assembly { images, elsewhere: &|_| Ok(None), limits: &Limits::default(), cancel: &Cancel::new() };
        let tree = assembly.assemble()?;
        Ok(tree.walk().filter(|(path, _)| !path.is_root()).map(|(path, _)| path.to_string()).collect())
    }

    #[test]
    fn an_image_lies_over_its_dependencies_in_their_order() {
        let images = [
            image("top", &["c"], &["mid", "base"], &[]),
            image("base", &["a"], &[], &[]),
            image("mid", &["b"], &["base"], &[]),
        ];
        assert_eq!(assembled(&images).expect("all are there"), ["a", "b", "c"]);
    }

    #[test]
    fn only_what_the_list_names_is_left() {
        let images = [
            image("top", &["d/x", "d/y", "e/z"], &["base"], &["/d/x", "/f/"]),
            image("base", &["f/w", "g"], &[], &[]),
        ];
        assert_eq!(assembled(&images).expect("all are there"), ["d", "d/x", "f"]);
    }

    #[test]
    fn what_lacks_and_what_lies_over_itself_is_an_error() {
        let error = assembled(&[image("top", &[], &["base"], &[])]).expect_err("it lacks");
        assert!(error.to_string().contains("base"), "{error}");
        let images = [image("top", &[], &["base"], &[]), image("base", &[], &["top"], &[])];
        assert!(assembled(&images).expect_err("a ring").to_string().contains("itself"));
    }

    #[test]
    fn a_ladder_of_doubles_is_climbed_once() {
        let mut images = vec![image("0", &["a"], &[], &[])];
        for step in 1..60_u32 {
            let below = (step - 1).to_string();
            images.insert(0, image(&step.to_string(), &[], &[&below, &below], &[]));
        }
        assert_eq!(assembled(&images).expect("all are there"), ["a"]);
    }

    #[test]
    fn an_image_that_is_named_ten_thousand_times_is_stacked_once_where_it_stands_last() {
        let over: Vec<_> = (0..10_000).flat_map(|_| ["base", "stored"]).chain(["base"]).collect();
        let images = [image("top", &[], &over, &[]), image("base", &["f"], &[], &[])];
        let asked = Cell::new(0);
        let elsewhere = |_: &Dependency| {
            asked.set(asked.get() + 1);
            Ok(Some(image("stored", &["f/in", "g"], &[], &[]).tree))
        };
        let (limits, cancel) = (&Limits::default(), &Cancel::new());
        let assembly = Assembly { images: &images, elsewhere: &elsewhere, limits, cancel };
        let tree = assembly.assemble().expect("all are there");
        let paths: Vec<_> = tree.walk().map(|(path, _)| path.to_string()).collect();
        assert_eq!((asked.get(), paths), (1, ["/", "f", "g"].map(str::to_owned).to_vec()));
        cancel.set();
        let fault = assembly.assemble().expect_err("the user asked to stop");
        assert_eq!(fault.kind(), orlop_spec::Kind::Interrupted);
    }

    #[test]
    fn labels_and_ids_that_are_named_must_be_those() {
        let mut top = image("top", &[], &["base"], &[]);
        top.manifest.dependencies[0].labels = vec![Pair::new("version", "2")];
        assembled(&[top, image("base", &[], &[], &[])]).expect_err("another version");
        let mut top = image("top", &[], &["base"], &[]);
        top.manifest.dependencies[0].image_id = Some("sha512-00".into());
        assembled(&[top, image("base", &[], &[], &[])]).expect_err("another id");
    }
}
