//! A registry in memory: exactly the parts of the protocol that a client meets (distribution-spec 1.1), done right.
//!
//! ```text
//! blobs      repository, digest → bytes
//! manifests  repository, digest → media type, bytes        tags   repository, tag → digest
//! uploads    number → bytes so far
//! ```

use crate::http::{Asked, Reply};
use crate::image::{INDEX, Image, Layout, MANIFEST, sha256};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `GET /v2/`.
    Ping,
    /// `GET /v2/_catalog`.
    Catalog,
    /// `GET …/tags/list`.
    Tags,
    /// `GET …/referrers/…`.
    Referrers,
    /// `GET …/manifests/…`.
    Manifest,
    /// `HEAD …/manifests/…`.
    ManifestHead,
    /// `PUT …/manifests/…`.
    ManifestPut,
    /// `GET …/blobs/…`.
    Blob,
    /// `HEAD …/blobs/…`.
    BlobHead,
    /// `POST …/blobs/uploads/`.
    Begin,
    /// The same with `mount=`.
    Mount,
    /// `PATCH …/blobs/uploads/N`.
    Chunk,
    /// `PUT …/blobs/uploads/N`.
    Finish,
    /// `GET …/blobs/uploads/N`.
    Progress,
    /// Anything that is asked without the token that it needs.
    Stranger,
    /// Anything else.
    Other,
}

impl Part {
    /// Which part a request is about, and of which repository.
    pub fn of(asked: &Asked) -> (Self, String) {
        let path = asked.path();
        match path {
            "/v2/" | "/v2" => return (Self::Ping, String::new()),
            "/v2/_catalog" => return (Self::Catalog, String::new()),
            _ => {}
        }
        let Some((repository, [kind, name])) = split(path) else { return (Self::Other, String::new()) };
        let is_upload = repository.ends_with("/blobs") && kind == "uploads";
        let part = match (asked.method.as_str(), kind) {
            ("GET", "tags") => Self::Tags,
            ("GET", "referrers") => Self::Referrers,
            ("GET", "manifests") => Self::Manifest,
            ("HEAD", "manifests") => Self::ManifestHead,
            ("PUT", "manifests") => Self::ManifestPut,
            ("GET", "blobs") => Self::Blob,
            ("HEAD", "blobs") => Self::BlobHead,
            ("POST", _) if is_upload && asked.parameter("mount").is_some() => Self::Mount,
            ("POST", _) if is_upload => Self::Begin,
            ("PATCH", _) if is_upload && !name.is_empty() => Self::Chunk,
            ("PUT", _) if is_upload && !name.is_empty() => Self::Finish,
            ("GET", _) if is_upload && !name.is_empty() => Self::Progress,
            _ => Self::Other,
        };
        let repository = if is_upload { repository.trim_end_matches("/blobs") } else { repository };
        (part, repository.into())
    }

    /// What a token must allow for it.
    pub fn action(self) -> &'static str {
        match self {
            Self::Begin | Self::Mount | Self::Chunk | Self::Finish | Self::Progress | Self::ManifestPut => {
                "push"
            }
            _ => "pull",
        }
    }
}

/// `/v2/REPOSITORY/KIND/NAME`.
fn split(path: &str) -> Option<(&str, [&str; 2])> {
    let (before, name) = path.strip_prefix("/v2/")?.rsplit_once('/')?;
    let (repository, kind) = before.rsplit_once('/')?;
    Some((repository, [kind, name]))
}

/// What becomes of a change that is asked for on a condition (`If-Match`, RFC 9110, section 13.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditions {
    /// It is made, and no entity tags are told of documents.
    #[default]
    Unknown,
    /// It is made, though entity tags are told: so does distribution 2.8.
    Ignored,
    /// It is made if the condition holds, else 412.
    Heeded,
}

/// What the registry holds.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// By repository and digest.
    pub blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and digest: media type and bytes.
    pub manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// By repository and tag: digests.
    pub tags: BTreeMap<(String, String), String>,
    /// What conditions of changes are worth.
    pub conditions: Conditions,
    uploads: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

