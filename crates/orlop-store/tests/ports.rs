//! Every form on disk keeps the laws of the ports.

use orlop_layer::Time;
use orlop_spec::port::{Catalog, Keeper, Name, Origin, Result, Sink};
use orlop_spec::{Fault, Limits};
use orlop_store::store::{self, Store, StoreSink};
use orlop_store::{DockerArchive, Exploded, FarLayout, Layout, OciArchive, Options, archive};
use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use testkit::suites::{self, Again, Editors, Holds, Place};
use testkit::{Scratch, proof, scratch};

/// By this clock everything was made long ago: the year 2100.
const LATER: Time = Time::from_seconds(4_102_444_800);

fn options() -> Options {
    Options { now: LATER, ..Options::default() }
}

struct InFolder(Scratch);

impl Place for InFolder {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(Layout::create(self.0.path("layout"), &options())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Layout::open(self.0.path("layout"), &options())?))
    }

    fn keeper(&self) -> Result<Option<Box<dyn Keeper + '_>>> {
        Ok(Some(Box::new(Layout::open(self.0.path("layout"), &options())?)))
    }
}

#[test]
fn layouts() {
    let fresh = || -> Box<dyn Place> { Box::new(InFolder(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh) + suites::keeper(&fresh);
    proof::ran("ports: OCI layout", laws);
}

/// A store. Ages are those of its files: who opens it to keep it finds all of them old.
struct Stored(Scratch);

impl Stored {
    fn age(&self) {
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
        let mut folders = vec![self.0.path("store")];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir().expect("a folder").flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    std::fs::File::open(entry.path()).expect("there").set_modified(old).expect("set");
                }
            }
        }
    }
}

impl Place for Stored {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(StoreSink::create(self.0.path("store"), &store::Options::default())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Store::open(self.0.path("store"), &store::Options::default())?))
    }

    fn keeper(&self) -> Result<Option<Box<dyn Keeper + '_>>> {
        self.age();
        Ok(Some(Box::new(Store::open(self.0.path("store"), &store::Options::default())?)))
    }
}

#[test]
fn stores() {
    let fresh = || -> Box<dyn Place> { Box::new(Stored(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh) + suites::keeper(&fresh);
    proof::ran("ports: store", laws);
}

/// Blobs in a folder that several layouts share.
struct Sharing(Scratch);

impl Sharing {
    fn options(&self) -> Options {
        Options { shared_blobs: Some(self.0.path("shared")), ..options() }
    }
}

impl Place for Sharing {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(Layout::create(self.0.path("layout"), &self.options())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Layout::open(self.0.path("layout"), &self.options())?))
    }
}

/// A layout whose files are asked for one by one, as those of a web server are.
struct Afar(Scratch);

/// A file that is read when it is opened.
struct AFile(PathBuf);

impl Origin for AFile {
    fn open(&self, at: u64) -> Result<Box<dyn Read + Send + '_>> {
        let mut bytes = Cursor::new(std::fs::read(&self.0).map_err(|error| Fault::io("read it", error))?);
        bytes.set_position(at);
        Ok(Box::new(bytes))
    }
}

impl Place for Afar {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(Layout::create(self.0.path("layout"), &options())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        let folder = self.0.path("layout");
        let files = Box::new(move |name: &str| -> Box<dyn Origin> { Box::new(AFile(folder.join(name))) });
        Ok(Box::new(FarLayout::open("https://a.example/layout", files, &options().limits)?))
    }
}

#[test]
fn layouts_whose_files_are_elsewhere() {
    let fresh = || -> Box<dyn Place> { Box::new(Afar(scratch())) };
    proof::ran("ports: OCI layout elsewhere", suites::source(&fresh));
}

#[test]
fn layouts_with_shared_blobs() {
    let fresh = || -> Box<dyn Place> { Box::new(Sharing(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh);
    proof::ran("ports: OCI layout with shared blobs", laws);
}

fn archive_options(scratch: &Scratch) -> archive::Options {
    archive::Options { tmpdir: scratch.root().into(), limits: Limits::default(), cancel: None }
}

struct InTar(Scratch);

impl Place for InTar {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(OciArchive::create(self.0.path("a.tar"), &archive_options(&self.0))?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(OciArchive::open(self.0.path("a.tar"), &archive_options(&self.0))?))
    }

    fn keeper(&self) -> Result<Option<Box<dyn Keeper + '_>>> {
        Ok(Some(Box::new(OciArchive::open(self.0.path("a.tar"), &archive_options(&self.0))?)))
    }

    fn again(&self) -> Again {
        Again::Replaces
    }
}

#[test]
fn oci_archives() {
    let fresh = || -> Box<dyn Place> { Box::new(InTar(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh) + suites::keeper(&fresh);
    proof::ran("ports: OCI archive", laws);
}

struct Saved(Scratch);

impl Place for Saved {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(DockerArchive::create(self.0.path("a.tar"), &archive_options(&self.0))?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(DockerArchive::open(self.0.path("a.tar"), &archive_options(&self.0))?))
    }

    fn keeper(&self) -> Result<Option<Box<dyn Keeper + '_>>> {
        Ok(Some(Box::new(DockerArchive::open(self.0.path("a.tar"), &archive_options(&self.0))?)))
    }

    fn again(&self) -> Again {
        Again::Replaces
    }

    fn tag(&self, text: &str) -> Name {
        Name::Tag(format!("docker.io/library/{text}:latest").into())
    }
}

#[test]
fn docker_archives() {
    let fresh = || -> Box<dyn Place> { Box::new(Saved(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh) + suites::keeper(&fresh);
    proof::ran("ports: Docker archive", laws);
}

/// What a stream takes, readable afterwards.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Archives that come and go as streams, wrapped on the way.
struct Streamed(Scratch, RefCell<Pipe>, fn(&[u8]) -> Vec<u8>);

impl Place for Streamed {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        let pipe = Pipe::default();
        *self.1.borrow_mut() = pipe.clone();
        Ok(Box::new(OciArchive::write(Box::new(pipe), &archive_options(&self.0))?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        let bytes = self.2(&self.1.borrow().0.lock().expect("no writer panics"));
        Ok(Box::new(OciArchive::read(&bytes[..], &archive_options(&self.0))?))
    }

    fn again(&self) -> Again {
        Again::Replaces
    }
}

#[test]
fn streamed_archives_plain_and_wrapped() {
    let mut laws = 0;
    for wrap in [<[u8]>::to_vec, testkit::image::gzip, testkit::image::zstd] {
        let fresh = || -> Box<dyn Place> { Box::new(Streamed(scratch(), RefCell::default(), wrap)) };
        laws += suites::source(&fresh);
    }
    proof::ran("ports: OCI archive as a stream", laws);
}

struct Folder(Scratch);

impl Place for Folder {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(Exploded::create(self.0.path("dir"), &Limits::default())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Exploded::open(self.0.path("dir"), &Limits::default())?))
    }

    fn holds(&self) -> Holds {
        Holds::One
    }

    fn editors(&self) -> Editors {
        Editors::InTurn
    }

    fn again(&self) -> Again {
        Again::Replaces
    }
}

#[test]
fn exploded_images() {
    let fresh = || -> Box<dyn Place> { Box::new(Folder(scratch())) };
    let laws = suites::source(&fresh) + suites::sink(&fresh);
    proof::ran("ports: dir", laws);
}
