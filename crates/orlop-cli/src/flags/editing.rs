//! What all verbs share that change an image.

use super::{Image, Locked, Places, Show, Work, name as name_of, platform, target, wrote};
use crate::foreseen;
use crate::shell::Shell;
use clap::Args;
use orlop::copy::{Copied, Platforms};
use orlop::edit::{self, Foreseen, Step, Subject, Taken};
use orlop::index::Place;
use orlop::spec::config::History;
use orlop::spec::port::{Name, Seen, Selector, Sink, Unnamed};
use orlop::spec::reference::{Reference, Transport};
use orlop::spec::time::Timestamp;
use orlop::spec::{Context, Descriptor, Event, Fault, Platform};
use orlop::transport;
use std::ffi::OsString;

/// The image that is changed, and where it goes. Verbs have it last: what is only theirs is told first.
#[derive(Args, Debug)]
#[command(next_help_heading = None::<&str>)]
pub struct Editing {
    /// The image, or an index of several
    #[arg(value_name = "REF", index = 1)]
    reference: OsString,
    /// Leave the image as it is, and put the changed one here
    #[arg(long, value_name = "REF")]
    to: Option<OsString>,
    /// Change the images for these platforms only, with commas between them [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = platform)]
    platform: Vec<Platform>,
    /// Tell what would change, be read and be moved, and write nothing
    #[arg(long, help_heading = "Running")]
    dry_run: bool,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    pub places: Places<Locked>,
    #[command(flatten)]
    work: Work,
}

/// The steps of an edit.
pub type Steps<'s> = Vec<Box<dyn Step + 's>>;

/// Applies steps to the image that is changed, and publishes the result.
pub type Apply<'x> = Box<dyn FnOnce(&[Box<dyn Step + '_>]) -> Result<Applied, Fault> + 'x>;

/// What became of an edit.
pub enum Applied {
    Done(Copied),
    /// It was a dry run.
    Foreseen(Foreseen),
}

impl Editing {
    /// Applies steps to the image, and prints what it is called then.
    pub fn run<'s>(
        &'s self,
        shell: &Shell,
        steps: impl FnOnce(&Context<'_>) -> Result<Steps<'s>, Fault>,
    ) -> Result<(), Fault> {
        self.run_on(shell, |cx, _, _, apply| apply(&steps(cx)?))
    }

