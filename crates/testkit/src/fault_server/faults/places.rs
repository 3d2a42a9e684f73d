//! Faults of reading: redirects, and ranges that are not what was asked for.

use super::{Effect, End, Fault, INTEGRITY, NONSENSE, Times, Walk, flipped, names, path, redirect, row};
use crate::fault_server::{Part, Scene};
use crate::http::Reply;

const BLOBS: (Walk, Part, Times) = (Walk::Pull, Part::Blob, Times::Always);
const MANIFESTS: (Walk, Part, Times) = (Walk::Pull, Part::Manifest, Times::Always);

pub(super) static FAULTS: &[Fault] = &[
    // Redirects.
    row(
        "redirect loop",
        "Redirects have a limit.",
        BLOBS,
        Effect::Instead(|scene| redirect(path(scene))),
        NONSENSE,
    ),
    row(
        "redirects without an end",
        "Redirects have a limit.",
        BLOBS,
        Effect::Instead(|scene| redirect(format!("{}?{}", path(scene), scene.count))),
        NONSENSE,
    ),
    row(
        "three redirects",
        "Some redirects are followed.",
        (Walk::Pull, Part::Blob, Times::First(3)),
        Effect::Instead(|scene| redirect(path(scene))),
        End::Resumed,
    ),
    row(
        "redirect to a store",
        "The bytes of a store are taken, and it is told no secret (item 210, N2).",
        BLOBS,
        Effect::Instead(to_store),
        End::Recovered,
    ),
    row(
        "redirect to who asks for a password",
        "Another site is told no secret (item 210, N2).",
        BLOBS,
        Effect::Instead(|scene| redirect(format!("{}/secret", scene.trap))),
        NONSENSE,
    ),
    row(
        "manifest elsewhere",
        "Another site is told no secret (item 210, N2).",
        MANIFESTS,
        Effect::Instead(|scene| redirect(format!("{}/v2/app/manifests/1", scene.trap))),
        NONSENSE,
    ),
    row(
        "redirect without a place",
        "A redirect leads somewhere.",
        BLOBS,
        Effect::Instead(|_| Reply::new(307)),
        NONSENSE,
    ),
    row(
        "redirect to a file",
        "Only http and https are spoken.",
        BLOBS,
        Effect::Instead(|_| redirect("file:///etc/passwd".into())),
        NONSENSE,
    ),
    row(
        "redirect with a password",
        "A redirect names nobody.",
        BLOBS,
        Effect::Instead(|scene| redirect(scene.trap.replace("http://", "http://u:p@"))),
        NONSENSE,
    ),
    row(
        "redirect with a line end",
        "A place holds no control character (N12).",
        BLOBS,
        Effect::Raw(|_, _| {
            b"HTTP/1.1 307 Elsewhere\r\nLocation: /x\rX-Smuggled: y\r\nContent-Length: 0\r\n\r\n".to_vec()
        }),
        NONSENSE,
    ),
    // Ranges that lie: the whole breaks in the middle, the rest is asked for.
    row(
        "range ignored",
        "A whole instead of a part begins at its beginning.",
        BLOBS,
        Effect::Range(|scene| part(scene, 0, 200)),
        End::Recovered,
    ),
    row(
        "range from elsewhere",
        "A part begins where it was asked for.",
        BLOBS,
        Effect::Range(|scene| lie(scene, 0)),
        End::Safe,
    ),
    row(
        "range with other bytes",
        "A wrong byte is never kept.",
        BLOBS,
        Effect::Range(|scene| flipped(right_part(scene))),
        INTEGRITY,
    ),
    row(
        "range that overlaps",
        "A part begins where it was asked for.",
        BLOBS,
        Effect::Range(|scene| part(scene, asked_from(scene).saturating_sub(1000), 206)),
        End::Safe,
    ),
    row(
        "range refused",
        "Without ranges it begins again.",
        BLOBS,
        Effect::Range(|_| Reply::new(416)),
        End::Safe,
    ),
    row("range too short", "Every part is progress.", BLOBS, Effect::Range(short_part), End::Safe),
    row(
        "range without its place",
        "A part says where it begins.",
        BLOBS,
        Effect::Range(|scene| right_part(scene).without("Content-Range")),
        End::Safe,
    ),
    row(
        "range of another whole",
        "A whole has one size.",
        BLOBS,
        Effect::Range(|scene| {
            right_part(scene).with("Content-Range", format!("bytes {}-9/10", asked_from(scene)))
        }),
        End::Safe,
    ),
    row(
        "range in several parts",
        "One part was asked for.",
        BLOBS,
        Effect::Range(|scene| {
            right_part(scene)
                .with("Content-Type", "multipart/byteranges; boundary=x")
                .without("Content-Range")
        }),
        End::Safe,
    ),
    row(
        "part of what was asked whole",
        "A part is no whole.",
        BLOBS,
        Effect::Change(|scene, _| part(scene, 1000, 206)),
        End::Safe,
    ),
];

fn to_store(scene: &Scene<'_>) -> Reply {
    let (repository, digest) = names(scene);
    redirect(format!("{}/blob/{repository}/{digest}?signature=x", scene.trap))
}

fn asked_from(scene: &Scene<'_>) -> usize {
    let range = scene.asked.header("Range").unwrap_or_default();
    range.trim_start_matches("bytes=").split('-').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

fn part(scene: &Scene<'_>, first: usize, status: u16) -> Reply {
    let (bytes, end) = (&scene.blob[first.min(scene.blob.len())..], scene.blob.len());
    let reply = Reply::new(status).with("Content-Length", bytes.len().to_string()).body(bytes);
    if status == 206 {
        reply.with("Content-Range", format!("bytes {first}-{}/{end}", end.saturating_sub(1)))
    } else {
        reply
    }
}

fn right_part(scene: &Scene<'_>) -> Reply {
    part(scene, asked_from(scene), 206)
}

fn lie(scene: &Scene<'_>, first: usize) -> Reply {
    let mut reply = right_part(scene);
    let length = reply.body.len();
    reply.body = scene.blob[first..first + length].to_vec();
    reply
}

fn short_part(scene: &Scene<'_>) -> Reply {
    let (first, end) = (asked_from(scene), scene.blob.len());
    let last = end.min(first + (end - first).div_ceil(10).max(10_000));
    let bytes = &scene.blob[first..last];
    Reply::new(206)
        .with("Content-Length", bytes.len().to_string())
        .with("Content-Range", format!("bytes {first}-{}/{end}", last.saturating_sub(1)))
        .body(bytes)
}
