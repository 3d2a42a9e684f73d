//! Root tars: a tree in a tar, as an input of `build` and as a target of a render.

use crate::form::Form;
use crate::hashed::feed;
use crate::image::Image;
use crate::layers;
use crate::rendering::Press;
use crate::spool::Spool;
use crate::trees::{Reading, Sifted};
use orlop_fs::{Dir, File, Persist, Temp};
use orlop_host::aci::squeeze::{self, Squeeze};
use orlop_layer::codec::Codec;
use orlop_layer::decode::Visit as _;
use orlop_layer::encode::{Encoded, encode};
use orlop_layer::tar::Ending;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entries, Error as LayerError, Kind, tar};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, Context, Event, Fault, reference};
use std::io::{BufRead as _, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A tar that was read whole: its tree as one layer, whiteouts included, and its contents.
#[derive(Debug)]
pub struct TarTree {
    /// The tree, not stacked on anything.
    pub tree: Tree,
    /// The contents.
    pub spool: Spool,
    /// How the tar ended.
    pub ending: Ending,
}

/// Reads a tar, compressed or not, by its content. What is beneath an excluded folder is excluded too.
pub fn read(cx: &Context<'_>, input: impl Read + Send, spool: File, how: &Reading) -> Result<TarTree> {
    let reader = tar::Reader::new(BufReader::with_capacity(BUFFER, plain(cx, input)?), cx.limits);
    let spool = Spool::new(spool);
    let mut sifted = Sifted::new(reader, how);
    let tree = gather(cx, &mut sifted, &spool, 0)?;
    let ending = sifted.into_inner().ending().expect("it was read to its end");
    Ok(TarTree { tree, spool, ending })
}

/// Bytes that are read at once.
pub const BUFFER: usize = 1 << 18;

/// The bytes of a tar that may be compressed, by its content.
pub fn plain<'a>(cx: &Context<'_>, input: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let head = input.fill_buf().map_err(|error| Fault::io("read the tar", error))?;
    if head.is_empty() {
        // A producer that failed before the first byte; an image without files would hide that.
        return Err(LayerError::Tar { offset: 0, what: "there is not one byte" }.into());
    }
    Ok(Squeeze::detect(head).decoder(input, cx.limits))
}

/// Keeps entries and their contents as a layer of a spool.
pub fn gather(cx: &Context<'_>, entries: &mut dyn Entries, spool: &Spool, layer: u16) -> Result<Tree> {
    let mut builder = Builder::new(layer, cx.limits);
    let mut filler = spool.layer(layer);
    let mut ordinal = 0;
    while let Some(entry) = entries.next_entry()? {
        cx.cancel.check()?;
        let offset = entries.offset();
        filler.entry(ordinal, offset, &entry)?;
        builder.add(ordinal, offset, &entry)?;
        ordinal += 1;
        if matches!(entry.kind, Kind::File { .. }) {
            feed(entries, &mut filler)?;
        }
    }
    Ok(builder.finish())
}

/// Says how a tar ended that did not end well. A layer's end is proven by its diff id; nothing but its own end says that a
/// tar is whole.
pub fn doubt(cx: &Context<'_>, name: &str, ending: Ending) {
    let Some(what) = ending.doubt() else { return };
    cx.observer.event(Event::Warned(format!("the tar {name} {what}")));
}

/// Writes the merged tree of an image as a canonical tar.
pub fn export(
    cx: &Context<'_>,
    image: &Image<'_>,
    press: Press,
    spool: File,
    out: &mut dyn Write,
) -> Result<Encoded> {
    let spool = Spool::new(spool);
    let opened = layers::open(cx, "read", image, &|layer, decode| decode(&mut spool.layer(layer)))?;
    let tree = layers::stack(opened.trees)?;
    write(cx, &mut spool.entries(&tree), press, Algorithm::Sha256, out)
}

/// Writes entries, which come in canonical order, as a canonical tar.
pub fn write(
    cx: &Context<'_>,
    entries: &mut dyn Entries,
    press: Press,
    algorithm: Algorithm,
    out: &mut dyn Write,
) -> Result<Encoded> {
    let codec = match press {
        Press::Layer(codec) => codec,
        Press::Xz => Codec::None,
    };
    let how = Form { codec, algorithm }.encode(cx, &|_| ());
    if press != Press::Xz {
        return Ok(encode(entries, &how, out)?);
    }
    let failed = |error| Fault::io("compress the tar", error);
    let mut xz = squeeze::xz(out).map_err(failed)?;
    let encoded = encode(entries, &how, &mut xz)?;
    xz.finish().map_err(failed)?;
    Ok(encoded)
}

/// A tar that is to be made: a file, which appears in one step, or a stream.
pub struct NewTar<'a> {
    /// Where it goes.
    pub file: reference::File,
    /// Where contents wait.
    pub tmpdir: PathBuf,
    /// Opens standard output, for a stream.
    pub stdout: &'a (dyn Fn() -> Box<dyn Write + Send> + Sync),
}

impl NewTar<'_> {
    /// A file for contents.
    pub fn spool(&self) -> Result<File> {
        Ok(Dir::open(&self.tmpdir)?.spool()?)
    }

    /// Lets `fill` write it, and publishes it.
    pub fn write<T>(&self, fill: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
        let Some(path) = self.file.path() else {
            let mut out = (self.stdout)();
            let filled = fill(&mut out)?;
            return out.flush().map(|()| filled).map_err(|error| Fault::io("write the tar", error));
        };
        let (filled, whole) = Whole::write(path, fill)?;
        whole.publish()?;
        Ok(filled)
    }
}

/// A file that was written whole, and is not there yet.
pub(crate) struct Whole {
    temp: Temp<'static>,
    folder: Dir,
    name: Vec<u8>,
}

impl Whole {
    /// Lets `fill` write it.
    pub(crate) fn write<T>(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<(T, Self)> {
        let (folder, name) = orlop_store::archive::replaceable(path)?;
        let temp = Temp::beside(folder.try_clone()?, &name)?;
        let mut out = BufWriter::new(temp.file());
        let filled = fill(&mut out)?;
        out.flush().map_err(|error| Fault::io(format!("write {}", path.display()), error))?;
        drop(out);
        temp.file().sync_data()?;
        Ok((filled, Self { temp, folder, name }))
    }

    /// Lets it appear under its name.
    pub(crate) fn publish(self) -> Result<()> {
        self.temp.persist(self.name, Persist::Replace)?;
        Ok(self.folder.sync()?)
    }
}

/// A tar that becomes a root filesystem.
pub struct RootTar<'a>(pub NewTar<'a>);

impl RootTar<'_> {
    /// Writes the merged tree of an image as a canonical tar.
    pub fn write(&self, cx: &Context<'_>, image: &Image<'_>, press: Press) -> Result<Encoded> {
        let spool = self.0.spool()?;
        self.0.write(|out| export(cx, image, press, spool, out))
    }
}
