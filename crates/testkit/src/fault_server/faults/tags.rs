//! Faults of lists.

use super::{Break, Effect, End, Fault, Moment, NONSENSE, ONCE, Piece, Times, Walk};
use super::{path, row, status};
use crate::fault_server::{Part, Scene};
use crate::http::Reply;
use orlop_spec::Kind;
use serde_json::json;

const LIST: (Walk, Part, Times) = (Walk::Tags, Part::Tags, ONCE);
const LISTS: (Walk, Part, Times) = (Walk::Tags, Part::Tags, Times::Always);
const BOUNDED: End =
    End::Refused(&[Kind::Limit, Kind::Policy, Kind::Integrity, Kind::Unreachable, Kind::Other]);

pub(super) static FAULTS: &[Fault] = &[
    row(
        "list: 503 once",
        "A server in trouble is asked again.",
        LIST,
        Effect::Instead(|_| status(503)),
        End::Recovered,
    ),
    row(
        "list: close in the body",
        "Half a list is no list.",
        LIST,
        Effect::Break(Break::Close, Moment::HalfBody),
        End::Recovered,
    ),
    row(
        "list: next page elsewhere",
        "Pages are of one site (item 214, N4).",
        LISTS,
        Effect::Change(|scene, reply| linked(reply, &format!("{}/v2/app/tags/list", scene.trap))),
        BOUNDED,
    ),
    row(
        "list: next page in a file",
        "Only http and https are spoken.",
        LISTS,
        Effect::Change(|_, reply| linked(reply, "file:///etc/passwd")),
        BOUNDED,
    ),
    row(
        "list: next page is this page",
        "Pages end (item 214, N4).",
        LISTS,
        Effect::Change(|scene, reply| linked(reply, &scene.asked.target)),
        BOUNDED,
    ),
    row("list: pages without an end", "Pages end (item 214, N4).", LISTS, Effect::Instead(page), BOUNDED),
    row(
        "list: next page is no link",
        "What is no link leads nowhere.",
        LISTS,
        Effect::Change(|_, reply| reply.with("Link", "<<>; rel=;next")),
        End::Safe,
    ),
    row(
        "list: link of another kind",
        "Only the next page is followed.",
        LISTS,
        Effect::Change(|scene, reply| reply.with("Link", format!("<{}/x>; rel=\"prev\"", scene.trap))),
        End::Recovered,
    ),
    row(
        "list: no JSON",
        "What is no list is no list.",
        LISTS,
        Effect::Change(|_, reply| reply.body("{\"tags\":[")),
        NONSENSE,
    ),
    row(
        "list: another shape",
        "What is no list is no list.",
        LISTS,
        Effect::Instead(|_| Reply::json(200, &json!({"tags": {"a": 1}}))),
        NONSENSE,
    ),
    row(
        "list: tags that are none",
        "A tag has its grammar.",
        LISTS,
        Effect::Instead(|_| Reply::json(200, &json!({"name": "app", "tags": ["../../x", "\u{1b}[2J", "1"]}))),
        End::Safe,
    ),
    row(
        "list: null",
        "No tags are no tags.",
        LISTS,
        Effect::Instead(|_| Reply::json(200, &json!({"name": "app", "tags": null}))),
        End::Safe,
    ),
    row("list: without an end", "A list has a limit.", LISTS, Effect::Endless(Piece::Body), BOUNDED),
    row(
        "list: 404",
        "What is missing is not found.",
        LISTS,
        Effect::Instead(|_| Reply::error(404, "NAME_UNKNOWN", "no")),
        End::Refused(&[Kind::NotFound]),
    ),
];

fn linked(reply: Reply, to: &str) -> Reply {
    reply.with("Link", format!("<{to}>; rel=\"next\""))
}

fn page(scene: &Scene<'_>) -> Reply {
    let reply = Reply::json(200, &json!({"name": "app", "tags": [format!("t{}", scene.count)]}));
    linked(reply, &format!("{}?last=t{}", path(scene), scene.count))
}
