//! From a manifest to an image's config, and to the manifest that the image once was.
//!
//! ```text
//! annotation appc.io/oci/config, where the manifest is still the one that was made of it ──► that config
//! app.exec                 Entrypoint, and Cmd where appc.io/docker/… say how it divides
//! the other fields         as `from_config` draws them, the other way
//! the manifest, whole, where it says more      annotation io.appc.image-manifest of the image's manifest
//! ```
//!
//! Invariant: a config that is carried counts only while the manifest says the same: whoever changed the manifest meant
//! the change.

use super::from_config::{self, ANNOTATIONS, CMD, CONFIG, ENTRYPOINT};
use super::machine;
use super::manifest::{AUTHORS, App, CREATED, DOCUMENTATION, HOMEPAGE, ImageManifest, Pair, Port};
use orlop_spec::config::{Config, Execution};
use orlop_spec::descriptor::Annotations;
use orlop_spec::json;
use orlop_spec::runtime::Rootfs;
use serde_json::{Map, Value};
use std::fmt;

/// The annotation of an image's manifest that carries the manifest of an App Container, as it stands.
pub const IMAGE_MANIFEST: &str = "io.appc.image-manifest";

/// The last port that there is.
const LAST_PORT: u64 = 65535;

/// What must be known of the files of an image.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// Its accounts.
    pub rootfs: Rootfs<'a>,
    /// Owner and group of the file at an absolute path.
    pub owner: &'a dyn Fn(&str) -> Option<(u32, u32)>,
}

/// Where a config came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is the one that was carried, to the last field.
    Carried,
    /// It is the one that was carried, in other bytes: it was not spelled as orlop spells it.
    Respelled,
    /// It is the one that was carried, over other layers.
    Relayered,
    /// It was carried, and the manifest was changed since: what that says counts.
    Changed,
    /// The manifest alone.
    Drawn,
}

/// What a manifest says and a config cannot. The manifest is carried in [`IMAGE_MANIFEST`], so orlop finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsaid(pub &'static str);

impl fmt::Display for Unsaid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(what) = self;
        write!(out, "the config of an image has no {what}: the annotation {IMAGE_MANIFEST} has it")?;
        if *what == ISOLATORS { out.write_str(", and bundles follow it") } else { Ok(()) }
    }
}

/// What only the configuration of a runtime can say (`into_runtime`).
const ISOLATORS: &str = "isolators";

/// Writes what the manifest says into a config that knows its layers and no more.
pub fn complete(manifest: &ImageManifest, files: &Files<'_>, config: &mut Config) -> Origin {
    let Some(carried) = carried(manifest) else {
        apply(manifest, files, config);
        return Origin::Drawn;
    };
    let layers = std::mem::replace(config, carried);
    let is_same = config.rootfs.diff_ids == layers.rootfs.diff_ids;
    if !agrees(manifest, files, config) {
        (config.rootfs, config.history) = (layers.rootfs, layers.history);
        apply(manifest, files, config);
        return Origin::Changed;
    }
    if is_same {
        let is_to_the_byte =
            manifest.annotation(CONFIG).is_some_and(|raw| raw.as_bytes() == json::print(config));
        return if is_to_the_byte { Origin::Carried } else { Origin::Respelled };
    }
    (config.rootfs, config.history) = (layers.rootfs, layers.history);
    Origin::Relayered
}

/// The config that is carried, where there is one that can be read.
fn carried(manifest: &ImageManifest) -> Option<Config> {
    json::parse(manifest.annotation(CONFIG)?.as_bytes()).ok()
}

/// Whether the manifest says of the way it runs and of the machine what was drawn of the config.
fn agrees(manifest: &ImageManifest, files: &Files<'_>, config: &Config) -> bool {
    let machine = machine::from_go(&config.os, &config.architecture, config.variant.as_deref());
    let drawn = from_config::app(config, &files.rootfs, &mut Vec::new());
    manifest.label("os") == machine.os && manifest.label("arch") == machine.arch && manifest.app == drawn
}