impl Shelf {
    /// Puts an image there under a tag, and gives the digest of its manifest.
    pub fn put(&mut self, repository: &str, tag: &str, image: Image) -> String {
        self.put_layout(repository, tag, &image.layout())
    }

    /// Puts what a layout holds there; its first manifest gets the tag.
    pub fn put_layout(&mut self, repository: &str, tag: &str, layout: &Layout) -> String {
        for (_, bytes) in layout.files.iter().filter(|(path, _)| path.starts_with("blobs/")) {
            self.blobs.insert((repository.into(), sha256(bytes)), bytes.clone());
        }
        let bytes = layout.files[&layout.manifest_path()].clone();
        self.put_manifest(repository, tag, MANIFEST, bytes)
    }

    fn put_manifest(&mut self, repository: &str, name: &str, media_type: &str, bytes: Vec<u8>) -> String {
        let digest = sha256(&bytes);
        self.manifests.insert((repository.into(), digest.clone()), (media_type.into(), bytes));
        if !name.contains(':') {
            self.tags.insert((repository.into(), name.into()), digest.clone());
        }
        digest
    }

    /// Bytes that lie there under a digest.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<&[u8]> {
        self.blobs.get(&(repository.into(), digest.into())).map(Vec::as_slice)
    }

    /// The right answer.
    pub fn answer(&mut self, asked: &Asked) -> Reply {
        let (part, repository) = Part::of(asked);
        let name = asked.path().rsplit('/').next().unwrap_or_default().to_owned();
        match part {
            Part::Ping => Reply::json(200, &json!({})),
            Part::Catalog => self.catalog(),
            Part::Tags => self.list(&repository, asked),
            Part::Referrers => self.referrers(&repository, &name),
            Part::Manifest | Part::ManifestHead => self.manifest(&repository, &name),
            Part::ManifestPut => self.take_manifest(&repository, &name, asked),
            Part::Blob | Part::BlobHead => match self.blob(&repository, &name) {
                Some(bytes) => ranged(bytes, asked.header("Range")).with("Docker-Content-Digest", name),
                None => Reply::error(404, "BLOB_UNKNOWN", "no such blob"),
            },
            Part::Mount => self.mount(&repository, asked),
            Part::Begin => self.begin(&repository),
            Part::Chunk => self.chunk(&repository, &name, asked),
            Part::Finish => self.finish(&repository, &name, asked),
            Part::Progress => self.progress(&repository, &name, 204),
            Part::Other if asked.method == "DELETE" => self.delete(&name),
            Part::Other | Part::Stranger => Reply::error(404, "UNSUPPORTED", "no such place"),
        }
    }

    fn catalog(&self) -> Reply {
        let mut names: Vec<_> = self.tags.keys().map(|(repository, _)| repository).collect();
        names.dedup();
        Reply::json(200, &json!({ "repositories": names }))
    }

    /// Pages as large as asked for, 1000 otherwise; the link is relative.
    fn list(&self, repository: &str, asked: &Asked) -> Reply {
        let size = asked.parameter("n").and_then(|n| n.parse().ok()).unwrap_or(1000_usize);
        let last = asked.parameter("last").unwrap_or_default();
        let after = self.tags.range((Bound::Excluded((repository.to_owned(), last)), Bound::Unbounded));
        let mut tags = after.take_while(|((it, _), _)| it == repository).map(|((_, tag), _)| tag);
        let page: Vec<_> = tags.by_ref().take(size).collect();
        let reply = Reply::json(200, &json!({"name": repository, "tags": page}));
        match (page.last(), tags.next()) {
            (Some(last), Some(_)) => {
                reply.with("Link", format!("</v2/{repository}/tags/list?n={size}&last={last}>; rel=\"next\""))
            }
            _ => reply,
        }
    }

    fn referrers(&self, repository: &str, subject: &str) -> Reply {
        let all = self.manifests.iter().filter(|((it, _), _)| it == repository);
        let entries = all.filter_map(|((_, digest), (media_type, bytes))| {
            let document: Value = serde_json::from_slice(bytes).ok()?;
            (document["subject"]["digest"] == subject).then(
                || json!({"mediaType": media_type, "digest": digest, "size": bytes.len(), "artifactType": document["artifactType"]}),
            )
        });
        let entries: Vec<_> = entries.collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        Reply::json(200, &index).with("Content-Type", INDEX)
    }

    fn manifest(&self, repository: &str, name: &str) -> Reply {
        let digest = self.stands(repository, name);
        let Some((media_type, bytes)) = self.manifests.get(&(repository.into(), digest.into())) else {
            return Reply::error(404, "MANIFEST_UNKNOWN", "no such manifest");
        };
        let reply = Reply::new(200)
            .with("Content-Type", media_type)
            .with("Docker-Content-Digest", digest)
            .with("Content-Length", bytes.len().to_string())
            .body(bytes.clone());
        if self.conditions == Conditions::Unknown { reply } else { reply.with("ETag", entity(digest)) }
    }

    /// The digest that a tag leads to; of a digest, itself.
    fn stands<'s>(&'s self, repository: &str, name: &'s str) -> &'s str {
        self.tags.get(&(repository.into(), name.into())).map_or(name, String::as_str)
    }

    /// Whether a manifest may be put on the condition that came with it.
    fn admits(&self, repository: &str, name: &str, asked: &Asked) -> bool {
        let Some(wanted) = asked.header("If-Match").filter(|_| self.conditions == Conditions::Heeded) else {
            return true;
        };
        let digest = self.stands(repository, name);
        let is_there = self.manifests.contains_key(&(repository.into(), digest.into()));
        is_there && (wanted == "*" || wanted == entity(digest))
    }

    fn take_manifest(&mut self, repository: &str, name: &str, asked: &Asked) -> Reply {
        let Ok(document) = serde_json::from_slice::<Value>(&asked.body) else {
            return Reply::error(400, "MANIFEST_INVALID", "no JSON");
        };
        let digest = sha256(&asked.body);
        if name.contains(':') && name != digest {
            return Reply::error(400, "DIGEST_INVALID", "another digest");
        }
        if !self.admits(repository, name, asked) {
            return Reply::error(412, "DENIED", "it is not what it was");
        }
        if let Some(missing) = named(&document).find(|digest| !self.holds(repository, digest)) {
            return Reply::error(404, "MANIFEST_BLOB_UNKNOWN", &missing);
        }
        let media_type = asked.header("Content-Type").unwrap_or(MANIFEST);
        self.put_manifest(repository, name, media_type, asked.body.clone());
        let reply = Reply::new(201).with("Location", format!("/v2/{repository}/manifests/{digest}"));
        let reply = reply.with("Docker-Content-Digest", digest);
        match document["subject"]["digest"].as_str() {
            Some(subject) => reply.with("OCI-Subject", subject),
            None => reply,
        }
    }

    fn holds(&self, repository: &str, digest: &str) -> bool {
        let key = (repository.to_owned(), digest.to_owned());
        self.blobs.contains_key(&key) || self.manifests.contains_key(&key)
    }

    fn mount(&mut self, repository: &str, asked: &Asked) -> Reply {
        let digest = asked.parameter("mount").unwrap_or_default();
        let from = asked.parameter("from").unwrap_or_default();
        match self.blob(&from, &digest).map(<[u8]>::to_vec) {
            Some(bytes) => {
                self.blobs.insert((repository.into(), digest.clone()), bytes);
                stored(repository, &digest)
            }
            None => self.begin(repository),
        }
    }

    fn begin(&mut self, repository: &str) -> Reply {
        self.next += 1;
        self.uploads.insert(self.next, Vec::new());
        self.progress(repository, &self.next.to_string(), 202)
    }

    /// Where the upload stands. The query must come back with the next part (item 106).
    fn progress(&self, repository: &str, name: &str, status: u16) -> Reply {
        match name.parse().ok().and_then(|number: u64| self.uploads.get(&number)) {
            Some(bytes) => Reply::new(status)
                .with("Location", format!("/v2/{repository}/blobs/uploads/{name}?state=a%2Fb"))
                .with("Range", format!("0-{}", bytes.len().saturating_sub(1)))
                .with("Docker-Upload-UUID", name),
            None => Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
        }
    }

    fn chunk(&mut self, repository: &str, name: &str, asked: &Asked) -> Reply {
        let Some(upload) = name.parse().ok().and_then(|number: u64| self.uploads.get_mut(&number)) else {
            return Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
        };
        if asked.parameter("state").as_deref() != Some("a/b") {
            return Reply::error(400, "BLOB_UPLOAD_INVALID", "the query of the Location is gone");
        }
        let first =
            asked.header("Content-Range").and_then(|range| range.split('-').next()?.trim().parse().ok());
        if first.is_some_and(|first: usize| first != upload.len()) {
            return self.progress(repository, name, 416);
        }
        upload.extend(&asked.body);
        self.progress(repository, name, 202)
    }

    fn finish(&mut self, repository: &str, name: &str, asked: &Asked) -> Reply {
        let taken = self.chunk(repository, name, asked);
        if taken.status != 202 {
            return taken;
        }
        let bytes =
            name.parse().ok().and_then(|number: u64| self.uploads.remove(&number)).unwrap_or_default();
        let digest = sha256(&bytes);
        if asked.parameter("digest").as_deref() != Some(&digest) {
            return Reply::error(400, "DIGEST_INVALID", "another digest");
        }
        self.blobs.insert((repository.into(), digest.clone()), bytes);
        stored(repository, &digest)
    }

    fn delete(&mut self, name: &str) -> Reply {
        match name.parse().ok().and_then(|number: u64| self.uploads.remove(&number)) {
            Some(_) => Reply::new(204),
            None => Reply::error(405, "UNSUPPORTED", "nothing is deleted here"),
        }
    }

    /// Bytes that clients were told are here: of blobs, and of uploads that go on.
    pub fn taken(&self) -> u64 {
        self.blobs.values().chain(self.uploads.values()).map(|bytes| bytes.len() as u64).sum()
    }

    /// How many uploads were begun and neither ended nor cancelled.
    pub fn open_uploads(&self) -> usize {
        self.uploads.len()
    }
}

