//! `umoci config --image DIR[:TAG]`

use super::edit::NewTag;
use super::history::{HistoryFlags, given, time};
use super::image::ImageFlag;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use orlop::edit::{Revision, Step};
use orlop::spec::config::{Config, Execution, History};
use orlop::spec::edit::Pair;
use orlop::spec::port::{Result, Sink};
use orlop::spec::{Context, Fault};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// changes the config and the annotations of an image
///
/// What --clear names is emptied first. Values of a list replace those that are there; variables, ports, volumes, labels
/// and annotations are added to them. An empty value takes a setting away.
#[derive(Args)]
#[command(override_usage = "umoci config --image DIR[:TAG] [--tag TAG] [options]")]
pub struct Arguments {
    #[command(flatten)]
    image: ImageFlag,
    #[command(flatten)]
    tag: NewTag,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    history: HistoryFlags,
}

/// What is changed.
#[derive(Args)]
struct Settings {
    /// user and group of the process
    #[arg(long = "config.user", value_name = "USER[:GROUP]")]
    user: Option<Box<str>>,
    /// a port to expose; repeatable
    #[arg(long = "config.exposedports", value_name = "PORT[/PROTOCOL]")]
    ports: Vec<Box<str>>,
    /// a variable of the environment; repeatable
    #[arg(long = "config.env", value_name = "NAME=VALUE")]
    env: Vec<Pair>,
    /// an element of the first part of the command; repeatable
    #[arg(long = "config.entrypoint", value_name = "ARG")]
    entrypoint: Vec<Box<str>>,
    /// an element of the second part of the command; repeatable
    #[arg(long = "config.cmd", value_name = "ARG")]
    cmd: Vec<Box<str>>,
    /// a folder that is to be a mount; repeatable
    #[arg(long = "config.volume", value_name = "DIR")]
    volumes: Vec<Box<str>>,
    /// a label; repeatable
    #[arg(long = "config.label", value_name = "KEY=VALUE")]
    labels: Vec<Pair>,
    /// where the process starts
    #[arg(long = "config.workingdir", value_name = "DIR")]
    working_dir: Option<Box<str>>,
    /// the signal that ends the process
    #[arg(long = "config.stopsignal", value_name = "SIGNAL")]
    stop_signal: Option<Box<str>>,
    /// when the image was made, as RFC 3339 writes it
    #[arg(long, value_name = "TIME", value_parser = time)]
    created: Option<Box<str>>,
    /// who made the image
    #[arg(long, value_name = "NAME")]
    author: Option<Box<str>>,
    /// the operating system
    #[arg(long = "platform.os", visible_alias = "os", value_name = "OS", value_parser = NonEmptyStringValueParser::new())]
    os: Option<String>,
    /// the processor, as Go calls it
    #[arg(long = "platform.arch", visible_alias = "architecture", value_name = "ARCH",
          value_parser = NonEmptyStringValueParser::new())]
    architecture: Option<String>,
    /// the variant of the processor
    #[arg(long = "platform.variant", value_name = "VARIANT")]
    variant: Option<Box<str>>,
    /// an annotation of the manifest; repeatable
    #[arg(long = "manifest.annotation", value_name = "KEY=VALUE")]
    annotations: Vec<Pair>,
    /// empties a setting before others are set; repeatable
    #[arg(long, value_name = "SETTING")]
    clear: Vec<Clear>,
}

/// What can be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Clear {
    #[value(name = "config.labels")]
    Labels,
    #[value(name = "manifest.annotations")]
    Annotations,
    #[value(name = "config.exposedports")]
    Ports,
    #[value(name = "config.env")]
    Env,
    #[value(name = "config.entrypoint")]
    Entrypoint,
    #[value(name = "config.cmd")]
    Cmd,
    #[value(name = "config.volume")]
    Volumes,
}

pub fn run(arguments: &Arguments, cx: &Context<'_>) -> Result<(), Fault> {
    let step = arguments.history.step("umoci config")?;
    let told = step.map(|step| Told { step, is_signed: arguments.history.names_author() });
    let change = Change { settings: &arguments.settings, told };
    arguments.tag.edit(&arguments.image.image, &[Box::new(change)], cx)
}

struct Change<'a> {
    settings: &'a Settings,
    told: Option<Told>,
}

/// A step of the history.
struct Told {
    step: History,
    /// Whether it says who did it; else it was who made the image.
    is_signed: bool,
}

impl Step for Change<'_> {
    fn apply<'r>(&'r self, _: &Context<'_>, revision: &mut Revision<'r>, _: &dyn Sink) -> Result<()> {
        let annotations = &mut revision.manifest_mut().annotations;
        if self.settings.clear.contains(&Clear::Annotations) {
            annotations.clear();
        }
        for Pair { key, value } in &self.settings.annotations {
            annotations.insert(key.clone(), value.clone());
        }
        self.settings.change(revision.config_mut());
        let Some(told) = &self.told else { return Ok(()) };
        let mut step = told.step.clone();
        if !told.is_signed {
            step.author.clone_from(&revision.config().author);
        }
        revision.note(step);
        Ok(())
    }
}

impl Settings {
    fn change(&self, config: &mut Config) {
        set(&mut config.created, self.created.as_deref());
        set(&mut config.author, self.author.as_deref());
        if let Some(os) = &self.os {
            config.os = os.as_str().into();
        }
        if let Some(architecture) = &self.architecture {
            if **architecture != *config.architecture {
                config.variant = None;
            }
            config.architecture = architecture.as_str().into();
        }
        set(&mut config.variant, self.variant.as_deref());
        let mut execution = config.config.clone().unwrap_or_default();
        self.clear.iter().for_each(|clear| clear.apply(&mut execution));
        self.execute(&mut execution);
        if config.config.is_some() || execution != Execution::default() {
            config.config = Some(execution);
        }
    }

    fn execute(&self, execution: &mut Execution) {
        set(&mut execution.user, self.user.as_deref());
        set(&mut execution.working_dir, self.working_dir.as_deref());
        set(&mut execution.stop_signal, self.stop_signal.as_deref());
        for (list, said) in [(&mut execution.entrypoint, &self.entrypoint), (&mut execution.cmd, &self.cmd)] {
            if !said.is_empty() {
                *list = Some(said.clone());
            }
        }
        self.env.iter().for_each(|pair| execution.set_env(pair));
        add(&mut execution.exposed_ports, &self.ports);
        add(&mut execution.volumes, &self.volumes);
        for Pair { key, value } in &self.labels {
            execution.labels.insert(key.clone(), value.clone());
        }
    }
}

impl Clear {
    fn apply(self, execution: &mut Execution) {
        match self {
            Self::Labels => execution.labels.clear(),
            Self::Ports => execution.exposed_ports.clear(),
            Self::Env => execution.env.clear(),
            Self::Entrypoint => execution.entrypoint = None,
            Self::Cmd => execution.cmd = None,
            Self::Volumes => execution.volumes.clear(),
            Self::Annotations => {}
        }
    }
}

/// Sets what was said; an empty value is none.
fn set(field: &mut Option<Box<str>>, said: Option<&str>) {
    if let Some(said) = said {
        *field = given(Some(said.into()));
    }
}

/// Ports and volumes are the names of empty objects.
fn add(members: &mut BTreeMap<Box<str>, Value>, names: &[Box<str>]) {
    for name in names.iter().filter(|name| !name.is_empty()) {
        members.entry(name.clone()).or_insert_with(|| json!({}));
    }
}
