//! From a reference to the place that it names. The one match on a transport of the whole project: whoever adds
//! a place adds it here, and every verb works on it.

use crate::aci::archive as aci_archive;
use crate::aci::source::AciFile;
use crate::aci::target::AciTarget;
use crate::error::Error;
use crate::network::{Role, Surroundings};
use crate::ostree::kept;
use crate::ostree::source::CommitTree;
use crate::ostree::target::CommitTarget;
use crate::rendering::{NewFolder, TreeTarget};
use crate::schema_one::{Converting, Old};
use crate::stored::Stored;
use crate::tar_tree::{NewTar, RootTar};
use crate::trees::{FolderTree, Profile, TarFile, TreeSource};
use crate::web;
use orlop_fs::{Dir, FileKind};
use orlop_host::aci::squeeze::Squeeze;
use orlop_host::ostree::kept::Style;
use orlop_layer::Time;
use orlop_remote::{Client, Pool, Push, Remote, Resolve};
use orlop_spec::port::{Catalog, Keeper, Result, Selector, Sink, Spool, Spools};
use orlop_spec::reference::{Bare, File, Grammar, LoneStream, Reference, Repository, Sought, Transport};
use orlop_spec::{Cancel, Context, Diagnose as _, Digest, Platform};
use orlop_store::archive::{self, Archive};
use orlop_store::layout::{self, Layout};
use orlop_store::store::form::KeepBlobs;
use orlop_store::store::{self, Store, StoreSink};
use orlop_store::{DockerArchive, Exploded, OciArchive};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What places need from outside: folders, streams and the time, handed in by the program.
pub struct Outside<'a> {
    /// Where spools without a name are made.
    pub tmpdir: PathBuf,
    /// Where the local store is.
    pub store: PathBuf,
    /// Which blobs of layers the store keeps of what comes in, where that was said.
    pub keep_blobs: Option<KeepBlobs>,
    /// A second folder of blobs for layouts.
    pub shared_blobs: Option<PathBuf>,
    /// The present time; decides only how old a blob is for a sweep.
    pub now: Time,
    /// Who watches, how to stop, how much is allowed.
    pub cx: Context<'a>,
    /// The flag that the program sets to stop, for archives, which are read and written beyond any one verb.
    pub interrupt: Option<&'static Cancel>,
    /// Registries, and which images may be used.
    pub surroundings: &'a Surroundings,
    /// What a file of the web must be, by its digest.
    pub file: Option<Digest>,
    /// Connections to registries.
    pub pool: &'a Pool,
    /// How long a registry is waited for, and how often it is asked again.
    pub patience: orlop_remote::Options,
    /// Files for blobs whose digest shows at their end.
    pub spools: &'a dyn Spools,
    /// Whether a tag of a registry is looked up to be read, or only to be known.
    pub resolve: Resolve,
    /// What images are opened for.
    pub purpose: Purpose,
    /// Files of App Containers that others lie over.
    pub dependencies: &'a [PathBuf],
    /// For which machine things are, where nobody says it.
    pub host: Platform,
    /// What commits of OSTree become.
    pub profile: Profile,
    /// In which form OSTree keeps images, where that was said.
    pub ref_style: Option<Style>,
    /// What becomes of images of Docker's schema 1.
    pub old: Old,
    /// Opens standard input, for `-` as a source.
    pub stdin: &'a (dyn Fn() -> Box<dyn Read + Send> + Sync),
    /// Opens standard output, for `-` as a target.
    pub stdout: &'a (dyn Fn() -> Box<dyn Write + Send> + Sync),
}

/// What an image is opened for, and so whether the policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Purpose {
    /// Its files are taken, or it is moved: the policy must allow it.
    #[default]
    Use,
    /// Its names and documents are looked at, so that one can know what a policy should say; as skopeo does.
    Look,
}

/// A folder in which files without a name are made.
#[derive(Clone, Debug)]
pub struct SpoolFolder(pub PathBuf);

impl Spools for SpoolFolder {
    fn spool(&self) -> Result<Box<dyn Spool>> {
        Ok(Box::new(Dir::open(&self.0)?.spool()?))
    }
}

