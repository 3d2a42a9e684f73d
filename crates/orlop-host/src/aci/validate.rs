//! The laws of App Container Images (appc specification 0.8.11), as findings.
//!
//! ```text
//! manifest ──fields──► findings       what actool refuses is an error here too
//! rootfs   ──names───► findings       what the manifest names must be there, unless a dependency may have it
//! ```
//!
//! Invariant: one broken field hides no other; a finding names its place.

use super::manifest::{App, CREATED, DOCUMENTATION, Dependency, HOMEPAGE, ImageManifest, KIND, Pair, Port};
use super::name::Grammar;
use super::{isolator, machine};
use orlop_layer::TreePath;
use orlop_layer::path::escape;
use orlop_layer::tree::Tree;
use orlop_spec::time::Timestamp;
use orlop_spec::validate::Severity;
use std::collections::HashSet;

/// A law that an image breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the rule; scripts match it.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where: a JSON pointer into the manifest, or a path of the image, escaped.
    pub place: String,
    /// What is wrong, escaped.
    pub what: String,
}

/// Findings so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, rule: &'static str, place: &str, what: impl Into<String>) {
        self.0.push(Finding { rule, severity: Severity::Error, place: place.into(), what: what.into() });
    }

    fn warning(&mut self, rule: &'static str, place: &str, what: impl Into<String>) {
        self.0.push(Finding { rule, severity: Severity::Warning, place: place.into(), what: what.into() });
    }

    fn name(&mut self, grammar: Grammar, place: &str, name: &str) {
        if grammar.takes(name) {
            return;
        }
        let what = format!("\"{}\" is not {} ({})", quoted(name), grammar.noun(), grammar.alphabet());
        if grammar.takes_loosely(name) {
            self.warning("name-joints", place, format!("{what}, though the tools take it"));
        } else {
            self.error("name", place, what);
        }
    }

    /// Names that may stand once only.
    fn once<'a>(&mut self, rule: &'static str, place: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for (at, name) in names.enumerate() {
            if !seen.insert(name) {
                self.error(rule, &format!("{place}/{at}"), format!("\"{}\" stands twice", quoted(name)));
            }
        }
    }
}

/// Text of a document, fit for a terminal.
fn quoted(text: &str) -> String {
    escape(text.as_bytes())
}

/// What is wrong with a manifest.
pub fn manifest(manifest: &ImageManifest) -> Vec<Finding> {
    let mut found = Findings::default();
    if &*manifest.kind != KIND {
        found.error("kind", "/acKind", format!("it must be {KIND}"));
    }
    if !is_version(&manifest.version) {
        found.error("version", "/acVersion", "it must be a semantic version such as 0.8.11, and not 0.0.0");
    }
    found.name(Grammar::Identifier, "/name", &manifest.name);
    labels(&mut found, "/labels", &manifest.labels);
    if let Some(app) = &manifest.app {
        self::app(&mut found, app);
    }
    for (at, dependency) in manifest.dependencies.iter().enumerate() {
        self::dependency(&mut found, &format!("/dependencies/{at}"), dependency);
    }
    for (at, path) in manifest.path_whitelist.iter().enumerate() {
        if !is_absolute(path) {
            let place = format!("/pathWhitelist/{at}");
            found.warning("whitelist-path", &place, "a path here begins with / and has no . or .. in it");
        }
    }
    annotations(&mut found, &manifest.annotations);
    found.0
}

/// `1.2.3`, `1.2.3-rc.1+build`; not zero.
fn is_version(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, ""), |(text, build)| (text, build));
    let (numbers, release) = text.split_once('-').map_or((text, ""), |(numbers, release)| (numbers, release));
    let is_tail = |tail: &str| tail.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let parts: Vec<_> = numbers.split('.').collect();
    let is_number =
        |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit()) && part.parse::<i64>().is_ok();
    let is_zero = parts.iter().all(|part| part.parse() == Ok(0)) && release.is_empty() && build.is_empty();
    parts.len() == 3 && parts.iter().all(is_number) && is_tail(build) && is_tail(release) && !is_zero
}

fn labels(found: &mut Findings, place: &str, labels: &[Pair]) {
    for (at, label) in labels.iter().enumerate() {
        let place = format!("{place}/{at}/name");
        found.name(Grammar::Identifier, &place, &label.name);
        if &*label.name == "name" {
            found.error("label-name", &place, "`name` is no label: it is a field of the manifest");
        }
    }
    found.once("label-twice", place, labels.iter().map(|label| &*label.name));
    let value = |name: &str| labels.iter().find(|label| &*label.name == name).map(|label| &*label.value);
    let Some(os) = value("os") else { return };
    if !machine::SYSTEMS.contains(&os) {
        let known = machine::SYSTEMS.join(", ");
        found.error("os", place, format!("the tools know {known}, and not \"{}\"", quoted(os)));
    } else if let Some(arch) = value("arch").filter(|arch| machine::to_go(os, arch).is_none()) {
        let known: Vec<_> = machine::labels(os).collect();
        let what = format!("for {os} the tools know {}, and not \"{}\"", known.join(", "), quoted(arch));
        found.error("arch", place, what);
    }
}

