//! `copy`: moves images between holders of blobs; no byte changes.
//!
//! ```text
//! roots ──walk──► blobs (largest first, in parallel) ──put──► documents (children first) ──► finish
//! ```

use crate::image::{is_nested, nested, no_platform};
use crate::publish::publish;
use crate::referrers::{self, Referrers};
use orlop_spec::graph::{self, Node};
use orlop_spec::index::Index;
use orlop_spec::media_type::{Distribution, MediaType, OCI_INDEX, Role};
use orlop_spec::platform::{self, Platform};
use orlop_spec::port::{Catalog, Depth, Hints, Name, Origin, Put, Result, Sink, Source, Take, Transfer};
use orlop_spec::{Algorithm, AnyDigest, Context, Course, Descriptor, Diagnose as _, Document, Event, Fault};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What of an image is copied, and how.
#[derive(Clone, Debug, Default)]
pub struct Copy {
    /// Which platforms of an index.
    pub platforms: Platforms,
    /// What becomes of an index of which a part is copied.
    pub subset: Subset,
    /// How blobs are taken.
    pub transfer: Transfer,
    /// How far a target looks before it says that it has an image already.
    pub depth: Depth,
    /// What goes along that speaks of the image.
    pub referrers: Referrers,
}

/// Which platforms of an index are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Platforms {
    /// All of them.
    #[default]
    All,
    /// Those that are listed; each must be there.
    Listed(Vec<Platform>),
}

/// What becomes of an index of which a part is copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subset {
    /// It keeps its bytes and digest; some of what it names is not there.
    #[default]
    Sparse,
    /// A smaller index is written, with another digest.
    Prune,
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The roots at the target, in the order of the roots given.
    pub roots: Vec<Descriptor>,
    /// Blobs and bytes by what the target did with them.
    pub account: Account,
}

/// Blobs and bytes by what a target did with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Moved.
    pub copied: Tally,
    /// Linked or reflinked.
    pub linked: Tally,
    /// There already.
    pub held: Tally,
    /// Mounted from another repository.
    pub mounted: Tally,
}

/// Blobs and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub blobs: u64,
    /// Their sizes, added up.
    pub bytes: u64,
}

impl Account {
    fn of_held(roots: &[Descriptor]) -> Self {
        let mut account = Self::default();
        for root in roots {
            account.add(root, Put::Held);
        }
        account
    }

    /// Adds what another part of the work came to.
    pub(crate) fn join(&mut self, other: &Self) {
        let pairs = [
            (&mut self.copied, other.copied),
            (&mut self.linked, other.linked),
            (&mut self.held, other.held),
            (&mut self.mounted, other.mounted),
        ];
        for (tally, more) in pairs {
            tally.blobs += more.blobs;
            tally.bytes += more.bytes;
        }
    }

    /// Adds what a target would do with a blob.
    pub(crate) fn foresee(&mut self, to: &dyn Sink, blob: &Descriptor) -> Result<()> {
        self.add(blob, to.foresee(blob)?);
        Ok(())
    }

    fn add(&mut self, blob: &Descriptor, put: Put) {
        let tally = match put {
            Put::Copied => &mut self.copied,
            Put::Linked => &mut self.linked,
            Put::Held => &mut self.held,
            Put::Mounted => &mut self.mounted,
        };
        tally.blobs += 1;
        tally.bytes += blob.size;
    }
}

/// Copies `roots` from `from` into `to`, and publishes each under its name.
pub fn copy(
    cx: &Context<'_>,
    from: &dyn Catalog,
    roots: &[(Name, Descriptor)],
    to: Box<dyn Sink + '_>,
    how: &Copy,
) -> Result<Copied> {
    let Plan { mut roots, further, nodes, held } = Plan::new(cx, from, roots, &*to, how)?;
    refuse_what_is_gone(from, &nodes, &*to)?;
    for root in &held {
        cx.observer.event(Event::Reused { blob: Box::new(root.clone()), put: Put::Held });
    }
    let account = put_all(cx, from, &nodes, &*to, how.transfer, Account::of_held(&held))?;
    let copied = Copied { roots: roots.iter().map(|(_, root)| root.clone()).collect(), account };
    roots.extend(further);
    publish(cx, to, &roots, &[])?;
    Ok(copied)
}

/// What [`copy`] would do, as far as the target can tell without a byte being moved.
pub fn foresee(
    cx: &Context<'_>,
    from: &dyn Catalog,
    roots: &[(Name, Descriptor)],
    to: &dyn Sink,
    how: &Copy,
) -> Result<Account> {
    let plan = Plan::new(cx, from, roots, to, how)?;
    refuse_what_is_gone(from, &plan.nodes, to)?;
    let account = Mutex::new(Account::of_held(&plan.held));
    in_parallel(lanes(cx, from, to), &plan.nodes, |node| {
        cx.cancel.check()?;
        let blob = node.descriptor();
        let put = to.foresee(blob)?;
        account.lock().expect("no holder panics").add(blob, put);
        Ok(())
    })?;
    Ok(account.into_inner().expect("no holder panics"))
}