impl<'a> Outside<'a> {
    fn stored(&self) -> Result<Stored<'a>> {
        let store = Store::open(&self.store, &self.store())?;
        Ok(Stored::new(store, self.surroundings, self.cx.limits))
    }

    /// A tar that is to be made.
    pub fn new_tar(&self, file: &File) -> NewTar<'a> {
        NewTar { file: file.clone(), tmpdir: self.tmpdir.clone(), stdout: self.stdout }
    }

    /// The store, where there is one.
    pub(crate) fn store_that_is_there(&self) -> Result<Option<Stored<'a>>> {
        match self.stored() {
            Ok(store) => Ok(Some(store)),
            Err(fault) if fault.is_absence() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The repository of a registry, for reading and for changing its names.
    fn remote(&self, repository: &Repository, resolve: Resolve) -> Result<Remote<'a>> {
        Remote::open(self.client(Role::Source), repository, resolve)
    }

    /// The images of a repository, for reading.
    fn images(&self, repository: &Repository) -> Result<Box<dyn Catalog + 'a>> {
        let remote = self.remote(repository, self.resolve)?;
        Ok(match self.old {
            Old::Refused => Box::new(remote),
            Old::Converted => Box::new(Converting::new(remote, self)),
        })
    }

    /// The repository of a registry, for writing.
    fn push(&self, repository: &Repository) -> Result<Push<'a>> {
        Push::create(self.client(Role::Target), repository, self.spools)
    }

    /// Whether a registry lets one in.
    pub(crate) fn enter(&self, repository: &Repository) -> Result<orlop_remote::Entry> {
        orlop_remote::enter(self.client(Role::Target), repository)
    }

    pub(crate) fn client(&self, role: Role) -> Client<'a> {
        Client::new(self.cx, self.surroundings.network(role), self.pool, self.patience.clone())
    }
}

impl Outside<'_> {
    /// A file that is read from its beginning to its end, or standard input, and what messages call it.
    pub(crate) fn input(&self, file: &File) -> Result<(String, Box<dyn Read + Send>)> {
        Ok(match file {
            File::Path(path) => (path.display().to_string(), Box::new(orlop_fs::File::open(path)?)),
            File::Stream => ("-".to_owned(), (self.stdin)()),
        })
    }

    /// A file without a name in `tmpdir`.
    pub fn spool(&self) -> Result<orlop_fs::File> {
        Ok(Dir::open(&self.tmpdir)?.spool()?)
    }

    pub(crate) fn archive(&self) -> archive::Options {
        archive::Options {
            tmpdir: self.tmpdir.clone(),
            limits: self.cx.limits.clone(),
            cancel: self.interrupt,
        }
    }

    fn store(&self) -> store::Options {
        let Context { limits, workers, .. } = self.cx;
        store::Options { limits: limits.clone(), workers, keep_blobs: self.keep_blobs.unwrap_or_default() }
    }

    fn layout(&self) -> layout::Options {
        layout::Options {
            shared_blobs: self.shared_blobs.clone(),
            limits: self.cx.limits.clone(),
            now: self.now,
        }
    }
}

/// A place that images or trees come from.
pub enum Opened<'a> {
    /// Holds blobs.
    Blobs(Box<dyn Catalog + 'a>),
    /// Holds a tree.
    Tree(Box<dyn TreeSource>),
}

