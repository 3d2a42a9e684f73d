//! From an image's config to a manifest.
//!
//! ```text
//! Entrypoint + Cmd    app.exec                      Env          app.environment
//! User                app.user, group, further      WorkingDir   app.workingDirectory
//! Volumes             app.mountPoints               Labels       app.userLabels
//! ExposedPorts        app.ports                     os, …        labels os, arch
//! created, author     annotations                   the rest     annotation appc.io/oci/config
//! ```
//!
//! Invariant: the manifest depends on the config, its name and the image's accounts alone, and is valid. What it cannot
//! say is in the annotation, and is told.

use super::machine;
use super::manifest::{
    AUTHORS, App, CREATED, DOCUMENTATION, HOMEPAGE, ImageManifest, KIND, MountPoint, Pair, Port, VERSION,
};
use super::name::Grammar;
use super::validate::{is_site, is_variable};
use orlop_layer::path::escape;
use orlop_spec::config::{Config, Execution};
use orlop_spec::descriptor::Annotations;
use orlop_spec::edit::Ports;
use orlop_spec::json;
use orlop_spec::runtime::{Account, Rootfs};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// The annotation that carries the config, as it stands.
pub const CONFIG: &str = "appc.io/oci/config";
/// The annotation that carries the annotations of the image's manifest, as an object.
pub const ANNOTATIONS: &str = "appc.io/oci/annotations";
/// The annotation that carries the first part of the command, as a list; so called since docker2aci.
pub const ENTRYPOINT: &str = "appc.io/docker/entrypoint";
/// The annotation that carries its second part.
pub const CMD: &str = "appc.io/docker/cmd";
/// The annotation that names the image's manifest.
pub const MANIFEST: &str = "appc.io/docker/manifesthash";
/// The annotation that says how the image was called.
pub const ORIGINAL_NAME: &str = "appc.io/docker/originalname";

const LABEL_URL: &str = "org.opencontainers.image.url";
const LABEL_DOCUMENTATION: &str = "org.opencontainers.image.documentation";
const LABEL_AUTHORS: &str = "org.opencontainers.image.authors";

/// An image that is to be an App Container.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its config.
    pub config: &'a Config,
    /// The bytes of that.
    pub raw: &'a str,
    /// Annotations of its manifest.
    pub annotations: &'a Annotations,
    /// Digest of its manifest.
    pub digest: &'a str,
    /// Its accounts.
    pub rootfs: Rootfs<'a>,
}

/// How an App Container is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As the user or the image calls it.
    pub original: Box<str>,
    /// The identifier that is made of it.
    pub name: Box<str>,
    /// The label `version`.
    pub version: Option<Box<str>>,
}

impl Named {
    /// `NAME[:VERSION]`; a colon before a slash belongs to a port. Nothing where no identifier can be made of it.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = match text.rsplit_once(':') {
            Some((name, version)) if !version.contains('/') && !version.is_empty() => {
                (name, Some(version.into()))
            }
            _ => (text, None),
        };
        Some(Self { original: text.into(), name: Grammar::Identifier.make(name)?, version })
    }
}

/// What a manifest cannot say, so that only orlop finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsaid {
    /// For which machine the image is.
    Machine(Box<str>),
    /// A variable of the environment.
    Variable(Box<str>),
    /// A field of the config.
    Field(&'static str),
    /// The group of a user that the image does not know.
    Group(Box<str>),
    /// A folder that a command cannot start in.
    WorkingDir(Box<str>),
    /// Ports in no form that is known.
    Port(Box<str>),
}

impl fmt::Display for Unsaid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(machine) => write!(out, "no App Container is known to be for {}", quoted(machine)),
            Self::Variable(name) => write!(out, "no variable can be called \"{}\"", quoted(name)),
            Self::Field(field) => write!(out, "an App Container has no {field}"),
            Self::Group(user) => {
                write!(out, "the image has no account \"{}\": its group is taken to be 0", quoted(user))
            }
            Self::WorkingDir(folder) => write!(out, "\"{}\" is no absolute folder", quoted(folder)),
            Self::Port(port) => write!(out, "\"{}\" is no port, or has ports of others in it", quoted(port)),
        }
    }
}

fn quoted(text: &str) -> String {
    escape(text.as_bytes())
}

