//! Where images are: a reference, and what its place needs from outside.

use super::{Format, Keeping, Locked, Locking, Network, Owners, StorePlace};
use crate::{environment, interrupt};
use clap::Args;
use orlop::fs::owner::Owner;
use orlop::fs::{File, stat};
use orlop::host::ostree::kept::Style;
use orlop::inspect::{self, Wanted};
use orlop::layer::path::printable;
use orlop::made::{MadeImage, Making};
use orlop::network::Surroundings;
use orlop::remote::{Pool, Resolve};
use orlop::schema_one::Old;
use orlop::short_name::qualified;
use orlop::spec::port::{Catalog, Keeper, Name, Selector, Sink, Source};
use orlop::spec::reference::{Bare, LoneStream, Reference, Transport};
use orlop::spec::{AnyDigest, Context, Descriptor, Digest, Event, Fault, Kind, Platform};
use orlop::store::form::KeepBlobs;
use orlop::transport::{self, Created, Opened, Outside, Purpose, SpoolFolder};
use orlop::trees::{Profile, Reading, TreeSource};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What places need from outside.
#[derive(Args, Debug, Default)]
pub struct Places<L: Locking = Locked> {
    /// Folder for temporary files [default: $TMPDIR, else /var/tmp]
    #[arg(long, value_name = "DIR", help_heading = "Places")]
    pub tmpdir: Option<PathBuf>,
    #[command(flatten)]
    pub store: StorePlace,
    /// A second folder of blobs, which layouts share
    #[arg(long, value_name = "DIR", help_heading = "Places")]
    pub shared_blobs: Option<PathBuf>,
    /// The sha256 that the file of an https: reference must have
    #[arg(long, value_name = "HEX", value_parser = sha256, help_heading = "Places")]
    sha256: Option<Digest>,
    /// Convert images of Docker's schema 1, from before 2016, to OCI; their digests change
    #[arg(long, help_heading = "Registries")]
    convert_schema1: bool,
    /// An App Container Image that the one named lies over; repeatable. The store is looked into as well
    #[arg(long, value_name = "FILE", help_heading = "Places")]
    aci_dependency: Vec<PathBuf>,
    #[command(flatten)]
    locked: L,
    #[command(flatten)]
    network: Network,
    #[arg(skip)]
    keep_blobs: OnceLock<KeepBlobs>,
    #[arg(skip)]
    profile: OnceLock<Profile>,
    #[arg(skip)]
    ref_style: OnceLock<Style>,
    #[arg(skip)]
    shared: OnceLock<Shared>,
}

/// What all places of a command share. What was typed for one registry is told apart by it.
struct Shared {
    surroundings: Surroundings,
    pool: Pool,
    spools: SpoolFolder,
}

/// Some of it is secret, and none of it a flag.
impl fmt::Debug for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl<L: Locking> Places<L> {
    /// Places in surroundings that a command made for itself.
    pub fn reaching(surroundings: Surroundings, pool: Pool) -> Self {
        let places = Self::default();
        let spools = SpoolFolder(places.spools());
        let _new = places.shared.set(Shared { surroundings, pool, spools });
        places
    }

    /// Places in the default surroundings, and a store.
    pub fn with_store(store: StorePlace) -> Self {
        Self { store, ..Self::default() }
    }

    /// Says which blobs of layers the store is to keep, where a verb was told.
    pub fn keeping(&self, keeping: &Keeping) -> &Self {
        if let Some(said) = keeping.said() {
            // Whoever says it twice says the same.
            let _first = self.keep_blobs.set(said);
        }
        self
    }

    /// Says what commits of OSTree become, where a verb was told.
    pub fn as_profile(&self, profile: Profile) -> &Self {
        // Whoever says it twice says the same.
        let _first = self.profile.set(profile);
        self
    }

    /// Says in which form OSTree keeps images, where a verb was told.
    pub fn in_style(&self, style: Option<Style>) -> &Self {
        if let Some(style) = style {
            // Whoever says it twice says the same.
            let _first = self.ref_style.set(style);
        }
        self
    }

    /// What the library is handed.
    pub fn outside<'a>(&'a self, cx: &Context<'a>) -> Outside<'a> {
        self.outside_for(cx, Resolve::Fetch, Purpose::Use)
    }

