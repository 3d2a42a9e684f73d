//! What can go wrong in a verb.

use orlop_fs::error::Shown;
use orlop_host::ostree::claim::Difference;
use orlop_host::ostree::id::ObjectId;
use orlop_layer::path::printable;
use orlop_spec::digest::AnyDigest;
use orlop_spec::lock::LockError;
use orlop_spec::media_type::MediaType;
use orlop_spec::network::SettingsError;
use orlop_spec::platform::Platform;
use orlop_spec::reference::Repository;
use orlop_spec::{Diagnose, Fault, Kind};
use std::io;
use std::path::PathBuf;

/// What can go wrong in a verb.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The root is neither manifest nor index.
    #[error("{digest} is of type `{media_type}`, which is no image")]
    NotAnImage {
        /// The root.
        digest: AnyDigest,
        /// Its type.
        media_type: MediaType,
    },
    /// The manifest names something else than an image.
    #[error("{digest} is an artifact of type `{artifact_type}`, not an image that can be unpacked")]
    Artifact {
        /// The manifest.
        digest: AnyDigest,
        /// What it holds.
        artifact_type: MediaType,
    },
    /// A layer is of a type that cannot be unpacked.
    #[error("the layer {digest} is of type `{media_type}`, which orlop cannot unpack")]
    UnknownLayer {
        /// The layer.
        digest: AnyDigest,
        /// Its type.
        media_type: MediaType,
    },
    /// The config names another number of layers than the manifest.
    #[error("the manifest {manifest} has {layers} layers, and its config has {diff_ids} diff ids")]
    LayerCount {
        /// The manifest.
        manifest: AnyDigest,
        /// Layers of the manifest.
        layers: usize,
        /// Diff ids of the config.
        diff_ids: usize,
    },
    /// A tar that was named is damaged, is none, or holds too much.
    #[error("the tar {} cannot be used", printable(.name))]
    BadTar {
        /// What it is called.
        name: Box<str>,
        /// Why.
        source: Fault,
    },
    /// The process has no right to mount.
    #[error("mounting needs the rights of root, or a namespace of one's own")]
    MayNotMount,
    /// Nothing is mounted by that name.
    #[error("nothing of the store is mounted at, or as, {}", .name.display())]
    NotMounted {
        /// What was asked for.
        name: PathBuf,
    },
    /// A transport that orlop reads references of, and cannot reach.
    #[error("`{name}:` is a transport that this version of orlop does not open")]
    NoTransport {
        /// The word before the colon.
        name: &'static str,
    },
    /// An address of the web that is none.
    #[error("{address} is no address of the web")]
    BadAddress {
        /// As it was written.
        address: Box<str>,
        /// Why.
        #[source]
        source: orlop_spec::wire::AddressError,
    },
    /// More layers than the limit.
    #[error("the image has more than {limit} layers")]
    TooManyLayers {
        /// Layers allowed.
        limit: usize,
    },
    /// An image that is being made has more layers than the limit.
    #[error("the image would have {count} layers, and it may have {limit}")]
    WouldHaveManyLayers {
        /// How many they would be.
        count: usize,
        /// Layers allowed.
        limit: usize,
    },
    /// A document that is being made is larger than the limit.
    #[error("the {what} would be {size} bytes long, and a document may have {limit}")]
    WouldBeLarge {
        /// Which document: `config`, `manifest`, `index`.
        what: &'static str,
        /// Its bytes.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Two flags that exclude each other, or a flag that the kind of place cannot honour.
    #[error("{what}")]
    Unfit {
        /// The rule.
        what: &'static str,
        /// What to type instead.
        hint: &'static str,
    },
    /// What a snapshot says of its image is not as it was written.
    #[error("the snapshot of the folder does not say which image it came from")]
    BadAbout {
        /// What is wrong with it.
        #[source]
        source: Option<orlop_spec::json::JsonError>,
    },
    /// Another folder stands where the tracked one was.
    #[error("{0} is not the folder that the snapshot is of")]
    OtherFolder(Shown),
    /// An image that is not the one that is meant.
    #[error("{reference} is another image than the one that the folder came from")]
    OtherImage {
        /// What it is called.
        reference: String,
    },
    /// The image that a folder came from is no longer where it was.
    #[error("the image that the folder came from is not where it was: {reference}")]
    ImageGone {
        /// Where it was.
        reference: String,
        /// What was found there.
        #[source]
        source: Fault,
    },
    /// A manifest of Docker's schema 1 that does not say what it must.
    #[error("the manifest {digest} of Docker's schema 1 cannot be converted")]
    BadSchemaOne {
        /// The manifest.
        digest: AnyDigest,
        /// What is wrong.
        #[source]
        source: orlop_spec::schema_one::SchemaOneError,
    },
    /// A tag of a place of files.
    #[error("files make one image, which has no name")]
    Nameless,
    /// Two entries of an index for one platform.
    #[error("the index holds an image for {platform} already")]
    PlatformTaken {
        /// The platform.
        platform: Box<Platform>,
    },
    /// A list of components that cannot be followed.
    #[error("{file} is no list of components")]
    BadComponents {
        /// The file.
        file: Shown,
        /// Why.
        #[source]
        source: crate::chunk::packages::ComponentsError,
    },
    /// No such entry in an index.
    #[error("the index names no {digest}")]
    NoEntry {
        /// What was asked for.
        digest: AnyDigest,
    },
    /// No such layer in an image.
    #[error("the image has no layer {which}")]
    NoLayer {
        /// What was asked for.
        which: String,
    },
    /// An image does not begin with the layers of what is said to be its base.
    #[error("{image} was not made on {base}: layer {layer} of its {count} is another one, or missing")]
    NotOnBase {
        /// The image.
        image: AnyDigest,
        /// The base.
        base: AnyDigest,
        /// Which layer, from 1.
        layer: usize,
        /// How many the base has.
        count: usize,
    },
    /// A base is for another machine than an image.
    #[error("the base {digest} is for {found}, and the image for {wanted}")]
    BaseOfOther {
        /// The base.
        digest: AnyDigest,
        /// For which machine it is.
        found: Box<Platform>,
        /// For which the image is.
        wanted: Box<Platform>,
    },
    /// Nobody says on what an image was made.
    #[error("nothing tells on what {image} was made")]
    NoBase {
        /// The image.
        image: AnyDigest,
    },
    /// A file belongs to somebody who is nobody in the image.
    #[error("{path} belongs to {id}, who is in no range of the map")]
    InNoRange {
        /// The file.
        path: String,
        /// User or group, and the number.
        id: String,
    },
    /// What the store keeps of a tree was changed.
    #[error("{first} of the store is not what it should be{}", others(*.more))]
    Tampered {
        /// The first object or tree.
        first: String,
        /// How many others.
        more: usize,
    },
    /// A layer of an image that is made by deltas, which nobody has.
    #[error("neither the older image nor the delta, nor its place, holds the layer {digest}")]
    LayerNowhere {
        /// The blob.
        digest: AnyDigest,
    },
    /// A layer whose uncompressed bytes are known, and not how they were compressed.
    #[error("the layer {digest} was compressed by another program, and cannot be made again to the byte")]
    ForeignCompression {
        /// The blob.
        digest: AnyDigest,
    },
    /// A file that is to be replaced by an index, and is none.
    #[error("{} is no index of images, so it is not replaced by one", .path.display())]
    NotAnIndex {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: orlop_spec::json::JsonError,
    },
    /// No such path in the image.
    #[error("the image holds no {path}")]
    NoFile {
        /// The path, escaped.
        path: String,
    },
    /// A path that leads from link to link.
    #[error("{path} leads over too many links in the image")]
    TooManyLinks {
        /// The path, escaped.
        path: String,
    },
    /// A path that is no regular file.
    #[error("{path} is no regular file in the image")]
    NotAFile {
        /// The path, escaped.
        path: String,
    },
    /// An image is not the commit that it claims to be.
    #[error("the image speaks of the commit {id}, but {difference}")]
    NotTheCommit {
        /// The commit.
        id: ObjectId,
        /// What differs.
        difference: Difference,
    },
    /// An image without a label that is needed.
    #[error("the image has no label {label}")]
    NoLabel {
        /// Which.
        label: &'static str,
    },
    /// An image claims to be no commit, though it has to.
    #[error("the labels of the image speak of no commit that could be given back")]
    NoCommit,
    /// Bytes that were named differ from those that would be copied.
    #[error("the digest would change from {from} to {to}")]
    DigestChanges {
        /// Before.
        from: AnyDigest,
        /// After.
        to: AnyDigest,
    },
    /// A file of settings is damaged, or says what cannot be honoured.
    #[error("the settings of {file} cannot be used")]
    Settings {
        /// The file.
        file: Shown,
        /// Why.
        #[source]
        source: SettingsError,
    },
    /// A name without a host, which several hosts may have, and settings that forbid to try them.
    #[error("{name} may be {}, and `short-name-mode` of registries.conf forbids to try them", alternatives(.meant))]
    SeveralHosts {
        /// The name.
        name: Box<str>,
        /// What it may be.
        meant: Vec<Repository>,
    },
    /// A name without a host, which none of the hosts has that were to be searched.
    #[error("{name} is on none of the hosts that registries.conf names: asked for {}", alternatives(.asked))]
    OnNoHost {
        /// The name.
        name: Box<str>,
        /// What was asked for.
        asked: Vec<String>,
    },
    /// The beginning of a digest that several images of the store have.
    #[error("{text} begins {} images of the store: {}", .found.len(), alternatives(.found))]
    SeveralBegin {
        /// As it was written.
        text: Box<str>,
        /// The images.
        found: Vec<AnyDigest>,
    },
    /// A policy that is there and cannot be understood.
    #[error("the policy {file} cannot be used, so no image is")]
    BadPolicy {
        /// The file.
        file: Shown,
        /// Why.
        #[source]
        source: SettingsError,
    },
    /// Settings forbid a repository.
    #[error("{repository} is blocked by the entry {prefix:?} of registries.conf")]
    Blocked {
        /// The repository.
        repository: Box<str>,
        /// The entry.
        prefix: Box<str>,
    },
    /// No host of a `hosts.toml` serves what is wanted.
    #[error("no host in {} serves what is to be done with {host}", .file.display())]
    NoHost {
        /// The registry.
        host: Box<str>,
        /// The file.
        file: PathBuf,
    },
    /// A policy forbids an image.
    #[error("{image} is refused by {rule} of {file}")]
    Refused {
        /// The image.
        image: String,
        /// The rule.
        rule: String,
        /// The policy.
        file: Shown,
    },
    /// A policy asks for a signature.
    #[error(
        "{rule} of {file} asks for a signature (`{kind}`) of {image}, and this version of orlop verifies none"
    )]
    Unsigned {
        /// The image.
        image: String,
        /// The rule.
        rule: String,
        /// What kind of signature.
        kind: Box<str>,
        /// The policy.
        file: Shown,
    },
    /// A lock file that is there and cannot be understood.
    #[error("the lock file {file} cannot be used, so no name of an image is")]
    BadLock {
        /// The file.
        file: Shown,
        /// Why.
        #[source]
        source: LockError,
    },
    /// A name that a lock file does not list.
    #[error("{reference} is not in the lock file {file}")]
    NotLocked {
        /// The reference, or the place of which none is listed.
        reference: Box<str>,
        /// The file.
        file: Shown,
    },
    /// One site would be secure for one repository and insecure for another.
    #[error(
        "{host} may be insecure for one of the repositories and not for another, and both would share its connections"
    )]
    MixedSecurity {
        /// The host.
        host: String,
    },
    /// A credential that was typed, and two registries.
    #[error("the credential that was typed is for {first}, and is not shown to {second}")]
    OneRegistry {
        /// The registry that came first.
        first: Box<str>,
        /// The other one.
        second: Box<str>,
    },
    /// Not a host.
    #[error("{0:?} is no HOST[:PORT]")]
    BadHost(Box<str>),
    /// Not a place of a file.
    #[error("{} is no path of an auth file", .0.display())]
    BadAuthPath(PathBuf),
    /// A credential helper could not be run.
    #[error("cannot run the credential helper `{program}`")]
    HelperFailed {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A credential helper says that it failed; its words may hold a secret.
    #[error("the credential helper `{program}` failed for {server}")]
    HelperRefused {
        /// The program.
        program: String,
        /// What it was asked about.
        server: Box<str>,
    },
    /// A proxy that cannot be used.
    #[error("the proxy that `{variable}` names cannot be used: it is none of http, socks5 and socks5h")]
    BadProxy {
        /// The variable.
        variable: &'static str,
    },
}