/// The entity tag of a document.
fn entity(digest: &str) -> String {
    format!("\"{digest}\"")
}

fn stored(repository: &str, digest: &str) -> Reply {
    Reply::new(201)
        .with("Location", format!("/v2/{repository}/blobs/{digest}"))
        .with("Docker-Content-Digest", digest)
}

/// What a manifest or an index names; a subject may be missing.
fn named(document: &Value) -> impl Iterator<Item = String> {
    let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let all = list("layers").into_iter().chain(list("manifests")).chain([document["config"].clone()]);
    all.filter_map(|it| it["digest"].as_str().map(Into::into))
}

/// The whole, or the part that `bytes=A-B` names (RFC 9110, section 14).
pub fn ranged(bytes: &[u8], range: Option<&str>) -> Reply {
    let reply = |status: u16, body: &[u8]| {
        let reply = Reply::new(status).with("Content-Type", "application/octet-stream");
        reply.with("Accept-Ranges", "bytes").with("Content-Length", body.len().to_string()).body(body)
    };
    let Some((first, last)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return reply(200, bytes);
    };
    let end = bytes.len();
    let first: usize = first.parse().unwrap_or(end);
    let last = last.parse().map_or(end, |last: usize| end.min(last.saturating_add(1)));
    if first >= last {
        return Reply::new(416).with("Content-Range", format!("bytes */{end}"));
    }
    reply(206, &bytes[first..last]).with("Content-Range", format!("bytes {first}-{}/{end}", last - 1))
}