    fn outside_for<'a>(&'a self, cx: &Context<'a>, resolve: Resolve, purpose: Purpose) -> Outside<'a> {
        let shared = self.shared.get_or_init(|| Shared {
            surroundings: self.network.surroundings(self.locked.file()),
            pool: self.network.pool(),
            spools: SpoolFolder(self.spools()),
        });
        Outside {
            tmpdir: self.spools(),
            store: self.store.folder(),
            keep_blobs: self.keep_blobs.get().copied(),
            shared_blobs: self.shared_blobs.clone(),
            now: environment::now(),
            cx: *cx,
            interrupt: Some(interrupt::flag()),
            surroundings: &shared.surroundings,
            file: self.sha256,
            pool: &shared.pool,
            patience: self.network.patience(),
            spools: &shared.spools,
            resolve,
            purpose,
            dependencies: &self.aci_dependency,
            host: environment::host(),
            profile: self.profile.get().copied().unwrap_or_default(),
            ref_style: self.ref_style.get().copied(),
            old: if self.convert_schema1 { Old::Converted } else { Old::Refused },
            stdin: &environment::stdin,
            stdout: &|| Box::new(environment::Stdout),
        }
    }

    /// The folder of files without names, for what must wait.
    pub fn spools(&self) -> PathBuf {
        self.tmpdir.clone().unwrap_or_else(environment::temporary_folder)
    }

    /// Opens a folder or a tar. A word without a transport is a path, and `-` a tar on standard input.
    pub fn open_tree(&self, text: &OsStr, cx: &Context<'_>) -> Result<Box<dyn TreeSource>, Fault> {
        let is_said = [&b"rootfs:"[..], b"tar:", b"aci:", b"ostree:", b"https:"]
            .iter()
            .any(|it| text.as_bytes().starts_with(it));
        let reference = if is_said || text == "-" {
            transport::parse(text, Bare::Registry, LoneStream::Tar)?
        } else {
            Reference::new(Transport::Local(text.into()))
        };
        match transport::open(&reference, &self.outside(cx))? {
            Opened::Tree(tree) => Ok(tree),
            Opened::Blobs(_) => Err(HOLDS_IMAGES.into()),
        }
    }

    /// Opens a place that holds blobs, for writing.
    pub fn create<'a>(&'a self, target: &Reference, cx: &Context<'a>) -> Result<Box<dyn Sink + 'a>, Fault> {
        match self.create_any(target, cx)? {
            Created::Blobs(sink) => Ok(sink),
            Created::Tree(_) => Err(MAKES_A_TREE.into()),
        }
    }

    /// Opens a place of either kind, for writing.
    pub fn create_any<'a>(&'a self, target: &Reference, cx: &Context<'a>) -> Result<Created<'a>, Fault> {
        transport::create(target, &self.outside(cx))
    }

    /// Opens a place of either kind, for telling what would be written.
    pub fn foresee<'a>(&'a self, target: &Reference, cx: &Context<'a>) -> Result<Created<'a>, Fault> {
        transport::foresee(target, &self.outside(cx))
    }