/// The annotations of an image's manifest that were carried.
pub fn annotations(manifest: &ImageManifest) -> Annotations {
    let carried = manifest.annotation(ANNOTATIONS).and_then(|it| json::parse(it.as_bytes()).ok());
    carried.unwrap_or_default()
}

/// Whether the manifest was made by orlop of a config that it carries: then that says everything.
fn carried_is_all(manifest: &ImageManifest) -> bool {
    manifest.annotation(CONFIG).is_some()
}

/// What the config of an image cannot say of it.
pub fn unsaid(manifest: &ImageManifest) -> Vec<Unsaid> {
    let Some(app) = &manifest.app else { return Vec::new() };
    let said = [
        (!app.isolators.is_empty(), ISOLATORS),
        (!app.event_handlers.is_empty(), "event handlers"),
        (!app.supplementary_gids.is_empty(), "further groups"),
        (app.mount_points.iter().any(|point| point.read_only), "volumes that cannot be written"),
        (app.ports.iter().any(|port| port.socket_activated), "sockets that somebody else opens"),
        (!app.user_annotations.is_empty(), "user annotations"),
        (app.ports.iter().any(|port| protocol(port).is_none()), "ports but of TCP, UDP and SCTP"),
    ];
    said.into_iter().filter(|(is_said, _)| *is_said).map(|(_, what)| Unsaid(what)).collect()
}

/// The manifest that an image was made of, where the image still says the same.
pub fn original(
    annotations: &Annotations,
    files: &Files<'_>,
    config: &Config,
) -> Option<(ImageManifest, Box<str>)> {
    let raw = annotations.get(IMAGE_MANIFEST)?;
    let manifest = ImageManifest::parse(raw.as_bytes()).ok()?;
    let mut drawn = Config {
        created: None,
        author: None,
        config: None,
        history: Vec::new(),
        os: config.os.clone(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        ..config.clone()
    };
    apply(&manifest, files, &mut drawn);
    let is_same = drawn.config == config.config
        && drawn.author == config.author
        && (drawn.os, drawn.architecture, drawn.variant)
            == (config.os.clone(), config.architecture.clone(), config.variant.clone());
    is_same.then(|| (manifest, raw.clone()))
}

fn apply(manifest: &ImageManifest, files: &Files<'_>, config: &mut Config) {
    let os = manifest.label("os").unwrap_or("linux");
    let said = machine::from_go(&config.os, &config.architecture, config.variant.as_deref());
    let is_said = (said.os, said.arch) == (Some(os), manifest.label("arch"));
    let arch = manifest.label("arch").filter(|_| !is_said);
    if let Some((architecture, variant)) = arch.and_then(|arch| machine::to_go(os, arch)) {
        (config.os, config.architecture, config.variant) =
            (os.into(), architecture.into(), variant.map(Into::into));
    }
    if let Some(created) = manifest.annotation(CREATED).filter(|it| super::validate::is_time(it)) {
        config.created = Some(created.into());
    }
    if let Some(author) = manifest.annotation(AUTHORS) {
        config.author = Some(author.into());
    }
    let mut execution = config.config.take().unwrap_or_default();
    if let Some(app) = &manifest.app {
        run(manifest, app, files, &mut execution);
    }
    let labels = [
        ("org.opencontainers.image.title", Some(&*manifest.name)),
        ("org.opencontainers.image.version", manifest.label("version")),
        ("org.opencontainers.image.url", manifest.annotation(HOMEPAGE)),
        ("org.opencontainers.image.documentation", manifest.annotation(DOCUMENTATION)),
    ];
    if !carried_is_all(manifest) {
        for (label, value) in labels {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            execution.labels.entry(label.into()).or_insert_with(|| value.into());
        }
    }
    config.config = (execution != Execution::default()).then_some(execution);
}

fn run(manifest: &ImageManifest, app: &App, files: &Files<'_>, execution: &mut Execution) {
    (execution.entrypoint, execution.cmd) = command(manifest, app);
    execution.user = user(app, files);
    execution.env =
        app.environment.iter().map(|Pair { name, value }| format!("{name}={value}").into()).collect();
    execution.working_dir = app.working_directory.clone().filter(|folder| !folder.is_empty());
    let empty = || Value::Object(Map::new());
    execution.volumes = app.mount_points.iter().map(|point| (point.path.clone(), empty())).collect();
    execution.labels = app.user_labels.clone().into_iter().collect();
    execution.exposed_ports = ports(&app.ports).map(|port| (port, empty())).collect();
}

/// A part of a command, each word for itself.
type Words = Option<Vec<Box<str>>>;

/// The whole command is the first part, unless it is said how it divides.
fn command(manifest: &ImageManifest, app: &App) -> (Words, Words) {
    let part = |name: &str| {
        manifest.annotation(name).and_then(|text| json::parse::<Vec<Box<str>>>(text.as_bytes()).ok())
    };
    let (entrypoint, cmd) = (part(ENTRYPOINT), part(CMD));
    let whole = [&entrypoint, &cmd].into_iter().flatten().flatten();
    if (entrypoint.is_some() || cmd.is_some()) && whole.eq(&app.exec) {
        return (entrypoint, cmd);
    }
    ((!app.exec.is_empty()).then(|| app.exec.clone()), None)
}

/// `user:group`; root and its group are what an image has that says nothing.
fn user(app: &App, files: &Files<'_>) -> Option<Box<str>> {
    let side = |text: &str, pick: fn((u32, u32)) -> u32| {
        let owner = text.starts_with('/').then(|| (files.owner)(text)).flatten();
        owner.map_or_else(|| text.to_owned(), |owner| pick(owner).to_string())
    };
    let (user, group) = (side(&app.user, |it| it.0), side(&app.group, |it| it.1));
    match (&*user, &*group) {
        ("" | "0", "" | "0") => None,
        (_, "") => Some(user.into()),
        _ => Some(format!("{user}:{group}").into()),
    }
}

/// The protocols of ports that images know.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// The protocol of a port, where images know it.
fn protocol(port: &Port) -> Option<&'static str> {
    let said = if port.protocol.is_empty() { "tcp" } else { &*port.protocol };
    PROTOCOLS.into_iter().find(|known| *known == said)
}