/// A place that images or trees go to.
pub enum Created<'a> {
    /// Holds blobs.
    Blobs(Box<dyn Sink + 'a>),
    /// Holds a tree.
    Tree(Box<dyn TreeTarget + 'a>),
}

/// Parses a reference; looks at the disk only where a colon could end a path or belong to it.
pub fn parse(text: &OsStr, bare: Bare, lone_stream: LoneStream) -> Result<Reference> {
    let grammar = Grammar { bare, lone_stream, exists: &exists };
    Ok(grammar.parse(text)?)
}

/// A reference as text that means the same in every working folder, `folder` being the present one; nothing where no text
/// does: where a path is no text, or a colon in it ends another path that is there, too.
pub fn lasting(reference: &Reference, folder: &Path) -> Option<String> {
    let anywhere = reference.clone().from_folder(folder);
    let text = anywhere.to_os_string().into_string().ok()?;
    let read = parse(text.as_ref(), Bare::Registry, LoneStream::Refused);
    read.is_ok_and(|read| read == anywhere).then_some(text)
}

/// Parses the name of a whole place: where no tag was written, none is meant, for a registry either.
pub fn parse_place(text: &OsStr, bare: Bare) -> Result<Reference> {
    let reference = parse(text, bare, LoneStream::Refused)?;
    let is_said = text.as_encoded_bytes().ends_with(b":latest");
    let is_latest = matches!(&reference.selector, Selector::Tag(tag) if &**tag == "latest");
    if matches!(reference.transport, Transport::Registry(_)) && is_latest && !is_said {
        return Ok(Reference { selector: Selector::Only, ..reference });
    }
    Ok(reference)
}

fn exists(sought: Sought, path: &Path) -> bool {
    match sought {
        Sought::Layout => Dir::open(path).is_ok_and(|folder| Layout::is_at(&folder)),
        Sought::File => matches!(orlop_fs::stat::at(path), Ok(stat) if stat.kind == FileKind::File),
        Sought::Anything => orlop_fs::stat::at(path).is_ok(),
    }
}

/// Opens the place for reading, if the policy allows its image. Where there is a lock file, names mean what that says.
pub fn open<'a>(reference: &Reference, outside: &Outside<'a>) -> Result<Opened<'a>> {
    match opened(reference, outside)? {
        Opened::Blobs(place) => Ok(Opened::Blobs(outside.surroundings.locked(reference, place)?)),
        Opened::Tree(tree) => Ok(Opened::Tree(tree)),
    }
}

fn opened<'a>(reference: &Reference, outside: &Outside<'a>) -> Result<Opened<'a>> {
    if outside.purpose == Purpose::Use {
        outside.surroundings.check(reference)?;
    }
    if outside.file.is_some() && !matches!(reference.transport, Transport::Web(_)) {
        return Err(NO_FILE.into());
    }
    let archive = outside.archive();
    let place: Box<dyn Catalog + 'a> = match &reference.transport {
        Transport::Registry(repository) => outside.images(repository)?,
        Transport::Layout(path) => Box::new(Layout::open(path, &outside.layout())?),
        Transport::OciArchive(File::Path(path)) => Box::new(OciArchive::open(path, &archive)?),
        Transport::OciArchive(File::Stream) => Box::new(OciArchive::read((outside.stdin)(), &archive)?),
        Transport::DockerArchive(File::Path(path)) => Box::new(DockerArchive::open(path, &archive)?),
        Transport::DockerArchive(File::Stream) => Box::new(DockerArchive::read((outside.stdin)(), &archive)?),
        Transport::Dir(path) => Box::new(Exploded::open(path, outside.cx.limits)?),
        Transport::Store => Box::new(outside.stored()?),
        Transport::Ostree { repository, name } if kept::is_image(name) => {
            Box::new(kept::open(repository, name, outside)?)
        }
        Transport::Rootfs(path) => {
            let folder = FolderTree::open(path)?.with_journal(&outside.tmpdir);
            return Ok(Opened::Tree(Box::new(folder)));
        }
        Transport::Tar(file) => return Ok(Opened::Tree(Box::new(TarFile::open(file, outside)?))),
        Transport::Aci(file) => return Ok(Opened::Tree(Box::new(AciFile::open(file, outside)?))),
        Transport::Ostree { repository, name } => {
            let commit = CommitTree::open(repository, name, outside.profile, outside.cx.limits)?;
            return Ok(Opened::Tree(Box::new(commit)));
        }
        Transport::LayoutUrl(address) => Box::new(web::layout(address, outside)?),
        Transport::Web(address) => match web::archive(address, outside)? {
            Archive::Oci(archive) => Box::new(archive),
            Archive::Docker(archive) => Box::new(archive),
            Archive::Other(_) if reference.selector != Selector::Only => return Err(NO_TAGS.into()),
            Archive::Other(tar) => {
                let tar = TarFile::of(address.to_string(), Box::new(tar), outside)?;
                return Ok(Opened::Tree(Box::new(tar)));
            }
        },
        Transport::Local(path) => match found(path, outside)? {
            Found::Oci(archive) => Box::new(archive),
            Found::Docker(archive) => Box::new(archive),
            Found::As(transport) => return opened(&Reference { transport, ..reference.clone() }, outside),
        },
        other => return Err(absent(other)),
    };
    Ok(Opened::Blobs(place))
}

/// What is at a path that was named without a transport.
enum Found {
    Oci(OciArchive),
    Docker(DockerArchive),
    /// To be opened as this.
    As(Transport),
}

