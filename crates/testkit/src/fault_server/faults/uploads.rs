//! Faults of writing: uploads, each blob in one piece, and the manifest.

use super::{
    Break, DENIED, Effect, End, Fault, INTEGRITY, Moment, NONSENSE, ONCE, Piece, Times, UNREACHABLE, Walk,
};
use super::{names, other_digest, path, row, status, unknown};
use crate::fault_server::{Part, Scene};
use crate::http::Reply;
use orlop_spec::Kind;

const BEGIN: (Walk, Part, Times) = (Walk::Push, Part::Begin, ONCE);
const BEGINS: (Walk, Part, Times) = (Walk::Push, Part::Begin, Times::Always);
const FINISH: (Walk, Part, Times) = (Walk::Push, Part::Finish, ONCE);
const FINISHES: (Walk, Part, Times) = (Walk::Push, Part::Finish, Times::Always);
const NAME: (Walk, Part, Times) = (Walk::Push, Part::ManifestPut, ONCE);
const NAMES: (Walk, Part, Times) = (Walk::Push, Part::ManifestPut, Times::Always);

const LIMIT: End = End::Refused(&[Kind::Limit, Kind::Denied, Kind::Other]);

pub(super) static FAULTS: &[Fault] = &[
    // Beginning.
    row(
        "upload: 500 once",
        "An upload is begun again.",
        BEGIN,
        Effect::Instead(|_| status(500)),
        End::Recovered,
    ),
    row(
        "upload: 429 once",
        "The pause that was asked for is kept.",
        BEGIN,
        Effect::Instead(|_| status(429).with("Retry-After", "1")),
        End::Recovered,
    ),
    row(
        "upload: reset once",
        "An upload is begun again.",
        BEGIN,
        Effect::Break(Break::Reset, Moment::Done),
        End::Recovered,
    ),
    row(
        "upload: 503 always",
        "It ends after its retries.",
        BEGINS,
        Effect::Instead(|_| status(503)),
        UNREACHABLE,
    ),
    row(
        "upload: denied",
        "A refusal is a refusal, and is not repeated.",
        BEGINS,
        Effect::Instead(|_| Reply::error(403, "DENIED", "read only")),
        DENIED,
    ),
    row(
        "upload: no quota",
        "A full registry is no fault of the line.",
        BEGINS,
        Effect::Instead(|_| Reply::error(403, "DENIED", "quota exceeded")),
        End::Refused(&[Kind::Denied, Kind::Limit]),
    ),
    row(
        "upload: nowhere",
        "An upload has a place.",
        BEGINS,
        Effect::Change(|_, reply| reply.without("Location")),
        NONSENSE,
    ),
    row(
        "upload: place that is a file",
        "Only http and https are spoken.",
        BEGINS,
        Effect::Change(|_, reply| reply.with("Location", "file:///dev/null")),
        NONSENSE,
    ),
    row(
        "upload: place with a password",
        "A place names nobody (N3).",
        BEGINS,
        Effect::Change(|scene, reply| reply.with("Location", scene.trap.replace("http://", "http://u:p@"))),
        NONSENSE,
    ),
    row(
        "upload: place at a store",
        "Another site is told no secret (N3).",
        BEGINS,
        Effect::Change(|scene, reply| {
            reply.with("Location", format!("{}/take/{}?s=1", scene.trap, names(scene).0))
        }),
        End::Safe,
    ),
    row(
        "upload: place at who asks for a password",
        "Another site is told no secret (N3).",
        BEGINS,
        Effect::Change(|scene, reply| reply.with("Location", format!("{}/secret", scene.trap))),
        NONSENSE,
    ),
    row(
        "upload: place with a line end",
        "A place holds no control character (N12).",
        BEGINS,
        Effect::Raw(|_, _| {
            b"HTTP/1.1 202 Fine\r\nLocation: /x\rX-Smuggled: y\r\nContent-Length: 0\r\n\r\n".to_vec()
        }),
        NONSENSE,
    ),
    row(
        "upload: whole place",
        "A place may be absolute (item 205).",
        BEGINS,
        Effect::Change(absolute),
        End::Resumed,
    ),
    row("upload: silent once", "A stall is retried.", BEGIN, Effect::Silent(Piece::Head), End::Recovered),
    row(
        "question: 405 always",
        "Who cannot say whether a blob is there is sent it.",
        (Walk::Push, Part::BlobHead, Times::Always),
        Effect::Instead(|_| status(405)),
        End::Safe,
    ),
    row(
        "question: 500 once",
        "A server in trouble is asked again.",
        (Walk::Push, Part::BlobHead, ONCE),
        Effect::Instead(|_| Reply::new(500)),
        End::Recovered,
    ),
    row(
        "question: yes to everything",
        "A registry that pretends to hold a blob refuses the manifest.",
        (Walk::Push, Part::BlobHead, Times::Always),
        Effect::Instead(|_| Reply::new(200).with("Content-Length", "5")),
        End::Safe,
    ),
    // Sending a blob in one piece.
    row(
        "blob: reset in the body",
        "A blob is sent again.",
        FINISH,
        Effect::Deaf(Break::Reset),
        End::Recovered,
    ),
    row(
        "blob: close in the body",
        "A blob is sent again.",
        FINISH,
        Effect::Deaf(Break::Close),
        End::Recovered,
    ),
    row(
        "blob: reset in every body",
        "It ends after its retries.",
        FINISHES,
        Effect::Deaf(Break::Reset),
        UNREACHABLE,
    ),
    row(
        "blob: stored and not answered",
        "What is there need not be sent again.",
        FINISH,
        Effect::Break(Break::Close, Moment::Done),
        End::Recovered,
    ),
    row(
        "blob: stored and 500",
        "What is there need not be sent again.",
        FINISH,
        Effect::Change(|_, _| status(500)),
        End::Recovered,
    ),
    row("blob: 500 once", "A blob is sent again.", FINISH, Effect::Instead(|_| status(500)), End::Recovered),
    row(
        "blob: 503 in the middle",
        "An answer that comes early is heard.",
        FINISH,
        Effect::Early(|_| status(503).with("Retry-After", "0")),
        End::Recovered,
    ),
    row(
        "blob: 413 in the middle",
        "An answer that comes early is heard.",
        FINISHES,
        Effect::Early(|_| status(413)),
        LIMIT,
    ),
    row(
        "blob: 401 in the middle",
        "A token that is over is replaced in the middle of an upload.",
        FINISH,
        Effect::Early(unknown),
        End::Recovered,
    ),
    row(
        "blob: 401 afterwards",
        "A token that is over is replaced in the middle of an upload.",
        FINISH,
        Effect::Instead(unknown),
        End::Recovered,
    ),
    row(
        "blob: another digest",
        "A digest that is told is compared (item 204).",
        FINISHES,
        Effect::Change(|_, reply| other_digest(reply)),
        End::Refused(&[Kind::Integrity]),
    ),
    row(
        "blob: digest refused",
        "A registry that read other bytes is told so.",
        FINISHES,
        Effect::Instead(|_| Reply::error(400, "DIGEST_INVALID", "no")),
        NONSENSE,
    ),
    row(
        "blob: unknown upload once",
        "An upload that is gone is begun again.",
        FINISH,
        Effect::Instead(|_| Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "gone")),
        End::Recovered,
    ),
    row(
        "blob: unknown upload always",
        "It ends after its retries.",
        FINISHES,
        Effect::Instead(|_| Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "gone")),
        NONSENSE,
    ),
    row(
        "blob: no invitation",
        "Who is not invited sends after a while.",
        FINISHES,
        Effect::Mute,
        End::Recovered,
    ),
    row(
        "blob: 417",
        "Who may not ask for an invitation sends without.",
        FINISH,
        Effect::Instead(expectation),
        End::Safe,
    ),
    row(
        "blob: silent afterwards",
        "A stall is retried.",
        FINISH,
        Effect::Silent(Piece::Head),
        End::Recovered,
    ),
    row(
        "blob: 202 instead of 201",
        "Only what is stored is stored.",
        FINISHES,
        Effect::Instead(|scene| Reply::new(202).with("Location", path(scene))),
        NONSENSE,
    ),
    // The manifest, last.
    row("name: 500 once", "A manifest is sent again.", NAME, Effect::Instead(|_| status(500)), End::Resumed),
    row(
        "name: stored and not answered",
        "A manifest is sent again.",
        NAME,
        Effect::Break(Break::Close, Moment::Done),
        End::Resumed,
    ),
    row(
        "name: 429 once",
        "The pause that was asked for is kept.",
        NAME,
        Effect::Instead(|_| status(429).with("Retry-After", "1")),
        End::Resumed,
    ),
    row("name: 401 once", "A token that is over is replaced.", NAME, Effect::Instead(unknown), End::Resumed),
    row(
        "name: blobs missing",
        "A registry that lost a blob is an error.",
        NAMES,
        Effect::Instead(|_| Reply::error(404, "MANIFEST_BLOB_UNKNOWN", "lost")),
        NONSENSE,
    ),
    row(
        "name: invalid",
        "What the registry says is told.",
        NAMES,
        Effect::Instead(|_| Reply::error(400, "MANIFEST_INVALID", "no")),
        NONSENSE,
    ),
    row(
        "name: too large",
        "A limit of the registry is a limit.",
        NAMES,
        Effect::Instead(|_| status(413)),
        LIMIT,
    ),
    row(
        "name: another digest",
        "A digest that is told is compared (item 204).",
        NAMES,
        Effect::Change(|_, reply| other_digest(reply)),
        INTEGRITY,
    ),
    row(
        "name: 200",
        "A manifest that is stored is stored.",
        NAMES,
        Effect::Change(|_, mut reply| {
            reply.status = 200;
            reply
        }),
        End::Safe,
    ),
];

fn absolute(scene: &Scene<'_>, reply: Reply) -> Reply {
    let place = reply.header("Location").unwrap_or_default().to_owned();
    reply.with("Location", format!("{}{place}", scene.site))
}

fn expectation(scene: &Scene<'_>) -> Reply {
    status(if scene.asked.header("Expect").is_some() { 417 } else { 500 })
}
