//! Lists in pages: tags, repositories, referrers (distribution-spec, "Listing Tags", "Listing Referrers").
//!
//! Invariant: a page holds no more than a server's own bound, whatever was asked for (N11), and the next page is
//! named only where there is one.

use crate::answer::Answer;
use crate::request::Asked;
use orlop_spec::media_type::OCI_INDEX;
use orlop_spec::wire::failure::Code;
use orlop_spec::{Descriptor, index::Index, json};
use serde_json::{Value, json};

/// Names of a page, at most.
const MOST: usize = 1000;

/// Names in order, with what stands beside them.
pub(crate) fn names<'n>(
    asked: &Asked,
    path: &str,
    field: &str,
    mut beside: Value,
    names: impl Iterator<Item = &'n str>,
) -> Answer<'static> {
    let Some(count) = count(asked) else {
        return Answer::refused(400, &Code::PaginationNumberInvalid, "n is no number");
    };
    let last = asked.query.get("last").unwrap_or_default();
    let mut rest = names.skip_while(|name| *name <= last);
    let page: Vec<&str> = rest.by_ref().take(count).collect();
    let more = rest.next().and(page.last().copied());
    beside[field] = json!(page);
    let answer = Answer::document(200, "application/json", json::print(&beside));
    match more {
        Some(last) => answer.with("Link", &format!("<{path}?n={count}&last={last}>; rel=\"next\"")),
        None => answer,
    }
}

/// How many names a page is to have; `None` where that is no number.
fn count(asked: &Asked) -> Option<usize> {
    let Some(text) = asked.query.get("n") else { return Some(MOST) };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().map_or(MOST, |count: usize| count.min(MOST)))
}

/// An index of manifests that speak about another one.
pub(crate) fn referrers(asked: &Asked, mut all: Vec<Descriptor>) -> Answer<'static> {
    let filter = asked.query.get("artifactType");
    if let Some(wanted) = filter {
        all.retain(|it| it.artifact_type.as_ref().is_some_and(|found| found.as_str() == wanted));
    }
    let answer = Answer::document(200, OCI_INDEX, json::print(&Index::new(all)));
    match filter {
        Some(_) => answer.with("OCI-Filters-Applied", "artifactType"),
        None => answer,
    }
}
