//! Remotes: where a repository fetches from.
//!
//! ```text
//! [remote "NAME"]
//! url=https://HOST/PATH          a repository of OSTree, which other programs fetch from
//! url=oci+https://HOST/PATH      a registry: HOST/PATH/IMAGE:TAG becomes the commit that NAME:IMAGE/TAG leads to
//! ```
//!
//! `oci+http` is a registry without TLS. That is a note for who reads it, and allows nothing: beyond this machine, whoever fetches
//! must be told to do without TLS.
//!
//! Invariant: what was written is what the real tool would have written, line by line. No two images are the same ref: a tag
//! holds no slash, so it is the last part of the name.

use super::keyfile::is_key;
use super::refname::{RefSpec, is_remote};
use super::repo::{Repo, RepoError};
use crate::Error;
use crate::ostree::RefError;

/// How a registry is spoken to, before its address.
const TLS: &str = "oci+https://";
const CLEAR: &str = "oci+http://";
/// What a registry may be called instead.
const ALSO: [(&str, &str); 3] = [("https://", TLS), ("http://", CLEAR), ("docker://", TLS)];

/// A remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: Box<str>,
    /// Where it is; some have none.
    pub url: Option<Box<str>>,
}

/// What is said of a new remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Branches that are fetched where nothing is said.
    pub branches: Vec<String>,
    /// Further keys and values.
    pub set: Vec<(String, String)>,
    /// Whether commits need no signature by a key of gpg.
    pub signatures: Signatures,
    /// What to do where there is one of the name.
    pub existing: ExistingRemote,
}

/// Whether commits of a remote must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// As programs that fetch decide by themselves.
    #[default]
    Unsaid,
    /// They need not be.
    Unneeded,
}

/// What to do about a remote of the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingRemote {
    /// It is an error.
    #[default]
    Refuse,
    /// It stays.
    Keep,
    /// It goes.
    Replace,
}

/// The address of a registry as remotes have it: with its way of speaking, without a slash at the end.
pub fn registry_url(text: &str) -> Box<str> {
    let text = text.trim_end_matches('/');
    if text.starts_with(TLS) || text.starts_with(CLEAR) {
        return text.into();
    }
    let said = ALSO.iter().find_map(|(from, to)| Some([to, text.strip_prefix(from)?].concat()));
    said.unwrap_or_else(|| [TLS, text].concat()).into()
}

impl Remote {
    /// The name of one of its images, as a reference, and the ref that leads to its commit. `image` is `IMAGE:TAG`, or `IMAGE`
    /// alone where the tag is `latest`.
    pub fn image(&self, image: &str) -> Result<(String, RefSpec), Error> {
        let url = self.url.as_deref().unwrap_or_default();
        let place = url.strip_prefix(TLS).or_else(|| url.strip_prefix(CLEAR));
        let place = place.ok_or_else(|| RepoError::NoRegistry { name: self.name.clone() })?;
        let (name, tag) = match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, "latest"),
        };
        if image.contains('@') {
            return Err(RefError::BadName { text: image.into() }.into());
        }
        let spec = RefSpec { remote: Some(self.name.clone()), name: format!("{name}/{tag}").parse()? };
        Ok((format!("docker://{place}/{name}:{tag}"), spec))
    }
}

impl Repo {
    /// The remotes, by their names.
    pub fn remotes(&self) -> Result<Vec<Remote>, Error> {
        let mut remotes = Vec::new();
        for group in self.config().groups() {
            let Some(name) = group.strip_prefix("remote \"").and_then(|name| name.strip_suffix('"')) else {
                continue;
            };
            let url = self.config().string(group, "url")?.map(Into::into);
            remotes.push(Remote { name: name.into(), url });
        }
        remotes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(remotes)
    }

    /// The remote of a name.
    pub fn remote(&self, name: &str) -> Result<Remote, Error> {
        let found = self.remotes()?.into_iter().find(|remote| *remote.name == *name);
        found.ok_or_else(|| RepoError::NoSuchRemote { name: name.into() }.into())
    }

    /// Adds a remote.
    pub fn add_remote(&mut self, name: &str, url: &str, options: &RemoteOptions) -> Result<(), Error> {
        if !is_remote(name) {
            return Err(RefError::BadRemote { text: name.into() }.into());
        }
        if let Some((key, _)) = options.set.iter().find(|(key, _)| !is_key(key)) {
            return Err(RepoError::BadKey { key: key.as_str().into() }.into());
        }
        let group = group(name);
        let mut config = self.config().clone();
        if config.has_group(&group) {
            match options.existing {
                ExistingRemote::Keep => return Ok(()),
                ExistingRemote::Refuse => return Err(RepoError::RemoteExists { name: name.into() }.into()),
                ExistingRemote::Replace => drop(config.remove_group(&group)),
            }
        }
        config.set_string(&group, "url", url);
        if !options.branches.is_empty() {
            config.set_strings(&group, "branches", &options.branches);
        }
        for (key, value) in &options.set {
            config.set_string(&group, key, value);
        }
        if options.signatures == Signatures::Unneeded {
            config.set_string(&group, "gpg-verify", "false");
        }
        self.set_config(config)
    }

    /// Takes a remote away, with the keys that its commits were to be signed by; its refs stay.
    pub fn remove_remote(&mut self, name: &str) -> Result<(), Error> {
        self.remote(name)?;
        let mut config = self.config().clone();
        config.remove_group(&group(name));
        super::repo::gone(self.dir().remove_file(format!("{name}.trustedkeys.gpg")))?;
        self.set_config(config)
    }
}

fn group(name: &str) -> String {
    format!("remote \"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::{Diagnose as _, Kind};

    fn remote(url: &str) -> Remote {
        Remote { name: "reg".into(), url: Some(registry_url(url)) }
    }

    #[test]
    fn a_registry_has_one_address_however_it_is_written() {
        for text in
            ["h.example/os", "https://h.example/os/", "docker://h.example/os", "oci+https://h.example/os"]
        {
            assert_eq!(*registry_url(text), *"oci+https://h.example/os", "{text}");
        }
        assert_eq!(*registry_url("http://127.0.0.1:5000"), *"oci+http://127.0.0.1:5000");
    }

    #[test]
    fn an_image_of_a_registry_has_a_ref_of_its_own() {
        let named = |image: &str| {
            let (reference, spec) = remote("h.example/os").image(image).expect(image);
            (reference, spec.to_string())
        };
        let pair = |reference: &str, spec: &str| (reference.to_owned(), spec.to_owned());
        assert_eq!(named("a:1"), pair("docker://h.example/os/a:1", "reg:a/1"));
        assert_eq!(named("a/b:1.2-x_y"), pair("docker://h.example/os/a/b:1.2-x_y", "reg:a/b/1.2-x_y"));
        assert_eq!(named("a/b"), pair("docker://h.example/os/a/b:latest", "reg:a/b/latest"));
    }

    #[test]
    fn p1_names_that_leave_the_folder_of_refs_are_refused() {
        for image in ["../a:1", "a:..", "a//b:1", "", ":1", "a:", "a@sha256:00", "a:1@sha256:00", "-a:1"] {
            let error = remote("h.example").image(image).expect_err(image);
            assert_eq!(error.kind(), Kind::Usage, "{image}");
        }
        let other = Remote { name: "flat".into(), url: Some("https://h.example".into()) };
        assert!(matches!(other.image("a:1"), Err(Error::Repo(RepoError::NoRegistry { .. }))));
    }
}