/// What a reference means with the transport said: what is at a path that was named without one is found from its content.
///
/// # Errors
/// Where nothing is at the path, or it cannot be read.
pub fn spelled_out(reference: &Reference, outside: &Outside<'_>) -> Result<Reference> {
    let Transport::Local(path) = &reference.transport else { return Ok(reference.clone()) };
    let transport = match found(path, outside)? {
        Found::Oci(_) => Transport::OciArchive(File::Path(path.clone())),
        Found::Docker(_) => Transport::DockerArchive(File::Path(path.clone())),
        Found::As(transport) => transport,
    };
    Ok(Reference { transport, ..reference.clone() })
}

/// What is at a path is found from its content.
fn found(path: &Path, outside: &Outside<'_>) -> Result<Found> {
    let named = |fault| Error::of_tar(&path.to_string_lossy(), fault);
    Ok(Found::As(match orlop_fs::stat::at(path)?.kind {
        FileKind::Directory if Layout::is_at(&Dir::open(path)?) => Transport::Layout(path.into()),
        FileKind::Directory if Exploded::is_at(&Dir::open(path)?) => Transport::Dir(path.into()),
        FileKind::Directory => Transport::Rootfs(path.into()),
        FileKind::File if aci_archive::is_one(&outside.cx, path).map_err(named)? => {
            Transport::Aci(File::Path(path.into()))
        }
        FileKind::File if is_squeezed(path)? => Transport::Tar(File::Path(path.into())),
        FileKind::File => match archive::open(path, &outside.archive()).map_err(named)? {
            Archive::Oci(archive) => return Ok(Found::Oci(archive)),
            Archive::Docker(archive) => return Ok(Found::Docker(archive)),
            Archive::Other(_) => Transport::Tar(File::Path(path.into())),
        },
        // A pipe can be read once only, so it is not looked into.
        _ => Transport::Tar(File::Path(path.into())),
    }))
}

/// Whether a file is compressed as no archive of images is.
fn is_squeezed(path: &Path) -> Result<bool> {
    let mut start = [0; 8];
    let count = orlop_fs::File::open(path)?.read_at(&mut start, 0)?;
    Ok(!matches!(Squeeze::detect(&start[..count]), Squeeze::Layer(_)))
}

/// Opens the place for writing.
pub fn create<'a>(reference: &Reference, outside: &Outside<'a>) -> Result<Created<'a>> {
    if outside.keep_blobs.is_some() && reference.transport != Transport::Store {
        return Err(NO_STORE.into());
    }
    if outside.ref_style.is_some() && !is_kept(reference) {
        return Err(NO_STYLE.into());
    }
    let archive = outside.archive();
    let place: Box<dyn Sink + 'a> = match &reference.transport {
        Transport::Registry(repository) => Box::new(outside.push(repository)?),
        Transport::Layout(path) => Box::new(Layout::create(path, &outside.layout())?),
        Transport::OciArchive(File::Path(path)) => Box::new(OciArchive::create(path, &archive)?),
        Transport::OciArchive(File::Stream) => Box::new(OciArchive::write((outside.stdout)(), &archive)?),
        Transport::DockerArchive(File::Path(path)) => Box::new(DockerArchive::create(path, &archive)?),
        Transport::DockerArchive(File::Stream) => {
            Box::new(DockerArchive::write((outside.stdout)(), &archive)?)
        }
        Transport::Dir(path) => Box::new(Exploded::create(path, outside.cx.limits)?),
        Transport::Store => {
            Box::new(StoreSink::create(&outside.store, &outside.store())?.heeding(outside.cx.cancel))
        }
        Transport::Ostree { repository, name } if kept::is_image(name) => {
            Box::new(kept::create(repository, name, outside)?)
        }
        Transport::Rootfs(path) => return Ok(Created::Tree(Box::new(NewFolder(path.clone())))),
        Transport::Tar(file) => return Ok(Created::Tree(Box::new(RootTar(outside.new_tar(file))))),
        Transport::Aci(file) => return Ok(Created::Tree(Box::new(AciTarget(outside.new_tar(file))))),
        Transport::Ostree { repository, name } => {
            return Ok(Created::Tree(Box::new(CommitTarget::parse(repository, name)?)));
        }
        Transport::Local(_) => {
            return Err(Error::Unfit {
                what: "a path alone does not say what is to be made there",
                hint: "put a transport before it, for example oci:PATH, oci-archive:PATH or docker-archive:PATH",
            }
            .into());
        }
        other => return Err(absent(other)),
    };
    Ok(Created::Blobs(place))
}