    /// The same, for who looks at the image and its root before.
    pub fn run_on(
        &self,
        shell: &Shell,
        work: impl FnOnce(&Context<'_>, &Image<'_>, &Descriptor, Apply<'_>) -> Result<Applied, Fault>,
    ) -> Result<(), Fault> {
        let to = self.to.as_deref().map(target).transpose()?;
        let (target, line) = shell.work(&self.work, |cx| {
            let target = match &to {
                Some(to) => to.clone(),
                None => self.in_place(cx)?,
            };
            let image = self.places.open(&self.reference, cx)?;
            let root = root(&image)?;
            let sink = self.places.create_or_foresee(&target, self.dry_run, cx)?;
            let Publication { name, place, seen } = publication(&image, &root, to.as_ref(), &*sink)?;
            let platforms = match &*self.platform {
                [] => Platforms::All,
                listed => Platforms::Listed(listed.to_vec()),
            };
            let subject = Subject {
                from: image.catalog(),
                root: root.clone(),
                platforms,
                taken: Taken::All,
                place,
                seen,
            };
            let apply = |steps: &[Box<dyn Step + '_>]| {
                if self.dry_run {
                    return edit::foresee(cx, &subject, steps, &name, &*sink).map(Applied::Foreseen);
                }
                edit::edit(cx, &subject, steps, &name, sink).map(Applied::Done)
            };
            let edited = match work(cx, &image, &root, Box::new(apply))? {
                Applied::Done(edited) => edited,
                Applied::Foreseen(foreseen) => {
                    return Ok((target.clone(), foreseen::editing(&foreseen, self.show.format)));
                }
            };
            let after = &edited.roots[0];
            if after.digest == root.digest {
                cx.observer.event(Event::Warned("nothing changes: the digest is the same".into()));
            }
            Ok((target.clone(), wrote(self.show.format, "edited", (&target, &name), after)))
        })?;
        shell.published(&target, &line)
    }
}

impl Editing {
    /// Where the image is, as a place that is written.
    fn in_place(&self, cx: &Context<'_>) -> Result<Reference, Fault> {
        let reference = transport::spelled_out(&target(&self.reference)?, &self.places.outside(cx))?;
        match reference.transport {
            Transport::Rootfs(_) | Transport::Tar(_) | Transport::Aci(_) => Err(OF_FILES.into()),
            _ => Ok(reference),
        }
    }
}

const OF_FILES: orlop::Error = orlop::Error::Unfit {
    what: "what holds files and no image cannot be changed where it is",
    hint: "say where the image that is made of it goes with --to, to a place that holds images: --to oci:DIR:TAG",
};

/// The one root that is meant.
pub fn root(image: &Image<'_>) -> Result<Descriptor, Fault> {
    let [root] =
        <[Descriptor; 1]>::try_from(image.source().resolve(image.selector())?).map_err(|_| SEVERAL)?;
    Ok(root)
}

const SEVERAL: orlop::Error = orlop::Error::Unfit {
    what: "several images bear that tag",
    hint: "name one of them by its digest and say with --to where the changed one goes; `orlop ls` lists them",
};

/// Where what is changed goes.
pub struct Publication {
    pub name: Name,
    pub place: Place,
    /// What the name led to, where it is the one that was read.
    pub seen: Option<Seen>,
}

/// Where goes what is made of `root`, which was read.
pub fn publication(
    image: &Image<'_>,
    root: &Descriptor,
    to: Option<&Reference>,
    sink: &dyn Sink,
) -> Result<Publication, Fault> {
    if let Some(target) = to.filter(|target| *target != image.reference()) {
        let is_same = image.reference().transport == target.transport;
        let place = if is_same { Place::Same } else { Place::Other };
        let name = name_of(target)?;
        let name = if is_same { image.catalog().spelled(&name)? } else { name };
        return Ok(Publication { name, place, seen: None });
    }
    let name = match image.selector() {
        Selector::Only => image.catalog().name_of(&Selector::Only)?,
        _ => image.catalog().spelled(&name_of(image.reference()).map_err(|_| NO_TAG)?)?,
    };
    if name == Name::Untagged && sink.unnamed() != Unnamed::Nothing {
        return Err(NO_TAG.into());
    }
    let seen = Some(Seen::of(&name, [root]));
    Ok(Publication { name, place: Place::Same, seen })
}

const NO_TAG: orlop::Error = orlop::Error::Unfit {
    what: "what has no tag cannot be changed where it is: its digest is its name",
    hint: "say where the changed one goes with --to REF",
};

/// The step of an image's history that tells of a change.
#[derive(Args, Debug)]
#[command(next_help_heading = "History")]
#[expect(clippy::struct_field_names, reason = "they are named as their flags are")]
pub struct HistoryFlags {
    /// What is noted in the image's history
    #[arg(long, value_name = "TEXT")]
    history_comment: Option<Box<str>>,
    /// Which command is noted in the history
    #[arg(long, value_name = "TEXT")]
    history_created_by: Option<Box<str>>,
    /// Who is noted in the history
    #[arg(long, value_name = "NAME")]
    history_author: Option<Box<str>>,
    /// When: RFC 3339, or seconds since 1970 [default: --created, else $SOURCE_DATE_EPOCH, else nothing]
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    history_created: Option<Timestamp>,
}

impl HistoryFlags {
    /// The step, where anything was said of it.
    pub fn said(&self, created: Option<Timestamp>) -> Result<Option<History>, Fault> {
        let is_said = self.history_comment.is_some()
            || self.history_created_by.is_some()
            || self.history_author.is_some()
            || self.history_created.is_some();
        is_said.then(|| self.step("orlop config", created)).transpose()
    }

    /// The step; `command` made it where nobody says otherwise.
    pub fn step(&self, command: &str, created: Option<Timestamp>) -> Result<History, Fault> {
        let created = super::moment(self.history_created.or(created))?;
        Ok(History {
            created: created.map(|time| time.to_string().into()),
            created_by: Some(self.history_created_by.clone().unwrap_or_else(|| command.into())),
            author: self.history_author.clone(),
            comment: self.history_comment.clone(),
            ..History::default()
        })
    }
}
