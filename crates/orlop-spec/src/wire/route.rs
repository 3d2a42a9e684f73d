//! What a server is asked for, out of the target of a request (distribution-spec, "Endpoints").
//!
//! ```text
//! /v2/team/app/manifests/1.0?ns=docker.io
//!  └┬┘└──┬───┘ └───┬───┘ └┬┘ └────┬─────┘
//!  api repository  what  name   query
//! ```
//!
//! Invariant: names, tags and digests of a [`Route`] are of their grammars; none can lead anywhere else.

use super::failure::Code;
use crate::digest::AnyDigest;
use crate::reference::{is_component, is_tag};

/// Bytes of the longest name of a repository (many clients allow 255 together with the host).
const LONGEST: usize = 255;
/// Parameters of a query that are read.
const MOST: usize = 64;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether there is a registry.
    Ping,
    /// The names of repositories.
    Catalog,
    /// A manifest or an index.
    Manifest {
        /// Of which repository.
        repository: Box<str>,
        /// Which.
        name: Named,
    },
    /// A blob.
    Blob {
        /// Of which repository.
        repository: Box<str>,
        /// Which.
        digest: AnyDigest,
    },
    /// The tags.
    Tags {
        /// Of which repository.
        repository: Box<str>,
    },
    /// The manifests that speak about another one.
    Referrers {
        /// Of which repository.
        repository: Box<str>,
        /// About which.
        digest: AnyDigest,
    },
    /// An upload.
    Upload {
        /// To which repository.
        repository: Box<str>,
    },
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By tag.
    Tag(Box<str>),
    /// By digest.
    Digest(AnyDigest),
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// It is none of the registry's.
    #[error("no such endpoint")]
    Elsewhere,
    /// The repository has no name.
    #[error("invalid repository name")]
    Name,
    /// The manifest is named neither by tag nor by digest.
    #[error("invalid tag name")]
    Tag,
    /// The digest is none.
    #[error("invalid digest")]
    Digest,
}

impl NoRoute {
    /// As registries say it.
    pub fn code(self) -> Code {
        match self {
            Self::Elsewhere => Code::Unsupported,
            Self::Name => Code::NameInvalid,
            Self::Tag => Code::TagInvalid,
            Self::Digest => Code::DigestInvalid,
        }
    }
}

impl Route {
    /// Reads a path that holds no escapes any more.
    pub fn parse(path: &str) -> Result<Self, NoRoute> {
        let path = path.strip_prefix("/v2").ok_or(NoRoute::Elsewhere)?;
        if matches!(path, "" | "/") {
            return Ok(Self::Ping);
        }
        let path = path.strip_prefix('/').ok_or(NoRoute::Elsewhere)?;
        if path == "_catalog" {
            return Ok(Self::Catalog);
        }
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Ok(Self::Tags { repository: repository(name)? });
        }
        let (rest, last) = path.rsplit_once('/').ok_or(NoRoute::Elsewhere)?;
        // An upload goes by a name, or by none yet.
        let start = if last == "uploads" { rest.strip_suffix("/blobs") } else { None };
        if let Some(name) = start.or_else(|| rest.strip_suffix("/blobs/uploads")) {
            return Ok(Self::Upload { repository: repository(name)? });
        }
        let (name, what) = rest.rsplit_once('/').ok_or(NoRoute::Elsewhere)?;
        let digest = || last.parse::<AnyDigest>().map_err(|_| NoRoute::Digest);
        match what {
            "manifests" => Ok(Self::Manifest { repository: repository(name)?, name: named(last)? }),
            "blobs" => Ok(Self::Blob { repository: repository(name)?, digest: digest()? }),
            "referrers" => Ok(Self::Referrers { repository: repository(name)?, digest: digest()? }),
            _ => Err(NoRoute::Elsewhere),
        }
    }

    /// Of which repository something is asked.
    pub fn repository(&self) -> Option<&str> {
        match self {
            Self::Ping | Self::Catalog => None,
            Self::Manifest { repository, .. }
            | Self::Blob { repository, .. }
            | Self::Tags { repository }
            | Self::Referrers { repository, .. }
            | Self::Upload { repository } => Some(repository),
        }
    }
}

/// Whether a repository may have this name.
pub fn is_repository(name: &str) -> bool {
    name.len() <= LONGEST && name.split('/').all(is_component)
}

fn repository(name: &str) -> Result<Box<str>, NoRoute> {
    if is_repository(name) { Ok(name.into()) } else { Err(NoRoute::Name) }
}

fn named(name: &str) -> Result<Named, NoRoute> {
    match name.parse() {
        Ok(digest) => Ok(Named::Digest(digest)),
        Err(_) if name.contains(':') => Err(NoRoute::Digest),
        Err(_) if is_tag(name) => Ok(Named::Tag(name.into())),
        Err(_) => Err(NoRoute::Tag),
    }
}