/// An error before anything moves, where the source cannot hand out what the target lacks.
fn refuse_what_is_gone(from: &dyn Source, nodes: &[Node], to: &dyn Sink) -> Result<()> {
    for blob in nodes.iter().filter(|node| matches!(node, Node::Blob(_))).map(Node::descriptor) {
        if let Err(fault) = from.gives(blob)
            && to.foresee(blob)? != Put::Held
        {
            return Err(fault);
        }
    }
    Ok(())
}

/// Everything that a copy takes, each blob once, children before parents.
struct Plan {
    /// The roots that were asked for, as they will be at the target.
    roots: Vec<(Name, Descriptor)>,
    /// Those that go with them.
    further: Vec<(Name, Descriptor)>,
    nodes: Vec<Node>,
    /// Roots that the target has already, whole, under their names: nothing of them is read.
    held: Vec<Descriptor>,
}

impl Plan {
    fn new(
        cx: &Context<'_>,
        from: &dyn Catalog,
        asked: &[(Name, Descriptor)],
        to: &dyn Sink,
        how: &Copy,
    ) -> Result<Self> {
        let mut plan = Self { roots: Vec::new(), further: Vec::new(), nodes: Vec::new(), held: Vec::new() };
        let mut once = Once { seen: HashSet::new(), held: graph::Held::new(cx.limits) };
        let is_plain = how.platforms == Platforms::All && how.referrers == Referrers::None;
        for (name, root) in asked {
            if is_plain && to.has(name, root, how.depth)? {
                plan.held.push(root.clone());
                plan.roots.push((name.clone(), root.clone()));
                continue;
            }
            let (root, nodes) = plan_one(cx, from, root, how)?;
            plan.roots.push((name.clone(), root));
            once.add(nodes, &mut plan.nodes)?;
        }
        plan.further = referrers::of(cx, from, &plan.nodes, &how.referrers)?;
        for (_, root) in &plan.further {
            once.add(graph::walk(cx, from, root, &graph::all)?, &mut plan.nodes)?;
        }
        Ok(plan)
    }
}

/// Of several walks, each blob once, and no more documents than may be held.
struct Once {
    /// Digests, and whether as a blob.
    seen: HashSet<(AnyDigest, bool)>,
    held: graph::Held,
}

impl Once {
    fn add(&mut self, nodes: Vec<Node>, to: &mut Vec<Node>) -> Result<()> {
        for node in nodes {
            let (blob, is_blob) = (node.descriptor(), matches!(node, Node::Blob(_)));
            if !self.seen.insert((blob.digest.clone(), is_blob)) {
                continue;
            }
            if !is_blob {
                self.held.add(blob)?;
            }
            to.push(node);
        }
        Ok(())
    }
}

/// The root as it will be at the target, and everything that it reaches, children first.
pub(crate) fn plan_one(
    cx: &Context<'_>,
    from: &dyn Source,
    root: &Descriptor,
    how: &Copy,
) -> Result<(Descriptor, Vec<Node>)> {
    let Platforms::Listed(wanted) = &how.platforms else {
        return Ok((root.clone(), graph::walk(cx, from, root, &graph::all)?));
    };
    let seen = RefCell::new((Vec::new(), Vec::new()));
    let choose = |index: &Document<Index>| {
        let (found, there) = &mut *seen.borrow_mut();
        there.extend(index.manifests.iter().cloned());
        Ok(chosen(index, wanted, found))
    };
    let mut nodes = graph::walk(cx, from, root, &choose)?;
    let (found, there) = seen.into_inner();
    if let Some(missing) = wanted.iter().find(|wanted| !there.is_empty() && !found.contains(wanted)) {
        return Err(no_platform(missing, &there).into());
    }
    let root = match how.subset {
        Subset::Sparse => root.clone(),
        Subset::Prune => prune(root, wanted, &mut nodes),
    };
    Ok((root, nodes))
}

/// The children of an index for the platforms that are wanted, in the order of the index, and nested indexes.
pub(crate) fn chosen<'w>(
    index: &Index,
    wanted: &'w [Platform],
    found: &mut Vec<&'w Platform>,
) -> Vec<Descriptor> {
    let mut chosen: Vec<&Descriptor> = nested(index).collect();
    for platform in wanted {
        if let Ok(child) = platform::select(&index.manifests, platform)
            && !is_nested(child)
        {
            found.push(platform);
            chosen.push(child);
        }
    }
    index.manifests.iter().filter(|child| chosen.contains(child)).cloned().collect()
}

