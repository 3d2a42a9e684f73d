//! Faults of reading: connections that break, servers that are in trouble, slow or silent.

use super::{Break, Effect, End, Fault, Moment, ONCE, Piece, Times, UNREACHABLE, Walk, row, status};
use crate::fault_server::Part;

const BLOB: (Walk, Part, Times) = (Walk::Pull, Part::Blob, ONCE);
const BLOBS: (Walk, Part, Times) = (Walk::Pull, Part::Blob, Times::Always);
const MANIFEST: (Walk, Part, Times) = (Walk::Pull, Part::Manifest, ONCE);
const MANIFESTS: (Walk, Part, Times) = (Walk::Pull, Part::Manifest, Times::Always);

pub(super) static FAULTS: &[Fault] = &[
    // Connections that break.
    row(
        "reset before the answer",
        "A question is asked again.",
        BLOB,
        Effect::Break(Break::Reset, Moment::Asked),
        End::Recovered,
    ),
    row(
        "close before the answer",
        "An old connection that was closed is no error.",
        BLOB,
        Effect::Break(Break::Close, Moment::Asked),
        End::Recovered,
    ),
    row(
        "reset in the head",
        "Half a head is no answer.",
        BLOB,
        Effect::Break(Break::Reset, Moment::HalfHead),
        End::Recovered,
    ),
    row(
        "close in the head",
        "Half a head is no answer.",
        MANIFEST,
        Effect::Break(Break::Close, Moment::HalfHead),
        End::Recovered,
    ),
    row(
        "reset after the head",
        "A body that never came is asked for again.",
        BLOB,
        Effect::Break(Break::Reset, Moment::Head),
        End::Resumed,
    ),
    row(
        "reset in the body",
        "Only what is missing is asked for.",
        BLOB,
        Effect::Break(Break::Reset, Moment::HalfBody),
        End::Resumed,
    ),
    row(
        "close in the body",
        "A close is not the end of a body.",
        BLOB,
        Effect::Break(Break::Close, Moment::HalfBody),
        End::Resumed,
    ),
    row(
        "close in a manifest",
        "Half a manifest is no manifest.",
        MANIFEST,
        Effect::Break(Break::Close, Moment::HalfBody),
        End::Recovered,
    ),
    row(
        "close after the body",
        "A whole body is whole, notice or not.",
        BLOB,
        Effect::Break(Break::Close, Moment::Whole),
        End::Resumed,
    ),
    row(
        "reset in every body",
        "Who makes progress goes on, who makes none ends.",
        BLOBS,
        Effect::Break(Break::Reset, Moment::HalfBody),
        End::Safe,
    ),
    row(
        "reset before every answer",
        "It ends after its retries.",
        BLOBS,
        Effect::Break(Break::Reset, Moment::Asked),
        UNREACHABLE,
    ),
    // Servers in trouble.
    row(
        "500 once",
        "A server in trouble is asked again.",
        BLOB,
        Effect::Instead(|_| status(500)),
        End::Recovered,
    ),
    row(
        "502 once",
        "A server in trouble is asked again.",
        MANIFEST,
        Effect::Instead(|_| status(502)),
        End::Recovered,
    ),
    row(
        "503 with a pause",
        "The pause that was asked for is kept.",
        BLOB,
        Effect::Instead(|_| status(503).with("Retry-After", "1")),
        End::Recovered,
    ),
    row(
        "504 twice",
        "It is asked more than once again.",
        (Walk::Pull, Part::Manifest, Times::First(2)),
        Effect::Instead(|_| status(504)),
        End::Recovered,
    ),
    row("500 always", "It ends after its retries.", MANIFESTS, Effect::Instead(|_| status(500)), UNREACHABLE),
    row(
        "429 with seconds",
        "The pause that was asked for is kept.",
        MANIFEST,
        Effect::Instead(|_| status(429).with("Retry-After", "1")),
        End::Recovered,
    ),
    row(
        "429 with a date",
        "A date that is over is no pause.",
        MANIFEST,
        Effect::Instead(|_| status(429).with("Retry-After", "Sat, 01 Jan 2022 00:00:00 GMT")),
        End::Recovered,
    ),
    row(
        "429 with an absurd pause",
        "Nobody waits for years.",
        MANIFESTS,
        Effect::Instead(|_| status(429).with("Retry-After", "1000000000000")),
        UNREACHABLE,
    ),
    row(
        "429 with nonsense",
        "What is no pause is no pause.",
        MANIFEST,
        Effect::Instead(|_| status(429).with("Retry-After", "soon; \u{202e}-1")),
        End::Recovered,
    ),
    row(
        "429 always",
        "It ends after its retries.",
        BLOBS,
        Effect::Instead(|_| status(429).with("Retry-After", "0")),
        UNREACHABLE,
    ),
    // Slow and silent servers.
    row("silent once", "A stall is retried.", BLOB, Effect::Silent(Piece::Head), End::Recovered),
    row("silent always", "A stall ends.", MANIFESTS, Effect::Silent(Piece::Head), UNREACHABLE),
    row(
        "silent in the body once",
        "A stall is retried, and what came is kept.",
        BLOB,
        Effect::Silent(Piece::Body),
        End::Resumed,
    ),
    row("silent in every body", "A stall ends (N10).", BLOBS, Effect::Silent(Piece::Body), End::Safe),
    row("slow head", "Progress is a whole head.", MANIFESTS, Effect::Slow(Piece::Head), UNREACHABLE),
    row(
        "slow body",
        "Less than 1 KiB in a second is a stall (N10).",
        BLOBS,
        Effect::Slow(Piece::Body),
        UNREACHABLE,
    ),
    row(
        "slow manifest",
        "Less than 1 KiB in a second is a stall (N10).",
        MANIFESTS,
        Effect::Slow(Piece::Body),
        UNREACHABLE,
    ),
];