    /// Opens a place that holds blobs for writing, or, in a dry run, for telling what would be written.
    pub fn create_or_foresee<'a>(
        &'a self,
        target: &Reference,
        is_dry: bool,
        cx: &Context<'a>,
    ) -> Result<Box<dyn Sink + 'a>, Fault> {
        if !is_dry {
            return self.create(target, cx);
        }
        match self.foresee(target, cx)? {
            Created::Blobs(sink) => Ok(sink),
            Created::Tree(_) => Err(MAKES_A_TREE.into()),
        }
    }

    /// Opens a place for changing its names.
    pub fn keep<'a>(
        &'a self,
        reference: &Reference,
        cx: &Context<'a>,
    ) -> Result<Box<dyn Keeper + 'a>, Fault> {
        transport::keep(reference, &self.outside(cx))
    }

    /// Opens a place for changing its names, by default the local store.
    pub fn keep_or_store<'a>(&'a self, text: Option<&OsStr>, cx: &Context<'a>) -> Result<Kept<'a>, Fault> {
        let reference = match text {
            Some(text) => transport::parse(text, Bare::Store, LoneStream::Refused)?,
            None => Reference::new(Transport::Store),
        };
        let keeper = self.keep(&reference, cx)?;
        Ok(Kept { reference, keeper })
    }

    /// Opens a whole place that holds blobs, to compare its names.
    pub fn open_place<'a>(&'a self, text: &OsStr, cx: &Context<'a>) -> Result<Image<'a>, Fault> {
        let reference = transport::parse_place(text, Bare::Registry)?;
        self.open_reference(text, reference, cx, Resolve::Look, Purpose::Use)?.image()
    }

    /// Opens a place of either kind, for reading.
    pub fn open_any<'a>(&'a self, text: &OsStr, cx: &Context<'a>) -> Result<Held<'a>, Fault> {
        let reference = transport::parse(text, Bare::Registry, LoneStream::Refused)?;
        warn_of_namesake(cx, text, &reference);
        self.open_reference(text, reference, cx, Resolve::Fetch, Purpose::Use)
    }

    /// Opens the store for the image that a word means there: a word without a transport is a name of the store. Files
    /// are taken as the image that they become.
    pub fn open_stored<'a>(&'a self, text: &OsStr, cx: &Context<'a>) -> Result<Image<'a>, Fault> {
        let reference = transport::parse(text, Bare::Store, LoneStream::Refused)?;
        self.open_made(text, reference, cx, Resolve::Fetch, Purpose::Use)
    }

    fn open_reference<'a>(
        &'a self,
        text: &OsStr,
        reference: Reference,
        cx: &Context<'a>,
        resolve: Resolve,
        purpose: Purpose,
    ) -> Result<Held<'a>, Fault> {
        let outside = self.outside_for(cx, resolve, purpose);
        let reference = qualified(text, reference, &outside)?;
        match transport::open(&reference, &outside)? {
            Opened::Blobs(catalog) => {
                inspect::warn_of_moved_tag(cx, &*catalog, &reference);
                Ok(Held::Image(Image { reference, catalog }))
            }
            Opened::Tree(tree) => Ok(Held::Tree(tree)),
        }
    }

    /// Opens an image for reading. Files are taken as the image that they become.
    pub fn open<'a>(&'a self, text: &OsStr, cx: &Context<'a>) -> Result<Image<'a>, Fault> {
        let reference = transport::parse(text, Bare::Registry, LoneStream::Refused)?;
        warn_of_namesake(cx, text, &reference);
        self.open_made(text, reference, cx, Resolve::Fetch, Purpose::Use)
    }

    fn open_made<'a>(
        &'a self,
        text: &OsStr,
        reference: Reference,
        cx: &Context<'a>,
        resolve: Resolve,
        purpose: Purpose,
    ) -> Result<Image<'a>, Fault> {
        match self.open_reference(text, reference.clone(), cx, resolve, purpose)? {
            Held::Image(image) => Ok(image),
            Held::Tree(tree) => {
                let catalog = Box::new(MadeImage::new(tree, cx, making(Owners::fitting()?, None)?));
                Ok(Image { reference, catalog })
            }
        }
    }
}

/// How files become an image: what nobody said is the machine's, or the environment's.
pub fn making(owner: Owner, platform: Option<Platform>) -> Result<Making, Fault> {
    let reading = Reading { owner, ..Reading::default() };
    let created = environment::source_date_epoch()?;
    Ok(Making { reading, platform, host: environment::host(), created })
}

/// A word alone is an image of a registry, even where a folder or a file has the same name.
fn warn_of_namesake(cx: &Context<'_>, text: &OsStr, reference: &Reference) {
    let is_bare = !text.as_bytes().starts_with(b"docker:");
    if is_bare && matches!(reference.transport, Transport::Registry(_)) && stat::at(Path::new(text)).is_ok() {
        let name = printable(&text.to_string_lossy()).into_owned();
        let told = format!("{name} is looked for in a registry; what is here by that name is ./{name}");
        cx.observer.event(Event::Warned(told));
    }
}

const HOLDS_IMAGES: orlop::Error = orlop::Error::Unfit {
    what: "that place holds images, and a layer is made of files",
    hint: "put the image below the new layers: orlop build --base REF SRC oci:DIR:TAG",
};

/// For verbs that move images.
pub const MAKES_A_TREE: orlop::Error = orlop::Error::Unfit {
    what: "that place takes files and no image",
    hint: "build into a place that holds images, such as oci:DIR:TAG or oci-archive:FILE:TAG",
};

