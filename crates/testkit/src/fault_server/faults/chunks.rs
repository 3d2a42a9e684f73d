//! Faults of writing: uploads in chunks, and mounts.

use super::{Break, Effect, End, Fault, Moment, ONCE, Times, Walk, names, path, row, status, unknown};
use crate::fault_server::{Part, Scene};
use crate::http::Reply;

const CHUNK: (Walk, Part, Times) = (Walk::Chunks, Part::Chunk, ONCE);
const SECOND: (Walk, Part, Times) = (Walk::Chunks, Part::Chunk, Times::First(2));
const CHUNKS: (Walk, Part, Times) = (Walk::Chunks, Part::Chunk, Times::Always);

pub(super) static FAULTS: &[Fault] = &[
    // Sending a blob in chunks.
    row(
        "chunk: refused",
        "Where no chunks are taken the whole is sent.",
        CHUNKS,
        Effect::Instead(|_| status(405)),
        End::Safe,
    ),
    row(
        "chunk: unknown",
        "Where no chunks are taken the whole is sent.",
        CHUNKS,
        Effect::Instead(|_| status(404)),
        End::Safe,
    ),
    row(
        "chunk: reset in the body",
        "Only what was not acknowledged is sent again.",
        CHUNK,
        Effect::Deaf(Break::Reset),
        End::Recovered,
    ),
    row(
        "chunk: taken and not answered",
        "What was taken is not sent again.",
        CHUNK,
        Effect::Break(Break::Close, Moment::Done),
        End::Recovered,
    ),
    row(
        "chunk: 500 once",
        "Only what was not acknowledged is sent again.",
        CHUNK,
        Effect::Instead(|_| status(500)),
        End::Recovered,
    ),
    row(
        "chunk: lost",
        "A registry that lost a chunk says where it stands.",
        SECOND,
        Effect::Instead(lost),
        End::Safe,
    ),
    row(
        "chunk: acknowledged by half",
        "The registry says where it stands.",
        CHUNK,
        Effect::Change(|_, reply| reply.with("Range", "0-9999")),
        End::Safe,
    ),
    row(
        "chunk: acknowledged beyond its end",
        "Nobody has more than was sent.",
        CHUNKS,
        Effect::Change(|_, reply| reply.with("Range", "0-99999999999")),
        End::Safe,
    ),
    row(
        "chunk: acknowledged as nonsense",
        "What is no range is no range.",
        CHUNKS,
        Effect::Change(|_, reply| reply.with("Range", "bytes=x")),
        End::Safe,
    ),
    row(
        "chunk: neither place nor range",
        "Without a new place the old one is good.",
        CHUNKS,
        Effect::Change(|_, reply| reply.without("Location").without("Range")),
        End::Safe,
    ),
    row(
        "chunk: place that moves",
        "The last place is the place (item 205).",
        CHUNKS,
        Effect::Change(|scene, reply| moved(scene, &reply)),
        End::Resumed,
    ),
    row(
        "chunk: place at a store",
        "Another site is told no secret (N3).",
        CHUNKS,
        Effect::Change(|scene, reply| {
            reply.with("Location", format!("{}/take/{}", scene.trap, names(scene).0))
        }),
        End::Safe,
    ),
    row(
        "chunk: 401 once",
        "A token that is over is replaced in the middle of an upload.",
        CHUNK,
        Effect::Instead(unknown),
        End::Recovered,
    ),
    row(
        "chunk: 416 always",
        "It ends after its retries.",
        CHUNKS,
        Effect::Instead(|_| status(416).with("Range", "0-0")),
        End::Safe,
    ),
    row(
        "chunk: least length",
        "A registry's least length is kept (item 110).",
        (Walk::Chunks, Part::Begin, Times::Always),
        Effect::Change(|_, reply| reply.with("OCI-Chunk-Min-Length", "100000")),
        End::Recovered,
    ),
    row(
        "chunk: absurd least length",
        "Nobody fills the memory for a registry.",
        (Walk::Chunks, Part::Begin, Times::Always),
        Effect::Change(|_, reply| reply.with("OCI-Chunk-Min-Length", "999999999999999999")),
        End::Safe,
    ),
    // Mounting.
    row(
        "mount: 202",
        "What is not mounted is sent.",
        (Walk::Mount, Part::Mount, Times::Always),
        Effect::Change(|scene, _| not_mounted(scene)),
        End::Safe,
    ),
    row(
        "mount: 404",
        "What is not mounted is sent.",
        (Walk::Mount, Part::Mount, Times::Always),
        Effect::Instead(|_| status(404)),
        End::Safe,
    ),
    row(
        "mount: 500 once",
        "What is not mounted is sent.",
        (Walk::Mount, Part::Mount, ONCE),
        Effect::Instead(|_| status(500)),
        End::Recovered,
    ),
    row(
        "mount: pretended",
        "A registry that pretends to hold a blob refuses the manifest.",
        (Walk::Mount, Part::Mount, Times::Always),
        Effect::Instead(|_| Reply::new(201)),
        End::Safe,
    ),
];

fn moved(scene: &Scene<'_>, reply: &Reply) -> Reply {
    let place = reply.header("Location").unwrap_or_default();
    reply.clone().with("Location", format!("{place}&move={}", scene.count))
}

fn lost(scene: &Scene<'_>) -> Reply {
    let reply = if scene.count == 0 {
        Reply::new(202).with("Range", "0-9999")
    } else {
        status(416).with("Range", "0-0")
    };
    reply.with("Location", scene.asked.target.clone())
}

fn not_mounted(scene: &Scene<'_>) -> Reply {
    Reply::new(202).with("Location", format!("{}999?state=a%2Fb", path(scene)))
}
