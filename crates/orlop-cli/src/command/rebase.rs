//! `orlop rebase REF`

use super::Outcome;
use crate::flags::{Editing, Image};
use crate::shell::Shell;
use clap::Args;
use orlop::base::{Told, told};
use orlop::edit::{BaseImage, Exchange, Rebase};
use orlop::spec::{AnyDigest, Context, Fault};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;

/// Put an image on another base, where the image is.
///
/// The image must begin with the layers of the old base; those are exchanged for the ones of the new base, with their steps
/// of the history. What the config and the annotations say as the old base says it comes from the new base; what they say
/// otherwise stays. No layer is fetched. Nobody can tell whether the upper layers still fit: try the result, and put it
/// beside the image with `--to` until then.
///
/// Without `--old-base` it is the one that the image tells of by the annotations org.opencontainers.image.base.name and
/// .digest; without `--new-base`, what has that name today.
#[derive(Args)]
#[command(after_help = "Examples:
  orlop rebase docker://registry.example.com/app:1 --to docker://registry.example.com/app:1-rebased
  orlop rebase oci:DIR:TAG --old-base debian:12.1 --new-base debian:12.2")]
pub struct Arguments {
    /// The image that it was made on
    #[arg(long, value_name = "REF")]
    old_base: Option<OsString>,
    /// The image that it is put on
    #[arg(long, value_name = "REF")]
    new_base: Option<OsString>,
    #[command(flatten)]
    editing: Editing,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    arguments.editing.run_on(shell, |cx, image, root, apply| {
        let words: Vec<(AnyDigest, [OsString; 2])> = told(cx, image.source(), root)?
            .into_iter()
            .filter_map(|told| {
                Some((told.image.clone(), [arguments.made_on(&told)?, arguments.put_on(&told)?]))
            })
            .collect();
        let bases = arguments.open(cx, words.iter().flat_map(|(_, words)| words))?;
        let exchange = |(image, [old, new]): &(AnyDigest, [OsString; 2])| {
            (image.clone(), Exchange { old: base(&bases[old]), new: base(&bases[new]) })
        };
        let exchanges: HashMap<_, _> = words.iter().map(exchange).collect();
        apply(&[Box::new(Rebase { exchanges })])
    })?;
    Ok(Outcome::Done)
}

impl Arguments {
    fn made_on(&self, told: &Told) -> Option<OsString> {
        let of_image = || Some(in_a_registry(&format!("{}@{}", told.name.as_ref()?, told.digest.as_ref()?)));
        self.old_base.clone().or_else(of_image)
    }

    fn put_on(&self, told: &Told) -> Option<OsString> {
        self.new_base.clone().or_else(|| Some(in_a_registry(told.name.as_ref()?)))
    }

    /// Opens each place once.
    fn open<'a>(
        &'a self,
        cx: &Context<'a>,
        words: impl Iterator<Item = &'a OsString>,
    ) -> Result<BTreeMap<OsString, Image<'a>>, Fault> {
        let mut bases = BTreeMap::new();
        for word in words {
            if !bases.contains_key(word) {
                bases.insert(word.clone(), self.editing.places.open(word, cx)?);
            }
        }
        Ok(bases)
    }
}

/// What an image says is no word of the user: it names a repository of a registry, and never a path.
fn in_a_registry(name: &str) -> OsString {
    format!("docker://{name}").into()
}

fn base<'a>(image: &'a Image<'_>) -> BaseImage<'a> {
    BaseImage { source: image.source(), selector: image.selector().clone(), name: image.name_for_all() }
}