fn app(found: &mut Findings, app: &App) {
    for (what, place) in [(&app.user, "/app/user"), (&app.group, "/app/group")] {
        if what.is_empty() {
            found.error("owner-missing", place, "it must be said: a name, a number, or the path of a file");
        }
    }
    if app.supplementary_gids.iter().any(|gid| u32::try_from(*gid).is_err()) {
        found.warning("group-range", "/app/supplementaryGIDs", "no system has a group of that number");
    }
    if app.working_directory.as_deref().is_some_and(|path| !path.is_empty() && !path.starts_with('/')) {
        found.error("working-directory", "/app/workingDirectory", "it must begin with /");
    }
    for (at, handler) in app.event_handlers.iter().enumerate() {
        if !["pre-start", "post-stop"].contains(&&*handler.name) {
            let place = format!("/app/eventHandlers/{at}/name");
            found.error("event", &place, "it must be pre-start or post-stop");
        }
    }
    let names = app.event_handlers.iter().map(|handler| &*handler.name);
    found.once("event-twice", "/app/eventHandlers", names);
    environment(found, &app.environment);
    isolators(found, app);
    for (at, point) in app.mount_points.iter().enumerate() {
        let place = format!("/app/mountPoints/{at}");
        found.name(Grammar::Name, &format!("{place}/name"), &point.name);
        if !is_absolute(&point.path) {
            let what = "it must begin with /, and have no . or .. in it";
            found.warning("mount-path", &format!("{place}/path"), what);
        }
    }
    found.once("mount-twice", "/app/mountPoints", app.mount_points.iter().map(|point| &*point.name));
    ports(found, &app.ports);
}

fn environment(found: &mut Findings, environment: &[Pair]) {
    for (at, variable) in environment.iter().enumerate() {
        if !is_variable(&variable.name) {
            let place = format!("/app/environment/{at}/name");
            let what = format!(
                "\"{}\" is no name of a variable (A-Z a-z 0-9 _ . -, no digit first)",
                quoted(&variable.name)
            );
            found.error("variable", &place, what);
        }
    }
    found.once("variable-twice", "/app/environment", environment.iter().map(|it| &*it.name));
}

/// Whether a variable of the environment can be called that.
pub fn is_variable(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn isolators(found: &mut Findings, app: &App) {
    let place = "/app/isolators";
    for (at, isolator) in app.isolators.iter().enumerate() {
        if let Some(what) = isolator::wrong(&isolator.name, &isolator.value) {
            let what = format!("\"{}\": {what}", quoted(&isolator.name));
            found.error("isolator", &format!("{place}/{at}"), what);
        }
    }
    let has = |name: &str| app.isolators.iter().any(|isolator| &*isolator.name == name);
    for kind in ["seccomp", "capabilities"] {
        let both = ["retain-set", "remove-set"].map(|set| has(&format!("os/linux/{kind}-{set}")));
        if both == [true, true] {
            let what = format!("{kind} are both retained and removed: one of the two must say it");
            found.error("isolators-clash", place, what);
        }
    }
    let mut seen = HashSet::new();
    for (at, isolator) in app.isolators.iter().enumerate() {
        if !seen.insert(&*isolator.name) {
            let what = format!("\"{}\" stands twice: which one counts is not said", quoted(&isolator.name));
            found.warning("isolator-twice", &format!("{place}/{at}"), what);
        }
    }
}

fn ports(found: &mut Findings, ports: &[Port]) {
    for (at, port) in ports.iter().enumerate() {
        let place = format!("/app/ports/{at}");
        found.name(Grammar::Name, &format!("{place}/name"), &port.name);
        if !["tcp", "udp"].contains(&&*port.protocol) {
            let what = "it is neither tcp nor udp, and may be unknown to who runs the image";
            found.warning("port-protocol", &format!("{place}/protocol"), what);
        }
        let last = port.port.checked_add(port.count.unwrap_or(1).max(1) - 1);
        if port.port == 0 || last.is_none_or(|last| last > 65535) {
            found.error("port-range", &place, "ports are numbers from 1 to 65535");
        }
    }
    found.once("port-twice", "/app/ports", ports.iter().map(|port| &*port.name));
    found.0.extend(overlaps(ports));
}

/// Two names for one port: who of the two is reached by it is not said.
fn overlaps(ports: &[Port]) -> Vec<Finding> {
    let last = |port: &Port| port.port.saturating_add(port.count.unwrap_or(1).max(1) - 1);
    let mut order: Vec<(usize, &Port)> = ports.iter().enumerate().collect();
    order.sort_by_key(|(at, port)| (&*port.protocol, port.port, *at));
    let mut found = Vec::new();
    let mut before: Option<(&str, u64)> = None;
    for (at, port) in order {
        let until = before.filter(|(protocol, _)| *protocol == &*port.protocol).map(|(_, until)| until);
        if until.is_some_and(|until| port.port <= until) {
            let what = format!("port {}/{} has two names", port.port, quoted(&port.protocol));
            let place = format!("/app/ports/{at}");
            found.push(Finding { rule: "port-overlap", severity: Severity::Error, place, what });
        }
        before = Some((&port.protocol, last(port).max(until.unwrap_or(0))));
    }
    found
}

fn dependency(found: &mut Findings, place: &str, dependency: &Dependency) {
    found.name(Grammar::Identifier, &format!("{place}/imageName"), &dependency.image_name);
    labels(found, &format!("{place}/labels"), &dependency.labels);
    let Some(id) = &dependency.image_id else { return };
    let digits = id.strip_prefix("sha512-").filter(|it| it.len() == 128);
    if digits.is_none_or(|it| !it.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))) {
        found.error("image-id", &format!("{place}/imageID"), "it must be sha512- and 128 digits of 0-9, a-f");
    }
}

