//! An image that is changed on its way, in the same pass.

use super::blobs::target_name;
use super::{Arguments, NO_ACI, NO_COMMIT, copied, only_for_aci, refuse};
use crate::command::Outcome;
use crate::environment;
use crate::flags::{self, Held, Image, Steps};
use crate::foreseen;
use crate::shell::Shell;
use orlop::copy::Subset;
use orlop::edit::{self, Append, Convert, Extent, Flatten, Laying, Settings, Step, Strip, Subject, Taken};
use orlop::index::Place;
use orlop::layer::path::escape;
use orlop::referrers::Referrers;
use orlop::spec::port::{Name, Sink};
use orlop::spec::reference::Reference;
use orlop::spec::{Context, Fault};
use orlop::trees::Reading;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// What changes, but for new layers.
pub struct Edits {
    strip: Option<Strip>,
    flatten: Option<Flatten<'static>>,
    convert: Option<Convert>,
    settings: Option<Settings>,
}

impl Edits {
    /// What was said, where anything was. What cannot be is refused before anything is read.
    pub fn said(arguments: &Arguments) -> Result<Option<Self>, Fault> {
        let Arguments { copying, strip, settings, form, append, .. } = arguments;
        let settings = settings.said()?;
        let is_laid = arguments.flatten || !append.is_empty();
        if !strip.is_given() && !is_laid && !form.is_given() && settings.is_none() {
            return Ok(None);
        }
        let (codec, tmpdir) = (copying.codec()?, copying.places.spools());
        let history = arguments.settings.step("orlop copy --flatten")?;
        let flatten = Flatten { extent: Extent::All, codec, history, tmpdir: tmpdir.clone() };
        let convert =
            (codec.is_some() || form.is_given()).then(|| form.step(codec, tmpdir.clone())).transpose()?;
        Ok(Some(Self {
            strip: strip.step(codec, tmpdir)?,
            flatten: arguments.flatten.then_some(flatten),
            convert,
            settings,
        }))
    }

    /// In the order that edits have.
    fn steps<'a>(self, arguments: &'a Arguments, cx: &Context<'_>) -> Result<Steps<'a>, Fault> {
        let mut steps: Steps<'a> = Vec::new();
        steps.extend(self.strip.map(|strip| Box::new(strip) as Box<dyn Step>));
        steps.extend(self.flatten.map(|flatten| Box::new(flatten) as Box<dyn Step>));
        if !arguments.append.is_empty() {
            steps.push(Box::new(append(arguments, cx)?));
        }
        steps.extend(self.convert.map(|convert| Box::new(convert) as Box<dyn Step>));
        steps.extend(self.settings.map(|settings| Box::new(settings) as Box<dyn Step>));
        Ok(steps)
    }
}

fn append<'a>(arguments: &'a Arguments, cx: &Context<'_>) -> Result<Append<'a>, Fault> {
    let Arguments { copying, form, append, .. } = arguments;
    let tree = |text: &'a OsString| Ok((escape(text.as_bytes()), copying.places.open_tree(text, cx)?));
    let trees = append.iter().map(tree).collect::<Result<_, Fault>>()?;
    let reading = Reading { owner: copying.owners.owner()?, ..Reading::default() };
    let (codec, algorithm) = (copying.codec()?, form.algorithm().unwrap_or_default());
    let step = arguments.settings.step("orlop copy --append")?;
    let created = arguments.settings.created()?;
    Ok(Append::new(trees, Laying { reading, codec, algorithm, created, step, size_annotation: None }))
}

/// Copies one image, changed.
pub fn run(
    arguments: &Arguments,
    edits: Edits,
    (sources, target): (&[OsString], &OsStr),
    shell: &Shell,
) -> Result<Outcome, Fault> {
    let copying = arguments.copying.keeping(&arguments.keeping);
    let [source] = sources else { return Err(ONE.into()) };
    let flags = [
        (copying.all_tags, "--all-tags"),
        (copying.link, "--link"),
        (copying.referrers != Referrers::None, "--referrers"),
        (copying.owners.is_given() && arguments.append.is_empty(), "--owner"),
    ];
    refuse("one image is changed on its way", &flags)?;
    refuse("one image is changed on its way", &arguments.dividing.given())?;
    refuse(NO_COMMIT, &copying.commits.given())?;
    refuse(NO_ACI, &only_for_aci(copying))?;
    let target = flags::target(target)?;
    environment::await_input(arguments.append.iter())?;
    let lines = shell.work(&copying.work, |cx| {
        let Held::Image(image) = copying.places.open_any(source, cx)? else { return Err(FILES.into()) };
        let sink = copying.places.create_or_foresee(&target, copying.dry_run, cx)?;
        let (name, place) = publication(&image, &target, &*sink)?;
        let subject = Subject {
            from: image.catalog(),
            root: flags::root(&image)?,
            platforms: copying.platform.clone().unwrap_or_default(),
            taken: Taken::Part(if copying.prune { Subset::Prune } else { Subset::Sparse }),
            place,
            seen: None,
        };
        let steps = edits.steps(arguments, cx)?;
        if copying.dry_run {
            let foreseen = edit::foresee(cx, &subject, &steps, &name, &*sink)?;
            return Ok(foreseen::editing(&foreseen, copying.commits.format()));
        }
        let done = edit::edit(cx, &subject, &steps, &name, sink)?;
        Ok(copied(&target, &[(name.tag(), &done.roots[0])], copying.commits.format()))
    })?;
    if copying.dry_run {
        shell.print(lines)?;
    } else {
        shell.published(&target, &lines)?;
    }
    Ok(Outcome::Done)
}

fn publication(image: &Image<'_>, target: &Reference, to: &dyn Sink) -> Result<(Name, Place), Fault> {
    let name = target_name(image, to, target, 1)?;
    if image.reference().transport != target.transport {
        return Ok((name, Place::Other));
    }
    Ok((image.catalog().spelled(&name)?, Place::Same))
}

const ONE: orlop::Error = orlop::Error::Unfit {
    what: "one image is changed on its way, and several were named",
    hint: "copy them first, then change each: orlop config REF …, orlop convert REF …",
};

const FILES: orlop::Error = orlop::Error::Unfit {
    what: "that place holds files and no image whose config could change",
    hint: "make an image of it with the same flags: orlop build PLACE DST",
};