/// The manifest of an image without dependencies, and what it does not say.
pub fn manifest(subject: &Subject<'_>, named: &Named) -> (ImageManifest, Vec<Unsaid>) {
    let mut unsaid = Vec::new();
    let manifest = ImageManifest {
        kind: KIND.into(),
        version: VERSION.into(),
        name: named.name.clone(),
        labels: labels(subject.config, named, &mut unsaid),
        app: app(subject.config, &subject.rootfs, &mut unsaid),
        dependencies: Vec::new(),
        path_whitelist: Vec::new(),
        annotations: annotations(subject, named),
        extra: json::Extra::new(),
    };
    (manifest, unsaid)
}

fn labels(config: &Config, named: &Named, unsaid: &mut Vec<Unsaid>) -> Vec<Pair> {
    let version = named.version.iter().map(|version| Pair::new("version", version.clone()));
    let machine = machine::from_go(&config.os, &config.architecture, config.variant.as_deref());
    if machine.arch.is_none() {
        unsaid.push(Unsaid::Machine(format!("{}/{}", config.os, config.architecture).into()));
    }
    let os = machine.os.map(|os| Pair::new("os", os));
    version.chain(os).chain(machine.arch.map(|arch| Pair::new("arch", arch))).collect()
}

/// How the image runs; nothing where the config does not say it.
pub fn app(config: &Config, rootfs: &Rootfs<'_>, unsaid: &mut Vec<Unsaid>) -> Option<App> {
    let execution = config.config.as_ref()?;
    let (user, group, supplementary_gids) = owner(execution, rootfs, unsaid);
    let parts = [&execution.entrypoint, &execution.cmd];
    fields(execution, unsaid);
    Some(App {
        exec: parts.into_iter().flatten().flatten().cloned().collect(),
        user,
        group,
        supplementary_gids,
        working_directory: working_directory(execution, unsaid),
        environment: environment(execution, unsaid),
        mount_points: mount_points(execution),
        ports: ports(execution, unsaid),
        user_labels: execution.labels.clone().into_iter().collect(),
        ..App::default()
    })
}

/// What a config may say and an App Container cannot.
fn fields(execution: &Execution, unsaid: &mut Vec<Unsaid>) {
    let said = [
        (execution.stop_signal.is_some(), "StopSignal"),
        (execution.healthcheck.is_some(), "Healthcheck"),
        (execution.on_build.is_some(), "OnBuild"),
        (execution.extra.contains_key("Shell"), "Shell"),
    ];
    unsaid.extend(said.into_iter().filter(|(is_said, _)| *is_said).map(|(_, field)| Unsaid::Field(field)));
}

/// User, group and further groups. A group that is not named is the user's own, which only the image knows.
fn owner(
    execution: &Execution,
    rootfs: &Rootfs<'_>,
    unsaid: &mut Vec<Unsaid>,
) -> (Box<str>, Box<str>, Vec<i64>) {
    let text = execution.user.as_deref().unwrap_or_default();
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { "0" } else { user };
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        return (user.into(), group.into(), Vec::new());
    }
    let Ok(account) = Account::find(user, rootfs) else {
        unsaid.push(Unsaid::Group(user.into()));
        return (user.into(), "0".into(), Vec::new());
    };
    let groups = account.groups.iter().map(|group| i64::from(*group)).collect();
    (user.into(), account.group.to_string().into(), groups)
}

fn working_directory(execution: &Execution, unsaid: &mut Vec<Unsaid>) -> Option<Box<str>> {
    let folder = execution.working_dir.clone().filter(|folder| !folder.is_empty())?;
    if !folder.starts_with('/') {
        unsaid.push(Unsaid::WorkingDir(folder));
        return None;
    }
    Some(folder)
}

fn environment(execution: &Execution, unsaid: &mut Vec<Unsaid>) -> Vec<Pair> {
    let mut environment = Environment::default();
    for variable in &execution.env {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        if is_variable(name) {
            environment.set(name, value);
        } else {
            unsaid.push(Unsaid::Variable(name.into()));
        }
    }
    environment.pairs
}

/// Variables in the order of their first mention. A name that stands twice has its last value, as when the image is run.
#[derive(Default)]
pub(super) struct Environment<'a> {
    pub(super) pairs: Vec<Pair>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Environment<'a> {
    pub(super) fn set(&mut self, name: &'a str, value: &str) {
        let next = self.pairs.len();
        let place = *self.places.entry(name).or_insert(next);
        if place == next {
            self.pairs.push(Pair::new(name, ""));
        }
        self.pairs[place].value = value.into();
    }
}