impl Error {
    /// What is wrong with a tar of this name; its bytes do not tell whose they are.
    pub fn of_tar(name: &str, source: Fault) -> Fault {
        match source.kind() {
            Kind::Integrity | Kind::Limit => Self::BadTar { name: name.into(), source }.into(),
            _ => source,
        }
    }
}

impl Diagnose for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoFile { .. }
            | Self::NoEntry { .. }
            | Self::NoLayer { .. }
            | Self::OnNoHost { .. }
            | Self::Nameless
            | Self::NotMounted { .. }
            | Self::LayerNowhere { .. } => Kind::NotFound,
            Self::LayerCount { .. }
            | Self::BadAbout { .. }
            | Self::BadSchemaOne { .. }
            | Self::DigestChanges { .. }
            | Self::Tampered { .. }
            | Self::NotTheCommit { .. }
            | Self::NoCommit => Kind::Integrity,
            Self::TooManyLayers { .. } | Self::WouldHaveManyLayers { .. } | Self::WouldBeLarge { .. } => {
                Kind::Limit
            }
            Self::Unfit { .. }
            | Self::ForeignCompression { .. }
            | Self::PlatformTaken { .. }
            | Self::NoTransport { .. }
            | Self::BadAddress { .. }
            | Self::BadHost(_)
            | Self::SeveralHosts { .. }
            | Self::SeveralBegin { .. }
            | Self::NotOnBase { .. }
            | Self::BaseOfOther { .. }
            | Self::NoBase { .. }
            | Self::InNoRange { .. }
            | Self::OneRegistry { .. } => Kind::Usage,
            Self::BadPolicy { .. }
            | Self::Blocked { .. }
            | Self::Refused { .. }
            | Self::Unsigned { .. }
            | Self::NotLocked { .. }
            | Self::MixedSecurity { .. } => Kind::Policy,
            Self::BadLock { source, .. } => source.kind(),
            Self::BadTar { source, .. } | Self::ImageGone { source, .. } => source.kind(),
            Self::HelperFailed { .. } | Self::HelperRefused { .. } => Kind::Denied,
            Self::NotAnImage { .. }
            | Self::OtherFolder(_)
            | Self::OtherImage { .. }
            | Self::Artifact { .. }
            | Self::UnknownLayer { .. }
            | Self::TooManyLinks { .. }
            | Self::MayNotMount
            | Self::NotAFile { .. }
            | Self::NoLabel { .. }
            | Self::NotAnIndex { .. }
            | Self::Settings { .. }
            | Self::NoHost { .. }
            | Self::BadAuthPath(_)
            | Self::BadComponents { .. }
            | Self::BadProxy { .. } => Kind::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unfit { hint, .. } => Some((*hint).into()),
            Self::BadTar { source, .. } => source.hint(),
            Self::WouldHaveManyLayers { .. } => {
                Some("make one of some of them before: orlop flatten REF --last N".into())
            }
            Self::WouldBeLarge { .. } => {
                Some("say less in it, or let it and whoever reads it be allowed more with --max-document 16M".into())
            }
            Self::BadAbout { .. } => Some("unpack the image again, with --track".into()),
            Self::OtherFolder(_) => {
                Some("where it is a copy of that folder, compare all of it with --paranoid".into())
            }
            Self::OtherImage { .. } => Some("name the right one with --base REF".into()),
            Self::ImageGone { .. } => Some("say where it is now: --base REF".into()),
            Self::NotOnBase { .. } => Some(
                "say which image it was made on with --old-base REF; `orlop inspect` lists the layers of both".into(),
            ),
            Self::BaseOfOther { .. } => Some("name a base that has an image for that machine".into()),
            Self::NoBase { .. } => Some("say it: orlop rebase REF --old-base A --new-base B".into()),
            Self::InNoRange { .. } => Some("widen the map: --uid-map IMAGE:HERE:COUNT, --gid-map".into()),
            Self::Nameless => {
                Some("leave the tag out, or keep the image under one: orlop copy SRC oci:DIR:TAG".into())
            }
            Self::UnknownLayer { .. } | Self::Artifact { .. } => {
                Some("`orlop copy` carries it unchanged; `orlop inspect --raw` shows the manifest".into())
            }
            Self::PlatformTaken { .. } => Some("put the new one in its place with --overwrite, or say for which machine it is with --platform PLATFORM=SRC".into()),
            Self::LayerNowhere { .. } => Some("fetch the image: orlop copy NEW DST".into()),
            Self::ForeignCompression { .. } => {
                Some("compress it anew, under another digest, with --compress gzip".into())
            }
            Self::NotAnIndex { .. } => Some("write into another folder, or move that file away".into()),
            Self::NoEntry { .. } => Some("`orlop tree REF` lists what it names".into()),
            Self::NoLayer { .. } => Some("`orlop du REF` lists the layers, numbered from 0".into()),
            Self::NoFile { .. } | Self::NotAFile { .. } | Self::TooManyLinks { .. } => {
                Some("`orlop files REF` lists what there is".into())
            }
            Self::NoTransport { .. } => Some(
                "it opens docker:, oci:, oci-archive:, docker-archive:, dir:, rootfs:, tar:, ostree: and https:"
                    .into(),
            ),
            Self::Refused { .. } | Self::Unsigned { .. } | Self::BadPolicy { .. } => Some(
                "name another policy with --policy FILE, or do without one with --insecure-policy".into(),
            ),
            Self::MayNotMount => Some(
                "mount it for one command with `orlop mount NAME -- CMD`, or work in `orlop unshare`".into(),
            ),
            Self::BadComponents { .. } => Some("write NAME PATH on each line, as in: base usr/bin".into()),
            Self::NoLabel { .. } => Some("name the ref with --branch; orlop flatpak lint REF tells what else is missing".into()),
            Self::NotTheCommit { .. } | Self::NoCommit => {
                Some("take it as a new commit with --verify-id=auto".into())
            }
            Self::NotMounted { .. } => Some("`orlop mount` lists what is mounted".into()),
            Self::NotLocked { reference, file } => Some(format!("orlop lock --update {file} {reference}")),
            Self::MixedSecurity { host } => Some(format!("allow both with --insecure {host}")),
            Self::BadProxy { variable } => Some(format!(
                "write {variable} as http://, socks5:// or socks5h://[USER:PASSWORD@]HOST[:PORT]"
            )),
            Self::SeveralHosts { meant, .. } => Some(format!("write the host, as in {}", meant.first()?)),
            Self::SeveralBegin { .. } => Some("write more digits; `orlop images` lists the images".into()),
            Self::OnNoHost { .. } => Some("write the host where it is, as in HOST/NAME:TAG".into()),
            Self::HelperRefused { program, server } => {
                Some(format!("see what it says: echo {server} | {program} get"))
            }
            _ => None,
        }
    }

    /// What goes along with an image under names of its own is, where those are not locked, not there.
    fn is_absence(&self) -> bool {
        self.kind() == Kind::NotFound || matches!(self, Self::NotLocked { .. })
    }
}

/// `, and 3 others`
fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", and another".into(),
        more => format!(", and {more} others"),
    }
}

/// `a, b or c`
fn alternatives<T: ToString>(all: &[T]) -> String {
    let words: Vec<String> = all.iter().map(ToString::to_string).collect();
    match words.split_last() {
        Some((last, others @ [_, ..])) => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}
