//! A way to a registry on which every exchange is written down, with the bytes of the bodies that went there and back.
//!
//! ```text
//! client ──── question ────► Recorder ────► registry
//!        ◄──── answer ─────  Exchange  ◄────
//! ```
//!
//! Invariant: bodies go on as they came. The registry is told the host that the client asked, so that where it sends the client
//! leads back here.

use crate::fault_server::in_the_clear;
use crate::http::{Asked, CONTINUE, Reply};
use crate::image::sha256;
use crate::listener::Listener;
use std::fmt;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

/// The way; it ends when it is dropped.
pub struct Recorder {
    listener: Listener,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// A question and its answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Status of the answer.
    pub status: u16,
    /// The body that was sent.
    pub sent: Body,
    /// The body that came back.
    pub received: Body,
    /// Bytes of both heads.
    pub heads: u64,
}

/// A body: how large it was, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Bytes, without framing.
    pub size: u64,
    /// Of those bytes.
    pub digest: String,
}

impl Body {
    fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, digest: sha256(bytes) }
    }
}

/// One line.
impl fmt::Debug for Exchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, target, status, sent, received, heads } = self;
        let (sent, received) = (sent.size, received.size);
        write!(out, "{method} {target} {status}: {sent} sent, {received} received, {heads} of heads")
    }
}

impl Recorder {
    /// A way to `127.0.0.1:PORT`.
    pub fn to(host: &str) -> Self {
        let registry: SocketAddr = host.parse().expect("an address of loopback");
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&exchanges);
        let listener = Listener::start(move |client| {
            let note = |exchange| notes.lock().expect("no holder panics").push(exchange);
            let Some(client) = in_the_clear(client) else { return };
            // Who leaves early is no matter of a recorder.
            let _left = carry(client, registry, note);
        });
        Self { listener, exchanges }
    }

    /// `127.0.0.1:PORT` of its near end.
    pub fn host(&self) -> String {
        self.listener.host()
    }

    /// What came past since this was last asked.
    pub fn exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.exchanges.lock().expect("no holder panics"))
    }
}

/// Questions of one connection, each with its answer, until one of both sides has enough.
fn carry(client: TcpStream, registry: SocketAddr, note: impl Fn(Exchange)) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut registry = BufReader::new(TcpStream::connect(registry)?);
    registry.get_ref().set_nodelay(true)?;
    while let Some(mut asked) = Asked::head(&mut client) {
        if asked.header("Expect").is_some() {
            client.get_mut().write_all(CONTINUE)?;
        }
        asked.read_body(&mut client)?;
        let question = question(&asked);
        registry.get_mut().write_all(&question)?;
        registry.get_mut().write_all(&asked.body)?;
        let reply = answer(&mut registry, &asked)?;
        let head = reply.head();
        note(Exchange {
            status: reply.status,
            sent: Body::of(&asked.body),
            received: Body::of(&reply.body),
            heads: (question.len() + head.len()) as u64,
            method: asked.method.clone(),
            target: asked.target.clone(),
        });
        reply.send(&asked, client.get_mut())?;
    }
    Ok(())
}

/// The head of a question as it goes on: the body is whole by now, and has a length.
fn question(asked: &Asked) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", asked.method, asked.target);
    let framing = ["Expect", "Transfer-Encoding", "Content-Length"];
    let other = |name: &str| !framing.iter().any(|it| it.eq_ignore_ascii_case(name));
    for (name, value) in asked.headers.iter().filter(|(name, _)| other(name)) {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if !["GET", "HEAD"].contains(&&*asked.method) {
        head.extend(["Content-Length: ", &asked.body.len().to_string(), "\r\n"]);
    }
    (head + "\r\n").into_bytes()
}

/// Reads an answer, its body without framing.
fn answer(registry: &mut impl BufRead, asked: &Asked) -> std::io::Result<Reply> {
    let broken = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    // The head of an answer is one of a question but for its first line, whose second word is the status.
    let mut told = Asked::head(registry).ok_or_else(broken)?;
    let status: u16 = told.target.parse().map_err(|_| broken())?;
    let is_bodiless = asked.method == "HEAD" || status == 204 || status == 304;
    if !is_bodiless {
        told.read_body(registry)?;
    }
    let is_framing = |name: &str| name.eq_ignore_ascii_case("Transfer-Encoding");
    let headers = told.headers.into_iter().filter(|(name, _)| !is_framing(name)).collect();
    Ok(Reply { status, headers, body: told.body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, Packing};
    use crate::registry::{Registry, skopeo};
    use crate::tarball::{Member, tar};
    use crate::{proof, scratch};

    const PROOF: &str = "testkit: skopeo writes and reads a registry by way of a recorder";

    /// The judge: what skopeo pushes and pulls by this way is whole, and each byte of its blobs is counted.
    #[test]
    fn skopeo_goes_by_it_and_every_body_is_written_down() {
        let (Some(registry), Some(_)) = (Registry::plain(), skopeo()) else {
            return proof::skipped(PROOF, "docker-registry or skopeo is missing");
        };
        let (recorder, scratch) = (Recorder::to(&registry.host()), scratch());
        let layout = Image::of(&[tar([Member::file("a", vec![7; 100_000])])], Packing::Plain).layout();
        layout.write(&scratch.path("image"));
        let layer = layout.files[&layout.layer_path(0)].clone();
        let here = format!("oci:{}:latest", scratch.path("image").display());
        let there = format!("docker://{}/app:1", recorder.host());
        let back = format!("dir:{}", scratch.path("back").display());
        skopeo().expect("found before").args(["copy", "--dest-tls-verify=false", &here, &there]).ok();
        let pushed = recorder.exchanges();
        // skopeo compresses on its way: the sum over the chunks is what lies there then.
        let manifest: serde_json::Value =
            serde_json::from_slice(&registry.document("app", "1")).expect("JSON");
        let blobs = [&manifest["config"], &manifest["layers"][0]];
        let size: u64 = blobs.iter().map(|blob| blob["size"].as_u64().expect("a size")).sum();
        let sent = |it: &&Exchange| it.target.contains("/blobs/");
        assert_eq!(pushed.iter().filter(sent).map(|it| it.sent.size).sum::<u64>(), size, "{pushed:#?}");
        skopeo().expect("found before").args(["copy", "--src-tls-verify=false", &there, &back]).ok();
        let pulled = recorder.exchanges();
        for blob in blobs {
            let digest = blob["digest"].as_str().expect("a digest");
            let came = pulled.iter().filter(|it| it.method == "GET" && it.target.ends_with(digest));
            assert_eq!(came.map(|it| it.received.digest.as_str()).collect::<Vec<_>>(), [digest]);
        }
        assert_ne!(layer.len() as u64, size);
        proof::ran(PROOF, 2);
    }
}