/// Each port for itself, and once, however many ranges it is in.
fn ports(ports: &[Port]) -> impl Iterator<Item = Box<str>> {
    let range = |port: &Port| {
        let last = port.port.saturating_add(port.count.unwrap_or(1).max(1) - 1);
        Some((protocol(port)?, port.port.max(1), last.min(LAST_PORT)))
    };
    let mut ranges: Vec<_> = ports.iter().filter_map(range).collect();
    ranges.sort_unstable();
    let mut said = ("", 0);
    ranges.into_iter().flat_map(move |(protocol, first, last)| {
        let until = if said.0 == protocol { said.1 } else { 0 };
        said = (protocol, last.max(until));
        (first.max(until + 1)..=last).map(move |number| format!("{number}/{protocol}").into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_said_once_however_many_ranges_it_is_in() {
        let port = |protocol: &str, port, count| Port {
            name: "a".into(),
            protocol: protocol.into(),
            port,
            count: Some(count),
            socket_activated: false,
        };
        let said = |list: &[Port]| ports(list).map(String::from).collect::<Vec<_>>();
        let all = ["1/tcp", "2/tcp", "3/tcp", "4/tcp", "2/udp"];
        assert_eq!(said(&[port("tcp", 2, 3), port("", 1, 2), port("udp", 2, 1)]), all);
        let many: Vec<_> = (0..10_000).map(|_| port("tcp", 1, u64::MAX)).collect();
        assert_eq!(said(&many).len(), 65535);
        assert_eq!(said(&[port("other", 1, 1), port("tcp", 70_000, 1)]), [""; 0]);
    }
}
