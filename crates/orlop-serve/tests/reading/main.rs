//! What a registry answers, asked over real sockets with bytes that the tests write themselves.
//!
//! Its images lie in memory: a manifest of two layers as `1`, an index over it as `many`, and a signature of it.

mod ailing;
mod documents;
mod sockets;
mod tokens;

use orlop_serve::{Guard, Options, Registry, Server};
use orlop_spec::media_type::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use orlop_spec::port::{Catalog, Name, Sink as _};
use orlop_spec::{
    Algorithm, Cancel, Context, Descriptor, Digest, Document, Event, Index, Limits, Manifest, Observer, json,
};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::suites::memory::Memory;
use testkit::suites::{put, put_document};

const LAYER: &[u8] = b"0123456789";

/// What lies in memory.
struct Images {
    memory: Memory,
    layer: Descriptor,
    manifest: Document<Manifest>,
    index: Document<Index>,
    signature: Document<Manifest>,
}

impl Images {
    fn new() -> Self {
        let memory = Memory::default();
        let layer = put(&memory, OCI_LAYER, LAYER);
        let config = put(&memory, OCI_CONFIG, b"{}");
        let manifest = manifest(&config, std::slice::from_ref(&layer), None);
        let signature = manifest_of(&config, manifest.descriptor());
        let index = Index::new(vec![manifest.descriptor().clone()]);
        let index = Document::print(index, MediaType::new(OCI_INDEX), Algorithm::Sha256);
        let names = [
            (Name::Tag("1".into()), put_document(&memory, &manifest)),
            (Name::Tag("many".into()), put_document(&memory, &index)),
            (Name::Tag("not/for/a/registry".into()), manifest.descriptor().clone()),
            (Name::Untagged, put_document(&memory, &signature)),
        ];
        Box::new(memory.clone()).finish(&names).expect("whole images");
        Self { memory, layer, manifest, index, signature }
    }

    fn offer(&self) -> Vec<(Box<str>, Box<dyn Catalog>)> {
        vec![
            ("team/app".into(), Box::new(self.memory.clone())),
            ("empty".into(), Box::new(Memory::default())),
        ]
    }
}

fn manifest(config: &Descriptor, layers: &[Descriptor], subject: Option<&Descriptor>) -> Document<Manifest> {
    let value = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers,
    });
    let mut value: Manifest = json::parse(value.to_string().as_bytes()).expect("a manifest");
    value.subject = subject.cloned();
    Document::print(value, MediaType::new(OCI_MANIFEST), Algorithm::Sha256)
}

fn manifest_of(config: &Descriptor, subject: &Descriptor) -> Document<Manifest> {
    manifest(config, &[], Some(subject))
}

/// Hears the warnings.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn event(&self, event: Event) {
        if let Event::Warned(text) = event {
            self.0.lock().expect("no holder panics").push(text);
        }
    }
}

/// Serves for as long as the work takes, and ends then; gives what the server had to say.
fn serving(
    offer: &dyn orlop_serve::Offer,
    guard: Option<Guard>,
    options: &Options,
    work: impl FnOnce(SocketAddr),
) -> Vec<String> {
    let (heard, limits, cancel) = (Heard::default(), Limits::default(), Arc::new(Cancel::new()));
    let cx = Context { observer: &heard, cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN };
    let registry = Registry::new(&cx, offer, guard);
    let server = Server::bind("127.0.0.1:0".parse().expect("an address")).expect("loopback has free ports");
    let address = server.address();
    std::thread::scope(|scope| {
        let serves = scope.spawn(|| server.serve(&registry, options, &cancel));
        // A failed assertion must end the server, too.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(address)));
        cancel.set();
        serves.join().expect("the server ends");
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    heard.0.into_inner().expect("no holder panics")
}

/// Serves the usual images.
fn with_images(work: impl FnOnce(SocketAddr, &Images)) -> Vec<String> {
    let images = Images::new();
    serving(&images.offer(), None, &Options::default(), |address| work(address, &images))
}

/// What came back.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it)
    }

    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("an error has a document");
        body["errors"][0]["code"].as_str().expect("an error has a code").to_owned()
    }
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    BufReader::new(stream)
}

/// Asks once, on a connection of its own.
fn ask(address: SocketAddr, method: &str, path: &str, fields: &str) -> Got {
    ask_on(&mut connect(address), method, path, fields)
}

fn ask_on(stream: &mut BufReader<TcpStream>, method: &str, path: &str, fields: &str) -> Got {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: reg.test\r\n{fields}\r\n");
    stream.get_mut().write_all(head.as_bytes()).expect("it reads");
    receive(stream, method)
}

fn get(address: SocketAddr, path: &str) -> Got {
    ask(address, "GET", path, "")
}

fn receive(stream: &mut BufReader<TcpStream>, method: &str) -> Got {
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{line:?}"));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a head");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_owned(), value.to_owned());
    }
    let length = headers.get("Content-Length").map_or(0, |it| it.parse().expect("a length"));
    let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
    stream.read_exact(&mut body).expect("a body of the length that was said");
    Got { status, headers, body }
}

fn sha256(bytes: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, bytes).to_string()
}