fn mount_points(execution: &Execution) -> Vec<MountPoint> {
    let mut names = Names::default();
    let mut point = |path: &str| MountPoint {
        name: names.give(&format!("volume/{path}")),
        path: path.into(),
        read_only: false,
    };
    execution.volumes.keys().map(|path| point(path)).collect()
}

/// A port has one name: what is said of it again, alone or in a range, is not repeated.
fn ports(execution: &Execution, unsaid: &mut Vec<Unsaid>) -> Vec<Port> {
    let (mut names, mut ports) = (Names::default(), Vec::new());
    // The ranges of each protocol by their first port: they do not overlap.
    let mut said: HashMap<&str, BTreeMap<u64, u64>> = HashMap::new();
    for text in execution.exposed_ports.keys() {
        let Ok(parsed) = text.parse::<Ports>() else {
            unsaid.push(Unsaid::Port(text.clone()));
            continue;
        };
        let (first, last) = (u64::from(*parsed.range().start()), u64::from(*parsed.range().end()));
        let protocol = parsed.protocol();
        let ranges = said.entry(protocol).or_default();
        match ranges.range(..=last).next_back() {
            Some((from, to)) if *from <= first && last <= *to => {}
            Some((_, to)) if *to >= first => unsaid.push(Unsaid::Port(text.clone())),
            _ => {
                ranges.insert(first, last);
                ports.push(Port {
                    name: names.give(text),
                    protocol: protocol.into(),
                    port: first,
                    count: (last > first).then_some(last - first + 1),
                    socket_activated: false,
                });
            }
        }
    }
    ports
}

/// Names that were given already, and the number that comes next for each.
#[derive(Default)]
pub(super) struct Names(HashMap<Box<str>, u32>);

impl Names {
    /// A name for the text; with a number behind it where another text has it.
    pub(super) fn give(&mut self, text: &str) -> Box<str> {
        let name = Grammar::Name.make(text).unwrap_or_else(|| "unnamed".into());
        let mut given = name.clone();
        while self.0.contains_key(&given) {
            let next = self.0.entry(name.clone()).or_insert(1);
            *next += 1;
            given = format!("{name}-{next}").into();
        }
        self.0.insert(given.clone(), 1);
        given
    }
}

fn annotations(subject: &Subject<'_>, named: &Named) -> Vec<Pair> {
    let config = subject.config;
    let execution = config.config.as_ref();
    let label = |name: &str| execution.and_then(|it| it.labels.get(name)).map(|value| &**value);
    let list = |words: &Option<Vec<Box<str>>>| words.as_ref().map(|words| text(&json::print(words)));
    let created = config.created.as_deref().filter(|it| super::validate::is_time(it));
    let carried = (!subject.annotations.is_empty()).then(|| text(&json::print(subject.annotations)));
    let pairs = [
        (CREATED, created.map(Into::into)),
        (AUTHORS, config.author.as_deref().or_else(|| label(LABEL_AUTHORS)).map(Into::into)),
        (HOMEPAGE, label(LABEL_URL).filter(|it| is_site(it)).map(Into::into)),
        (DOCUMENTATION, label(LABEL_DOCUMENTATION).filter(|it| is_site(it)).map(Into::into)),
        (ORIGINAL_NAME, (named.name != named.original).then(|| named.original.clone())),
        (MANIFEST, Some(subject.digest.into())),
        (ENTRYPOINT, execution.and_then(|it| list(&it.entrypoint))),
        (CMD, execution.and_then(|it| list(&it.cmd))),
        (CONFIG, Some(subject.raw.into())),
        (ANNOTATIONS, carried),
    ];
    let said = pairs.into_iter().filter_map(|(name, value)| Some(Pair { name: name.into(), value: value? }));
    said.collect()
}

fn text(json: &[u8]) -> Box<str> {
    String::from_utf8_lossy(json).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_said_as_the_editing_of_configs_reads_it_and_once() {
        let exposed = r#"{"ExposedPorts":{"80":{},"80/TCP":{},"81-83/udp":{},"82/udp":{},"0":{},"70000":{},"9/icmp":{}}}"#;
        let execution: Execution = json::parse(exposed.as_bytes()).expect("a config");
        let mut unsaid = Vec::new();
        let said = ports(&execution, &mut unsaid);
        let said: Vec<_> = said.iter().map(|it| (&*it.protocol, it.port, it.count)).collect();
        assert_eq!(said, [("tcp", 80, None), ("udp", 81, Some(3))]);
        assert_eq!(unsaid, ["0", "70000", "9/icmp"].map(|port| Unsaid::Port(port.into())));
    }
}
