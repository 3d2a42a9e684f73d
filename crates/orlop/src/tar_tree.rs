//! Root tars: a tree in a tar, as an input of `build` and as a target of a render.

use crate::hashed::feed;
use crate::image::Image;
use crate::layers;
use crate::spool::Spool;
use crate::trees::Reading;
use orlop_fs::owner::Owner;
use orlop_fs::{Dir, File, Persist, Temp};
use orlop_layer::codec::{self, Codec};
use orlop_layer::decode::Visit as _;
use orlop_layer::encode::{Encode, Encoded, encode};
use orlop_layer::tar::Ending;
use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entries as _, Error as LayerError, Kind, tar};
use orlop_spec::port::Result;
use orlop_spec::{Algorithm, Context, Fault, reference};
use std::io::{BufRead as _, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

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
    let mut input = BufReader::with_capacity(1 << 18, input);
    let head = input.fill_buf().map_err(|error| Fault::io("read the tar", error))?;
    if head.is_empty() {
        // A producer that failed before the first byte; an image without files would hide that.
        return Err(LayerError::Tar { offset: 0, what: "there is not one byte" }.into());
    }
    let compression = codec::detect(head);
    let plain = codec::decoder(compression, input, cx.limits);
    let mut reader = tar::Reader::new(BufReader::with_capacity(1 << 18, plain), cx.limits);
    let spool = Spool::new(spool);
    let mut builder = Builder::new(0, cx.limits);
    let mut filler = spool.layer(0);
    let mut ordinal = 0;
    while let Some(mut entry) = reader.next_entry()? {
        cx.cancel.check()?;
        if how.leaves_out(&entry.path) {
            continue;
        }
        if matches!(&entry.kind, Kind::HardLink { target } if how.leaves_out(target)) {
            let what = "is a hard link to a member that is excluded; exclude both or none";
            return Err(LayerError::Entry { path: entry.path.to_string(), what }.into());
        }
        if how.owner == Owner::Squash {
            (entry.meta.uid, entry.meta.gid) = (0, 0);
        }
        let offset = reader.offset();
        filler.entry(ordinal, offset, &entry)?;
        builder.add(ordinal, offset, &entry)?;
        ordinal += 1;
        if matches!(entry.kind, Kind::File { .. }) {
            feed(&mut reader, &mut filler)?;
        }
    }
    let ending = reader.ending().expect("it was read to its end");
    Ok(TarTree { tree: builder.finish(), spool, ending })
}

/// Writes the merged tree of an image as a canonical tar.
pub fn export(
    cx: &Context<'_>,
    image: &Image<'_>,
    codec: Codec,
    spool: File,
    out: &mut dyn Write,
) -> Result<Encoded> {
    let spool = Spool::new(spool);
    let opened = layers::open(cx, "read", image, &|layer, decode| decode(&mut spool.layer(layer)))?;
    let tree = layers::stack(opened.trees)?;
    let how = Encode {
        codec,
        algorithm: Algorithm::Sha256,
        workers: cx.workers,
        limits: cx.limits,
        cancel: cx.cancel,
        progress: &|_| {},
    };
    Ok(encode(&mut spool.entries(&tree), &how, out)?)
}

/// A tar that becomes a root filesystem: a file, which appears in one step, or a stream.
pub struct RootTar<'a> {
    /// Where it goes.
    pub file: reference::File,
    /// Where contents wait.
    pub tmpdir: PathBuf,
    /// Opens standard output, for a stream.
    pub stdout: &'a (dyn Fn() -> Box<dyn Write + Send> + Sync),
}

impl RootTar<'_> {
    /// Writes the merged tree of an image as a canonical tar.
    pub fn write(&self, cx: &Context<'_>, image: &Image<'_>, codec: Codec) -> Result<Encoded> {
        let spool = Dir::open(&self.tmpdir)?.spool()?;
        let Some(path) = self.file.path() else {
            let mut out = (self.stdout)();
            let encoded = export(cx, image, codec, spool, &mut out)?;
            return out.flush().map(|()| encoded).map_err(|error| Fault::io("write the tar", error));
        };
        let (folder, name) = orlop_store::archive::replaceable(path)?;
        let temp = Temp::beside(folder.try_clone()?, &name)?;
        let mut out = BufWriter::new(temp.file());
        let encoded = export(cx, image, codec, spool, &mut out)?;
        out.flush().map_err(|error| Fault::io(format!("write {}", path.display()), error))?;
        drop(out);
        temp.file().sync_data()?;
        temp.persist(name, Persist::Replace)?;
        folder.sync()?;
        Ok(encoded)
    }
}