const NO_NAME: orlop::Error = orlop::Error::Unfit {
    what: "a target is named by a tag: nobody knows its digest or position before it is there",
    hint: "write it as TRANSPORT:PLACE:TAG",
};

/// What a target is called. Nothing is touched.
pub fn target(text: &OsStr) -> Result<Reference, Fault> {
    transport::parse(text, Bare::Registry, LoneStream::Refused)
}

/// What a place is called that takes several images.
pub fn target_place(text: &OsStr) -> Result<Reference, Fault> {
    transport::parse_place(text, Bare::Registry)
}

/// The local store, and no image of it.
pub fn store() -> Reference {
    Reference::new(Transport::Store)
}

/// What an image is called by the side of those of other places: by its whole name, where it is of a registry. One that
/// was named by digest alone has none.
pub fn in_full(reference: &Reference, tag: Option<&str>) -> Option<Name> {
    let Transport::Registry(repository) = &reference.transport else { return None };
    Some(tag.map_or(Name::Untagged, |tag| Name::Tag(format!("{repository}:{tag}").into())))
}

/// The name that a target gets.
pub fn name(reference: &Reference) -> Result<Name, Fault> {
    match &reference.selector {
        Selector::Only => Ok(Name::Untagged),
        Selector::Tag(tag) => Ok(Name::Tag(tag.clone())),
        Selector::At(_) | Selector::Digest(_) => Err(NO_NAME.into()),
    }
}

const HOLDS_A_TREE: orlop::Error = orlop::Error::Unfit {
    what: "that place holds files and no image",
    hint: "make an image of it first: orlop build PLACE oci:DIR:TAG",
};

/// One image.
#[derive(Args, Debug)]
pub struct Place<L: Locking = Locked> {
    /// The image
    #[arg(value_name = "REF")]
    reference: OsString,
    #[command(flatten)]
    places: Places<L>,
}

impl<L: Locking> Place<L> {
    /// Opens the place of the image for reading.
    pub fn open<'a>(&'a self, cx: &Context<'a>) -> Result<Image<'a>, Fault> {
        self.places.open(&self.reference, cx)
    }

    /// Opens the whole place to look at its names: no policy is asked.
    pub fn look_around<'a>(&'a self, cx: &Context<'a>) -> Result<Image<'a>, Fault> {
        let reference = transport::parse_place(&self.reference, Bare::Registry)?;
        warn_of_namesake(cx, &self.reference, &reference);
        self.places.open_reference(&self.reference, reference, cx, Resolve::Look, Purpose::Look)?.image()
    }

    /// Opens the place of the image to know what it stands for, and not to read it.
    pub fn look<'a>(&'a self, cx: &Context<'a>) -> Result<Image<'a>, Fault> {
        let reference = transport::parse(&self.reference, Bare::Registry, LoneStream::Refused)?;
        self.places.open_made(&self.reference, reference, cx, Resolve::Look, Purpose::Look)
    }

    /// Opens the place of the image to look at its names and documents: no policy is asked.
    pub fn look_into<'a>(&'a self, cx: &Context<'a>) -> Result<Image<'a>, Fault> {
        let reference = transport::parse(&self.reference, Bare::Registry, LoneStream::Refused)?;
        warn_of_namesake(cx, &self.reference, &reference);
        self.places.open_made(&self.reference, reference, cx, Resolve::Fetch, Purpose::Look)
    }

    /// The sha256 of the file that the image is in.
    pub fn file_digest(&self, cx: &Context<'_>) -> Result<Digest, Fault> {
        let reference = transport::parse(&self.reference, Bare::Registry, LoneStream::Refused)?;
        transport::file_digest(&reference, &self.places.outside(cx))
    }

    /// A file without a name, for bytes that must wait.
    pub fn spool(&self, cx: &Context<'_>) -> Result<File, Fault> {
        self.places.outside(cx).spool()
    }

    /// Opens the place of the image for changing its names.
    pub fn keep<'a>(&'a self, cx: &Context<'a>) -> Result<Kept<'a>, Fault> {
        self.places.keep_or_store(Some(&self.reference), cx)
    }
}

/// What a place holds.
pub enum Held<'a> {
    /// An image, as it is.
    Image(Image<'a>),
    /// Only files.
    Tree(Box<dyn TreeSource>),
}