/// Whether a place that has `root` under its name has what a copy takes of it too: of an index that is copied in part,
/// other parts may have been meant before.
pub(crate) fn has_part(
    cx: &Context<'_>,
    from: &dyn Source,
    to: &dyn Sink,
    root: &Descriptor,
    platforms: &Platforms,
) -> Result<bool> {
    let Platforms::Listed(wanted) = platforms else { return Ok(true) };
    has_chosen(cx, from, to, root, wanted, 0)
}

fn has_chosen(
    cx: &Context<'_>,
    from: &dyn Source,
    to: &dyn Sink,
    root: &Descriptor,
    wanted: &[Platform],
    depth: u32,
) -> Result<bool> {
    if root.media_type.role() != Role::Index {
        return Ok(true);
    }
    let limit = cx.limits.index_depth;
    if depth >= limit {
        return Err(Fault::new(graph::TooDeep { limit }));
    }
    let index: Document<Index> = graph::read(cx.limits, from, root)?;
    for child in chosen(&index, wanted, &mut Vec::new()) {
        cx.cancel.check()?;
        if to.foresee(&child)? != Put::Held || !has_chosen(cx, from, to, &child, wanted, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Replaces the indexes of a walk by smaller ones that name only what was walked.
fn prune(root: &Descriptor, wanted: &[Platform], nodes: &mut [Node]) -> Descriptor {
    let mut current = root.clone();
    let mut replaced: Vec<(Descriptor, Descriptor)> = Vec::new();
    for node in nodes {
        let Node::Index(index) = node else { continue };
        let before = index.descriptor().clone();
        let mut manifests = chosen(index, wanted, &mut Vec::new());
        for child in &mut manifests {
            if let Some((_, new)) = replaced.iter().find(|(old, _)| old.digest == child.digest) {
                rename(child, new);
            }
        }
        if manifests == index.manifests {
            continue;
        }
        let algorithm = before.digest.known().map_or(Algorithm::Sha256, orlop_spec::Digest::algorithm);
        let media_type = index.media_type.clone().unwrap_or_else(|| MediaType::new(OCI_INDEX));
        let value = Index { manifests, ..(**index).clone().into_value() };
        let smaller = Document::print(value, media_type, algorithm);
        if before.digest == current.digest {
            rename(&mut current, smaller.descriptor());
        }
        replaced.push((before, smaller.descriptor().clone()));
        *node = Node::Index(Box::new(smaller));
    }
    current
}

/// Lets a descriptor name other bytes: what it said of the old ones goes.
fn rename(descriptor: &mut Descriptor, new: &Descriptor) {
    descriptor.digest = new.digest.clone();
    descriptor.size = new.size;
    descriptor.data = None;
    descriptor.urls = Vec::new();
}

/// Puts the nodes of a walk into a sink: blobs first, largest first and in parallel; then documents in order.
pub(crate) fn put_all(
    cx: &Context<'_>,
    from: &dyn Source,
    nodes: &[Node],
    to: &dyn Sink,
    transfer: Transfer,
    account: Account,
) -> Result<Account> {
    cx.observer.event(planned("copy", nodes.iter().map(Node::descriptor)));
    let hints = Hints { transfer, ..Hints::default() };
    let account = Mutex::new(account);
    let put = |blob: &Descriptor, origin: &dyn Origin| -> Result<()> {
        let put = put_one(cx, to, blob, origin, &hints)?;
        account.lock().expect("no holder panics").add(blob, put);
        Ok(())
    };
    let mut blobs: Vec<&Descriptor> =
        nodes.iter().filter(|node| matches!(node, Node::Blob(_))).map(Node::descriptor).collect();
    let lanes = lanes(cx, from, to);
    if lanes > 1 {
        blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    }
    in_parallel(lanes, &blobs, |blob| match from.origin(blob).and_then(|origin| put(blob, &*origin)) {
        Err(fault) if fault.is_absence() && may_be_absent(blob) => {
            cx.observer.event(Event::Warned(format!("{} is kept elsewhere and was not copied", blob.digest)));
            Ok(())
        }
        result => result,
    })?;
    for node in nodes {
        match node {
            Node::Blob(_) => {}
            Node::Index(document) => put(document.descriptor(), &document.raw().to_vec())?,
            Node::Manifest(document) => put(document.descriptor(), &document.raw().to_vec())?,
        }
    }
    Ok(account.into_inner().expect("no holder panics"))
}

/// What a phase has before it.
pub(crate) fn planned<'d>(phase: &'static str, blobs: impl Iterator<Item = &'d Descriptor>) -> Event {
    let (mut items, mut bytes) = (0, 0_u64);
    for blob in blobs {
        items += 1;
        bytes = bytes.saturating_add(blob.size);
    }
    Event::Planned { phase, items, bytes }
}

/// How many blobs move at once.
fn lanes(cx: &Context<'_>, from: &dyn Source, to: &dyn Sink) -> usize {
    /// What browsers and other clients allow themselves towards one host.
    const FAR: usize = 6;
    let is_far = from.is_far() || to.is_far();
    to.lanes().min(cx.workers.get().max(if is_far { FAR } else { 1 }))
}

fn put_one(
    cx: &Context<'_>,
    to: &dyn Sink,
    blob: &Descriptor,
    origin: &dyn Origin,
    hints: &Hints,
) -> Result<Put> {
    cx.cancel.check()?;
    let item = blob.digest.to_string();
    if blob.digest.known().is_err() {
        cx.observer.event(Event::Warned(format!("{item} cannot be proven: its algorithm is unknown")));
    }
    cx.observer.event(Event::Started { phase: "copy", item: item.clone(), total: Some(blob.size) });
    // A registry is told what it is sent, not what is read in order to send it.
    let course = (!to.is_far()).then(|| Course::new(cx.observer, &*item));
    let watched = Watched { cx, course: course.as_ref(), inner: origin };
    let put = to.put(blob, &watched, hints)?;
    let again = course.as_ref().map_or(0, Course::again);
    if again > 0 && origin.is_far() {
        let why = "what was kept of it was damaged".into();
        cx.observer.event(Event::Retried { what: item.clone(), why, again });
    }
    if put != Put::Copied {
        cx.observer.event(Event::Reused { blob: Box::new(blob.clone()), put });
    }
    cx.observer.event(Event::Finished { item });
    Ok(put)
}

/// Restricted layers stay where their `urls` say (image-spec, `layer.md`, "Non-Distributable Layers").
pub(crate) fn may_be_absent(blob: &Descriptor) -> bool {
    let restricted = matches!(blob.media_type.role(), Role::Layer(layer) if layer.distribution == Distribution::Restricted);
    restricted && !blob.urls.is_empty()
}

/// Does `work` for every item, by at most `lanes` threads; the first error ends it.
pub(crate) fn in_parallel<T: Sync>(
    lanes: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    if lanes <= 1 || items.len() <= 1 {
        return items.iter().try_for_each(work);
    }
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Fault>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..lanes.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(fault) = work(item) {
                        next.store(items.len(), Ordering::Relaxed);
                        failed.lock().expect("no holder panics").get_or_insert(fault);
                    }
                }
            });
        }
    });
    failed.into_inner().expect("no holder panics").map_or(Ok(()), Err)
}