/// Opens the place for telling what would be written. Where there is no store none is made; other places make what they
/// need, and take it back.
pub fn foresee<'a>(reference: &Reference, outside: &Outside<'a>) -> Result<Created<'a>> {
    match reference.transport {
        Transport::Store => Ok(Created::Blobs(StoreSink::foreseeing(&outside.store, &outside.store())?)),
        _ => create(reference, outside),
    }
}

/// Opens the place for changing its names.
pub fn keep<'a>(reference: &Reference, outside: &Outside<'a>) -> Result<Box<dyn Keeper + 'a>> {
    match &reference.transport {
        Transport::Registry(repository) => Ok(Box::new(outside.remote(repository, Resolve::Look)?)),
        Transport::Layout(path) => Ok(Box::new(Layout::open(path, &outside.layout())?)),
        Transport::OciArchive(File::Path(path)) => Ok(Box::new(OciArchive::open(path, &outside.archive())?)),
        Transport::DockerArchive(File::Path(path)) => {
            Ok(Box::new(DockerArchive::open(path, &outside.archive())?))
        }
        Transport::Local(path) => match found(path, outside)? {
            Found::Oci(archive) => Ok(Box::new(archive)),
            Found::Docker(archive) => Ok(Box::new(archive)),
            Found::As(transport) => keep(&Reference { transport, ..reference.clone() }, outside),
        },
        Transport::Store => Ok(Box::new(outside.stored()?)),
        Transport::Ostree { .. } => Err(ONLY_REFS.into()),
        _ => Err(nameless()),
    }
}

/// The sha256 of the file that a reference names, whatever that holds: what `--sha256` asks for.
pub fn file_digest(reference: &Reference, outside: &Outside<'_>) -> Result<Digest> {
    match &reference.transport {
        Transport::Web(address) => web::digest(address, outside),
        Transport::OciArchive(File::Path(path))
        | Transport::DockerArchive(File::Path(path))
        | Transport::Tar(File::Path(path))
        | Transport::Local(path) => {
            web::sha256(outside.cx, orlop_fs::File::open(path)?, &path.display().to_string())
        }
        _ => Err(NO_ONE_FILE.into()),
    }
}

/// What of which registry a reference names.
pub fn repository(reference: &Reference) -> Option<&Repository> {
    match &reference.transport {
        Transport::Registry(repository) => Some(repository),
        _ => None,
    }
}

const NO_ONE_FILE: Error = Error::Unfit {
    what: "only an archive, a tar or a file of the web is one file with a digest of its own",
    hint: "leave --file away: the digest of the image names it everywhere",
};

const NO_FILE: Error = Error::Unfit {
    what: "only a file of the web has its digest told beside its name",
    hint: "an image is pinned by its own digest: REF@sha256:HEX",
};

const NO_STORE: Error = Error::Unfit {
    what: "every other place keeps the blobs that it is given",
    hint: "leave --keep-blobs out, or copy into the store: store:NAME",
};

/// Whether an image is kept there whole, by OSTree.
fn is_kept(reference: &Reference) -> bool {
    matches!(&reference.transport, Transport::Ostree { name, .. } if kept::is_image(name))
}

const NO_STYLE: Error = Error::Unfit {
    what: "only images that OSTree keeps have their refs in one form or another",
    hint: "leave --ref-style out, or copy to ostree:REPO@docker://NAME:TAG",
};

const ONLY_REFS: Error = Error::Unfit {
    what: "a repository of OSTree names what it holds by refs",
    hint: "change them with orlop ostree refs --repo=REPO --create=REF COMMIT, or orlop ostree refs --repo=REPO --delete NAME",
};

const NO_TAGS: Error = Error::Unfit {
    what: "a tar of files has no tags and no manifest",
    hint: "leave #TAG and @DIGEST away, or pin the file with --sha256",
};

fn nameless() -> orlop_spec::Fault {
    Error::Unfit {
        what: "there are no names to change: only layouts, archives in files and the store have them",
        hint: "copy the image into a layout first: orlop copy SRC oci:DIR:TAG",
    }
    .into()
}

fn absent(transport: &Transport) -> orlop_spec::Fault {
    Error::NoTransport { name: transport.name() }.into()
}