impl<'a> Held<'a> {
    fn image(self) -> Result<Image<'a>, Fault> {
        match self {
            Self::Image(image) => Ok(image),
            Self::Tree(_) => Err(HOLDS_A_TREE.into()),
        }
    }
}

/// A place that is open for reading, and which image of it is meant.
pub struct Image<'a> {
    reference: Reference,
    catalog: Box<dyn Catalog + 'a>,
}

impl<'a> Image<'a> {
    /// What anybody finds the image by: a tag in a registry.
    pub fn name_for_all(&self) -> Option<Box<str>> {
        match (transport::repository(&self.reference), self.selector()) {
            (Some(repository), Selector::Tag(tag)) => Some(format!("{repository}:{tag}").into()),
            _ => None,
        }
    }

    /// The place alone.
    pub fn into_catalog(self) -> Box<dyn Catalog + 'a> {
        self.catalog
    }

    /// The place.
    pub fn source(&self) -> &dyn Source {
        &*self.catalog
    }

    /// The place, with its names.
    pub fn catalog(&self) -> &dyn Catalog {
        &*self.catalog
    }

    /// Which image of the place.
    pub fn selector(&self) -> &Selector {
        &self.reference.selector
    }

    /// The image of that digest, whatever names it; nothing where the place does not have it.
    pub fn find(&self, digest: &AnyDigest) -> Result<Option<Descriptor>, Fault> {
        match self.catalog.resolve(&Selector::Digest(digest.clone())) {
            Ok(roots) => Ok(roots.into_iter().next()),
            Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The reference.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The reference as it is found from every working folder; as it is, and told to be so, where no text says that.
    pub fn lasting(&self, cx: &Context<'_>) -> String {
        transport::lasting(&self.reference, &environment::working_folder()).unwrap_or_else(|| {
            let text = "no text says where the image is: `repack` and `revert` must be told with --base REF";
            cx.observer.event(Event::Warned(text.into()));
            self.reference.to_string()
        })
    }
}

/// A place whose names can be changed.
pub struct Kept<'a> {
    /// The reference.
    pub reference: Reference,
    /// The place.
    pub keeper: Box<dyn Keeper + 'a>,
}

/// The line that a writer prints: `REF@DIGEST`.
pub fn published(reference: &Reference, tag: Option<&str>, digest: &AnyDigest) -> String {
    let selector = Selector::Digest(digest.clone());
    let named = Reference { transport: reference.transport.clone(), selector, tag: tag.map(Into::into) };
    format!("{}\n", printable(&named.to_string()))
}

/// The one image that was written, as it is asked for; `did` says in a document what became of it.
pub fn wrote(format: Format, did: &str, (target, name): (&Reference, &Name), root: &Descriptor) -> String {
    match format {
        Format::Human => published(target, name.tag(), &root.digest),
        Format::Json => format!("{}\n", json!({ "version": 1, did: told(target, name.tag(), root) })),
    }
}

/// What was written, for programs.
pub fn told(reference: &Reference, tag: Option<&str>, root: &Descriptor) -> Value {
    json!({
        "name": published(reference, tag, &root.digest).trim_end(),
        "tag": tag,
        "digest": root.digest,
        "media_type": root.media_type,
        "size": root.size,
    })
}

/// For verbs that need one platform of an index.
#[derive(Args, Debug)]
pub struct OnePlatform {
    /// Platform within an index, as OS/ARCHITECTURE[/VARIANT] or `host` [default: host]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<Platform>,
}

impl OnePlatform {
    /// The platform that is meant.
    pub fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(environment::host)
    }

    /// What is asked for, and whether it was.
    pub fn wanted<'p>(&self, platform: &'p Platform) -> Wanted<'p> {
        if self.is_given() { Wanted::Asked(platform) } else { Wanted::Host(platform) }
    }

    /// Whether a platform was asked for.
    pub fn is_given(&self) -> bool {
        self.platform.is_some()
    }
}

/// Parses a sha256, with its name before it or without.
fn sha256(text: &str) -> Result<Digest, &'static str> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    format!("sha256:{hex}").parse().map_err(|_| "a sha256 is 64 digits, 0 to 9 and a to f")
}

/// Parses one platform.
pub fn platform(text: &str) -> Result<Platform, String> {
    if text == "host" {
        return Ok(environment::host());
    }
    text.parse().map_err(|error: orlop::spec::platform::PlatformError| error.to_string())
}
