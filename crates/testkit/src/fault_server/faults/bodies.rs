//! Faults of reading: bodies that are not what was named, and answers that are none.

use super::{
    DENIED, Effect, End, Fault, INTEGRITY, NONSENSE, ONCE, Piece, Times, Walk, flipped, other_digest, row,
};
use crate::fault_server::{Part, Scene};
use crate::http::Reply;
use crate::image::{INDEX, gzip};
use orlop_spec::Kind;

const BLOB: (Walk, Part, Times) = (Walk::Pull, Part::Blob, ONCE);
const BLOBS: (Walk, Part, Times) = (Walk::Pull, Part::Blob, Times::Always);
const MANIFESTS: (Walk, Part, Times) = (Walk::Pull, Part::Manifest, Times::Always);

pub(super) static FAULTS: &[Fault] = &[
    // Bodies that lie.
    row(
        "flipped bit",
        "A wrong byte is never kept.",
        BLOBS,
        Effect::Change(|_, reply| flipped(reply)),
        INTEGRITY,
    ),
    row(
        "flipped bit once",
        "A wrong byte is never kept.",
        BLOB,
        Effect::Change(|_, reply| flipped(reply)),
        End::Safe,
    ),
    row(
        "short body with its own length",
        "A blob has the size of its descriptor.",
        BLOBS,
        Effect::Change(short),
        NONSENSE,
    ),
    row(
        "long body",
        "Not a byte more than the descriptor's size is taken.",
        BLOBS,
        Effect::Change(|_, reply| long(reply)),
        INTEGRITY,
    ),
    row(
        "empty body",
        "A blob has the size of its descriptor.",
        BLOBS,
        Effect::Change(|_, reply| reply.with("Content-Length", "0").body("")),
        NONSENSE,
    ),
    row(
        "endless blob",
        "Not a byte more than the descriptor's size is taken.",
        BLOBS,
        Effect::Endless(Piece::Body),
        INTEGRITY,
    ),
    row(
        "other digest in the header",
        "A digest that is told is compared (item 204).",
        BLOBS,
        Effect::Change(|_, reply| other_digest(reply)),
        End::Safe,
    ),
    row(
        "flipped bit in a manifest",
        "A manifest is what its digest says (item 203).",
        MANIFESTS,
        Effect::Change(|_, reply| flipped(reply)),
        INTEGRITY,
    ),
    row(
        "other digest of a manifest",
        "A digest that is told is compared (item 204).",
        MANIFESTS,
        Effect::Change(|_, reply| other_digest(reply)),
        INTEGRITY,
    ),
    row(
        "digest that is none",
        "What is no digest is never a path.",
        MANIFESTS,
        Effect::Change(|_, reply| reply.with("Docker-Content-Digest", "sha256:../../etc/passwd")),
        End::Safe,
    ),
    row(
        "manifest as a web page",
        "A manifest has the type of a manifest.",
        MANIFESTS,
        Effect::Change(|_, _| Reply::new(200).with("Content-Type", "text/html").body("<html>log in</html>")),
        NONSENSE,
    ),
    row(
        "manifest under another type",
        "The type of the answer is that of the document (item 202).",
        MANIFESTS,
        Effect::Change(|_, reply| reply.with("Content-Type", INDEX)),
        End::Refused(&[Kind::Integrity, Kind::Policy, Kind::Other]),
    ),
    row(
        "endless manifest",
        "A manifest has a limit.",
        MANIFESTS,
        Effect::Endless(Piece::Body),
        End::Refused(&[Kind::Limit, Kind::Integrity]),
    ),
    row(
        "gzip beside a gzip",
        "What is named by digest is the bytes themselves.",
        BLOBS,
        Effect::Change(|_, reply| gzipped(&reply)),
        End::Safe,
    ),
    row(
        "gzip that is none",
        "A coding that was not asked for changes no byte.",
        BLOBS,
        Effect::Change(|_, reply| reply.with("Content-Encoding", "gzip")),
        End::Safe,
    ),
    // Answers that are none.
    row("204 for a blob", "Nothing is no blob.", BLOBS, Effect::Instead(|_| Reply::new(204)), NONSENSE),
    row(
        "304 for a manifest",
        "Who asked without a condition gets no 304.",
        MANIFESTS,
        Effect::Instead(|_| Reply::new(304)),
        NONSENSE,
    ),
    row(
        "403 for a blob",
        "A refusal is a refusal, and is not repeated.",
        BLOBS,
        Effect::Instead(|_| Reply::error(403, "DENIED", "no")),
        DENIED,
    ),
    row(
        "404 for a blob",
        "What is missing is named.",
        BLOBS,
        Effect::Instead(|_| Reply::error(404, "BLOB_UNKNOWN", "no")),
        End::Refused(&[Kind::NotFound, Kind::Integrity]),
    ),
    row(
        "404 for a manifest",
        "What is missing is not found.",
        MANIFESTS,
        Effect::Instead(|_| Reply::error(404, "MANIFEST_UNKNOWN", "no")),
        End::Refused(&[Kind::NotFound]),
    ),
    row(
        "endless error",
        "The text of an error has a limit.",
        MANIFESTS,
        Effect::Raw(|_, _| endless_error()),
        NONSENSE,
    ),
    row(
        "error with escapes",
        "What a server says reaches a terminal without its control characters (L1).",
        MANIFESTS,
        Effect::Instead(|_| Reply::error(403, "DENIED", "\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}31m")),
        DENIED,
    ),
    row(
        "warning with escapes",
        "A warning is shown once, and without its control characters (item 212, L1).",
        MANIFESTS,
        Effect::Change(|_, reply| reply.with("Warning", "299 - \"\u{202e}evil\u{9b}2J\"")),
        End::Recovered,
    ),
];

fn short(_: &Scene<'_>, mut reply: Reply) -> Reply {
    reply.body.truncate(reply.body.len() / 2);
    let length = reply.body.len().to_string();
    reply.with("Content-Length", length)
}

fn long(mut reply: Reply) -> Reply {
    reply.body.resize(reply.body.len() + 100_000, 0);
    let length = reply.body.len().to_string();
    reply.with("Content-Length", length)
}

fn gzipped(reply: &Reply) -> Reply {
    let body = gzip(&reply.body);
    reply.clone().with("Content-Length", body.len().to_string()).with("Content-Encoding", "gzip").body(body)
}

fn endless_error() -> Vec<u8> {
    let mut bytes =
        b"HTTP/1.1 400 Refused\r\nContent-Type: application/json\r\n\r\n{\"errors\":[{\"message\":\""
            .to_vec();
    bytes.resize(32 << 20, b'x');
    bytes
}
