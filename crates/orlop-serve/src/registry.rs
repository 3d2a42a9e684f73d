//! The registry itself: what is answered to what (distribution-spec 1.1, the part that reads).

use crate::answer::Answer;
use crate::guard::Guard;
use crate::listing;
use crate::offer::Offer;
use crate::request::{Asked, Method};
use crate::shown::{Held, Repository, Showcase, Shown};
use orlop_spec::document::prove;
use orlop_spec::port::Result;
use orlop_spec::wire::Route;
use orlop_spec::wire::failure::Code;
use orlop_spec::wire::route::{Named, NoRoute};
use orlop_spec::{AnyDigest, Context, Descriptor, Event, Observer, graph};
use serde_json::json;
use std::sync::Arc;

/// A registry over what somebody offers.
pub struct Registry<'a> {
    cx: Context<'a>,
    offer: &'a dyn Offer,
    guard: Option<Guard>,
    showcase: Showcase<'a>,
}

impl<'a> Registry<'a> {
    /// Lets everybody in where there is no guard.
    pub fn new(cx: &Context<'a>, offer: &'a dyn Offer, guard: Option<Guard>) -> Self {
        Self { cx: *cx, offer, guard, showcase: Showcase::new(*cx) }
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        self.cx.observer
    }

    /// Answers whatever was asked. `host` is where this server is, for clients that do not say.
    pub(crate) fn answer(&self, asked: &Asked, host: &str) -> Answer<'_> {
        let answered = match (asked.path.as_str(), &self.guard) {
            ("/token", Some(guard)) if asked.method != Method::Other => return guard.grant(asked),
            (path, Some(guard)) if is_ours(path) && !guard.admits(asked) => {
                return api(Guard::challenge(asked, host_of(asked).unwrap_or(host)));
            }
            (path, _) if is_ours(path) => self.registry(asked).map(api),
            _ => self.page(asked),
        };
        answered.unwrap_or_else(|fault| {
            self.cx.observer.event(Event::Warned(format!("{}: {fault}", asked.path)));
            Answer::refused(500, &Code::Unknown, "the server cannot read what it offers")
        })
    }

    fn page(&self, asked: &Asked) -> Result<Answer<'_>> {
        if asked.method == Method::Other {
            return Ok(unsupported());
        }
        let Some(page) = self.offer.page(&asked.path, &asked.query)? else {
            return Ok(Answer::refused(404, &Code::Unsupported, "nothing is here"));
        };
        let answer = Answer::document(200, page.media_type(), Arc::clone(page.bytes()));
        Ok(answer.with("Cache-Control", "no-cache").unless_known(asked, page.tag()))
    }

    fn registry(&self, asked: &Asked) -> Result<Answer<'_>> {
        let route = match Route::parse(&asked.path) {
            Ok(route) => route,
            Err(why) if why == NoRoute::Elsewhere => {
                return Ok(Answer::refused(404, &why.code(), &why.to_string()));
            }
            Err(why) => return Ok(Answer::refused(400, &why.code(), &why.to_string())),
        };
        if asked.method == Method::Other || matches!(route, Route::Upload { .. }) {
            return Ok(unsupported());
        }
        if route == Route::Ping {
            return Ok(Answer::document(200, "application/json", *b"{}"));
        }
        let shown = self.showcase.shown(self.offer)?;
        let Some(name) = route.repository() else { return Ok(catalog(asked, &shown)) };
        let Some(repository) = shown.repositories.get(name) else {
            return Ok(Answer::refused(404, &Code::NameUnknown, "repository name not known to registry"));
        };
        match &route {
            Route::Manifest { name, .. } => self.manifest(asked, repository, name),
            Route::Blob { digest, .. } => self.blob(asked, repository, digest),
            Route::Referrers { digest, .. } => Ok(listing::referrers(asked, repository.referrers(digest))),
            _ => Ok(tags(asked, name, repository)),
        }
    }

    fn manifest(&self, asked: &Asked, repository: &Repository, name: &Named) -> Result<Answer<'_>> {
        let digest = match name {
            Named::Tag(tag) => repository.tags.get(tag),
            Named::Digest(digest) => Some(digest),
        };
        let Some(Held { blob, place }) = digest.and_then(|digest| repository.manifest(digest)) else {
            return Ok(Answer::refused(404, &Code::ManifestUnknown, "manifest unknown"));
        };
        let raw = graph::read_raw(self.cx.limits, self.offer.place(place), blob)?;
        prove(&raw, blob)?;
        let caching = if matches!(name, Named::Tag(_)) { "no-cache" } else { FOREVER };
        let answer = Answer::document(200, blob.media_type.as_str(), raw);
        Ok(named(answer, blob).with("Cache-Control", caching).unless_known(asked, &blob.digest.to_string()))
    }

    fn blob(&self, asked: &Asked, repository: &Repository, digest: &AnyDigest) -> Result<Answer<'_>> {
        let Some(Held { blob, place }) = repository.blob(digest) else {
            return Ok(Answer::refused(404, &Code::BlobUnknown, "blob unknown to registry"));
        };
        let mut answer = Answer::blob(asked, self.offer.place(place), blob)?;
        if answer.status != 416 {
            answer = named(answer, blob).with("Content-Type", "application/octet-stream");
            answer = answer.with("Cache-Control", FOREVER);
        }
        // RFC 9110, section 13.2.2: whether the client has it goes before which part it wants.
        Ok(answer.unless_known(asked, &blob.digest.to_string()))
    }
}

/// What a digest names does not change.
const FOREVER: &str = "public, max-age=31536000, immutable";

fn is_ours(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

fn api(answer: Answer<'_>) -> Answer<'_> {
    answer.with("Docker-Distribution-API-Version", "registry/2.0")
}

/// Where the client says that this server is; none where that could mean anything else.
fn host_of(asked: &Asked) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    asked.headers.get("Host").filter(|host| !host.is_empty() && host.bytes().all(is_plain))
}

fn named<'a>(answer: Answer<'a>, blob: &Descriptor) -> Answer<'a> {
    answer.with("Docker-Content-Digest", &blob.digest.to_string())
}

fn unsupported() -> Answer<'static> {
    Answer::refused(405, &Code::Unsupported, "this registry is only read from").with("Allow", "GET, HEAD")
}

fn catalog(asked: &Asked, shown: &Shown) -> Answer<'static> {
    let names = shown.repositories.keys().map(|name| &**name);
    listing::names(asked, "/v2/_catalog", "repositories", json!({}), names)
}

fn tags(asked: &Asked, name: &str, repository: &Repository) -> Answer<'static> {
    let path = format!("/v2/{name}/tags/list");
    listing::names(asked, &path, "tags", json!({ "name": name }), repository.tags.keys().map(|tag| &**tag))
}