fn annotations(found: &mut Findings, annotations: &[Pair]) {
    for (at, annotation) in annotations.iter().enumerate() {
        let place = format!("/annotations/{at}");
        found.name(Grammar::Identifier, &format!("{place}/name"), &annotation.name);
        let value = &*annotation.value;
        let place = format!("{place}/value");
        match &*annotation.name {
            CREATED if !is_time(value) => {
                found.error("created", &place, "it must be a time such as 2015-10-14T05:07:30Z (RFC 3339)");
            }
            HOMEPAGE | DOCUMENTATION if !is_site(value) => {
                found.error("site", &place, "it must be an address that begins with http:// or https://");
            }
            _ => {}
        }
    }
    found.once("annotation-twice", "/annotations", annotations.iter().map(|it| &*it.name));
}

/// Whether the text is a time that every tool can read.
pub fn is_time(text: &str) -> bool {
    let is_plain =
        text.bytes().all(|byte| !byte.is_ascii_lowercase()) && text.as_bytes().get(10) == Some(&b'T');
    let is_leap = text.get(17..19) == Some("60");
    is_plain && !is_leap && text.parse::<Timestamp>().is_ok()
}

/// Whether the text is an address of the web that every tool can read.
pub fn is_site(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let is_host =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let escapes = path.split('%').skip(1);
    let is_escaped =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        && is_host
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && escapes.into_iter().all(is_escaped)
}

fn is_absolute(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| part != "." && part != ".."))
}

/// What is wrong between the manifest and the root filesystem. Where there are dependencies, what lacks may be theirs.
pub fn rootfs(manifest: &ImageManifest, tree: &Tree) -> Vec<Finding> {
    let mut found = Findings::default();
    if !manifest.dependencies.is_empty() {
        return found.0;
    }
    if tree.is_empty() {
        found.error("rootfs-empty", "rootfs", "there is no file in it, and there are no dependencies");
        return found.0;
    }
    if let Some(app) = &manifest.app {
        commands(&mut found, app, tree);
        for (path, place) in [(&app.user, "/app/user"), (&app.group, "/app/group")] {
            if path.starts_with('/') && !is_there(tree, path) {
                found.error("owner-dangling", place, format!("there is no {}", quoted(path)));
            }
        }
    }
    for (at, path) in manifest.path_whitelist.iter().enumerate() {
        if !is_there(tree, path) {
            let place = format!("/pathWhitelist/{at}");
            found.error("whitelist-dangling", &place, format!("there is no {}", quoted(path)));
        }
    }
    found.0
}

/// What is run must be there, unless it is mounted.
fn commands(found: &mut Findings, app: &App, tree: &Tree) {
    let handlers = app.event_handlers.iter().enumerate();
    let handlers = handlers.map(|(at, it)| (format!("/app/eventHandlers/{at}/exec/0"), it.exec.first()));
    let commands = [("/app/exec/0".to_owned(), app.exec.first())].into_iter().chain(handlers);
    for (place, command) in commands {
        let Some(path) = command.filter(|path| path.starts_with('/')) else { continue };
        let is_mounted = app.mount_points.iter().any(|point| {
            let inner = path.strip_prefix(point.path.trim_end_matches('/'));
            inner.is_some_and(|inner| inner.starts_with('/'))
        });
        if !is_mounted && !is_there(tree, path) {
            found.error("exec-dangling", &place, format!("there is no {}", quoted(path)));
        }
    }
}

/// Whether something is at the path, links followed.
fn is_there(tree: &Tree, path: &str) -> bool {
    TreePath::parse(path.as_bytes()).is_ok_and(|path| matches!(tree.resolve(path.as_bytes()), Ok(Some(_))))
}
