//! Faults of reading: heads and framings that are none.

use super::{Effect, End, Fault, NONSENSE, ONCE, Piece, Times, Walk, row};
use crate::fault_server::{Part, Scene};
use crate::http::Reply;

const BLOB: (Walk, Part, Times) = (Walk::Pull, Part::Blob, ONCE);
const BLOBS: (Walk, Part, Times) = (Walk::Pull, Part::Blob, Times::Always);
const MANIFESTS: (Walk, Part, Times) = (Walk::Pull, Part::Manifest, Times::Always);

pub(super) static FAULTS: &[Fault] = &[
    // Heads that are none.
    row("endless head", "A head has a limit (N12).", MANIFESTS, Effect::Endless(Piece::Head), NONSENSE),
    row(
        "huge header",
        "A head has a limit (N12).",
        MANIFESTS,
        Effect::Change(|_, reply| reply.with("X-Huge", "x".repeat(1 << 20))),
        NONSENSE,
    ),
    row("header flood", "A head has a limit (N12).", BLOBS, Effect::Change(flood), NONSENSE),
    row(
        "no HTTP",
        "What is no HTTP is no answer.",
        MANIFESTS,
        Effect::Raw(|_, _| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        NONSENSE,
    ),
    row(
        "bare end",
        "What is no HTTP is no answer.",
        MANIFESTS,
        Effect::Raw(|_, _| b"\r\n\r\n".to_vec()),
        NONSENSE,
    ),
    row(
        "status of two digits",
        "What is no HTTP is no answer.",
        MANIFESTS,
        Effect::Raw(|_, _| b"HTTP/1.1 20 Fine\r\nContent-Length: 0\r\n\r\n".to_vec()),
        NONSENSE,
    ),
    row(
        "folded header",
        "Old foldings end in a refusal or in right bytes.",
        BLOBS,
        Effect::Raw(|_, reply| headed(&reply, "X-Folded: a\r\n b")),
        End::Safe,
    ),
    row(
        "zero byte in a header",
        "A header holds no control character (N12).",
        BLOBS,
        Effect::Raw(|_, reply| headed(&reply, "X-Zero: a\0b")),
        End::Safe,
    ),
    row(
        "two lengths",
        "Two lengths are none.",
        BLOBS,
        Effect::Raw(|_, reply| headed(&reply, "Content-Length: 7")),
        End::Safe,
    ),
    row(
        "length and chunks",
        "A body has one framing.",
        BLOBS,
        Effect::Raw(|_, reply| headed(&reply, "Transfer-Encoding: chunked")),
        End::Safe,
    ),
    row(
        "length below zero",
        "A length is a number.",
        BLOBS,
        Effect::Raw(|_, reply| headed(&reply.with("Content-Length", "-1"), "X: y")),
        End::Safe,
    ),
    row(
        "length beyond every number",
        "A length is a number.",
        BLOBS,
        Effect::Raw(|_, reply| headed(&reply.with("Content-Length", "99999999999999999999999"), "X: y")),
        End::Safe,
    ),
    row(
        "invitations before the answer",
        "Answers that are not the last are passed over.",
        BLOB,
        Effect::Raw(|_, reply| informed(&reply, 2)),
        End::Resumed,
    ),
    row(
        "a thousand invitations",
        "Answers that are not the last have a limit.",
        BLOBS,
        Effect::Raw(|_, reply| informed(&reply, 100_000)),
        End::Safe,
    ),
    row(
        "HTTP/1.0",
        "The end of the connection is the end of the body.",
        BLOB,
        Effect::Raw(|_, reply| old(&reply)),
        End::Resumed,
    ),
    row(
        "HTTP/1.0 cut",
        "A blob has the size of its descriptor.",
        BLOB,
        Effect::Raw(|_, reply| cut(old(&reply))),
        End::Safe,
    ),
    row(
        "chunks",
        "A body may come in chunks.",
        BLOB,
        Effect::Raw(|_, reply| chunked(&reply, "100")),
        End::Resumed,
    ),
    row(
        "chunks without an end",
        "Chunks end with the last one.",
        BLOB,
        Effect::Raw(|_, reply| cut(chunked(&reply, "100"))),
        End::Resumed,
    ),
    row(
        "chunk of a wrong size",
        "A size of a chunk is a number.",
        BLOBS,
        Effect::Raw(|_, reply| chunked(&reply, "zz")),
        NONSENSE,
    ),
    row(
        "chunk beyond every number",
        "A size of a chunk is a number.",
        BLOBS,
        Effect::Raw(|_, reply| chunked(&reply, "fffffffffffffffffff")),
        NONSENSE,
    ),
];

fn flood(_: &Scene<'_>, reply: Reply) -> Reply {
    (0..20_000).fold(reply, |mut reply, number| {
        reply.headers.push((format!("X-{number}"), "y".into()));
        reply
    })
}

fn headed(reply: &Reply, line: &str) -> Vec<u8> {
    let head = reply.head();
    let (status, rest) = head.split_at(head.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    [status, line.as_bytes(), b"\r\n", rest, &reply.body].concat()
}

fn informed(reply: &Reply, times: usize) -> Vec<u8> {
    let hint = b"HTTP/1.1 103 Early\r\nLink: </style>; rel=preload\r\n\r\n".repeat(times);
    [&hint, &b"HTTP/1.1 100 Continue\r\n\r\n"[..], &reply.head(), &reply.body].concat()
}

fn old(reply: &Reply) -> Vec<u8> {
    [b"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n", reply.body.as_slice()].concat()
}

fn chunked(reply: &Reply, size: &str) -> Vec<u8> {
    let mut bytes = reply.clone().without("Content-Length").with("Transfer-Encoding", "chunked").head();
    let mut chunks = reply.body.chunks_exact(256);
    for chunk in chunks.by_ref() {
        bytes.extend([size.as_bytes(), b"\r\n", chunk, b"\r\n"].concat());
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        bytes.extend([format!("{:x}\r\n", rest.len()).as_bytes(), rest, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}