/// Path and query of a target, without escapes; `None` where they are no text, or hold a control character.
pub fn split(target: &str) -> Option<(String, Query)> {
    // RFC 9112, section 3.2.2: a server takes a whole address, too.
    let target = match target.strip_prefix("http://").or_else(|| target.strip_prefix("https://")) {
        Some(rest) => &rest[rest.find('/')?..],
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some((unescaped(path)?, Query::parse(query)?))
}

/// What stands after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(Box<str>, Box<str>)>);

impl Query {
    /// Reads `a=b&c=d`; `None` where it is no text or has too many parts.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('&').filter(|part| !part.is_empty()).take(MOST + 1).collect();
        let pair = |part: &&str| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Some((unescaped(&key.replace('+', " "))?.into(), unescaped(&value.replace('+', " "))?.into()))
        };
        (parts.len() <= MOST).then(|| parts.iter().map(pair).collect::<Option<_>>().map(Self)).flatten()
    }

    /// The first value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

/// A text without its escapes (RFC 3986, section 2.1).
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn item_101_every_endpoint_of_a_pull_is_known() {
        let digest: AnyDigest = DIGEST.parse().expect("a digest");
        let repository: Box<str> = "team/app".into();
        let cases = [
            ("/v2".into(), Route::Ping),
            ("/v2/".into(), Route::Ping),
            ("/v2/_catalog".into(), Route::Catalog),
            (
                "/v2/team/app/manifests/1.0".into(),
                Route::Manifest { repository: repository.clone(), name: Named::Tag("1.0".into()) },
            ),
            (
                format!("/v2/team/app/manifests/{DIGEST}"),
                Route::Manifest { repository: repository.clone(), name: Named::Digest(digest.clone()) },
            ),
            (
                format!("/v2/team/app/blobs/{DIGEST}"),
                Route::Blob { repository: repository.clone(), digest: digest.clone() },
            ),
            ("/v2/team/app/tags/list".into(), Route::Tags { repository: repository.clone() }),
            (
                format!("/v2/team/app/referrers/{DIGEST}"),
                Route::Referrers { repository: repository.clone(), digest },
            ),
            ("/v2/team/app/blobs/uploads/".into(), Route::Upload { repository: repository.clone() }),
            ("/v2/team/app/blobs/uploads/7".into(), Route::Upload { repository: repository.clone() }),
            ("/v2/team/app/blobs/uploads".into(), Route::Upload { repository }),
            (
                "/v2/app/blobs/uploads-y/manifests/1".into(),
                Route::Manifest { repository: "app/blobs/uploads-y".into(), name: Named::Tag("1".into()) },
            ),
            (
                "/v2/app/blobs/uploads/x/tags/list".into(),
                Route::Tags { repository: "app/blobs/uploads/x".into() },
            ),
        ];
        for (path, route) in cases {
            assert_eq!(Route::parse(&path), Ok(route), "{path}");
        }
    }

    #[test]
    fn item_101_names_tags_and_digests_are_of_their_grammars() {
        let tag = |length: usize| Route::parse(&format!("/v2/app/manifests/{}", "a".repeat(length)));
        assert!(tag(128).is_ok());
        assert_eq!(tag(129), Err(NoRoute::Tag));
        for (path, error) in [
            ("/", NoRoute::Elsewhere),
            ("/v20/", NoRoute::Elsewhere),
            ("/v2/app", NoRoute::Elsewhere),
            ("/v2/app/latest", NoRoute::Elsewhere),
            ("/v2/app/things/latest", NoRoute::Elsewhere),
            ("/v2/App/manifests/latest", NoRoute::Name),
            ("/v2/../manifests/latest", NoRoute::Name),
            ("/v2/a//b/manifests/latest", NoRoute::Name),
            ("/v2//manifests/latest", NoRoute::Name),
            ("/v2/app/manifests/", NoRoute::Tag),
            ("/v2/app/manifests/.x", NoRoute::Tag),
            ("/v2/app/manifests/sha256:ab", NoRoute::Digest),
            ("/v2/app/blobs/latest", NoRoute::Digest),
            ("/v2/app/blobs/sha256:../../../etc/passwd", NoRoute::Elsewhere),
            ("/v2/app/referrers/latest", NoRoute::Digest),
        ] {
            assert_eq!(Route::parse(path), Err(error), "{path}");
        }
        let long = format!("/v2/{}/tags/list", "a".repeat(LONGEST + 1));
        assert_eq!(Route::parse(&long), Err(NoRoute::Name));
    }

    #[test]
    fn a_target_is_read_without_its_escapes() {
        let (path, query) = split("/v2/a%2Fb/?label%3Aa.b%3Aexists=1&tag=x+y&n").expect("a target");
        assert_eq!(path, "/v2/a/b/");
        assert_eq!(query.get("label:a.b:exists"), Some("1"));
        assert_eq!((query.get("tag"), query.get("n"), query.get("m")), (Some("x y"), Some(""), None));
        assert_eq!(split("http://host:80/a?b=c").expect("an address").0, "/a");
        for bad in ["/%", "/%4", "/%zz", "/%ff", "/%00", "/%0d%0a", "http://host"] {
            assert!(split(bad).is_none(), "{bad}");
        }
        assert!(Query::parse(&"a=b&".repeat(MOST)).is_some());
        assert!(Query::parse(&"a=b&".repeat(MOST + 1)).is_none());
    }
}