/// An origin whose bytes are counted, and that stops when the user asks.
struct Watched<'a> {
    cx: &'a Context<'a>,
    /// Where the sink does not tell how the bytes move.
    course: Option<&'a Course<'a>>,
    inner: &'a dyn Origin,
}

impl Origin for Watched<'_> {
    fn open(&self, at: u64) -> Result<Box<dyn std::io::Read + Send + '_>> {
        let inner = self.inner.open(at)?;
        if let Some(course) = self.course {
            course.begin(at);
        }
        Ok(Box::new(Counted { cx: *self.cx, course: self.course, inner, at }))
    }

    fn pour(&self, at: u64, take: Take<'_>) -> Result<()> {
        if let Some(course) = self.course {
            course.begin(at);
        }
        let mut reached = at;
        self.inner.pour(at, &mut |bytes| {
            self.cx.cancel.check()?;
            let begin = reached;
            reached += bytes.len() as u64;
            if let Some(course) = self.course {
                course.pass(begin, reached);
            }
            take(bytes)
        })
    }

    fn local(&self) -> Option<orlop_spec::port::LocalFile> {
        self.inner.local()
    }

    fn check(&self) -> Result<()> {
        Ok(self.cx.cancel.check()?)
    }

    fn is_far(&self) -> bool {
        self.inner.is_far()
    }

    fn lenders(&self) -> Vec<orlop_spec::port::Lender> {
        self.inner.lenders()
    }
}

struct Counted<'a> {
    cx: Context<'a>,
    course: Option<&'a Course<'a>>,
    inner: Box<dyn std::io::Read + Send + 'a>,
    at: u64,
}

impl std::io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.cx.cancel.check().map_err(Fault::from)?;
        let count = self.inner.read(buffer)?;
        let at = self.at;
        self.at += count as u64;
        if let Some(course) = self.course {
            course.pass(at, self.at);
        }
        Ok(count)
    }
}
