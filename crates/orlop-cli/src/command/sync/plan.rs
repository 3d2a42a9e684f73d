//! A plan of `sync`: a YAML list of pairs.
//!
//! ```yaml
//! - from: docker://registry.example/app
//!   to: oci:mirror/app
//!   include: [v*]
//!   exclude: ["*-rc*"]
//!   semver: ">=1.2"
//!   platform: linux/amd64,linux/arm64
//!   referrers: all
//!   delete: true
//! ```
//!
//! Invariant: a key that nobody knows is an error, so that a slip of the pen mirrors nothing by accident.

use super::{platforms, which_referrers};
use crate::error::Error;
use crate::flags::glob;
use orlop::fs::File;
use orlop::fs::glob::Glob;
use orlop::spec::Fault;
use orlop::sync::{Surplus, Sync};
use saphyr::{LoadableYamlNode as _, Yaml};
use std::ffi::OsString;
use std::path::Path;

/// A plan is written by hand.
const LARGEST: u64 = 1 << 20;

/// Two places, and what is wished.
pub struct Pair {
    pub from: OsString,
    pub to: OsString,
    pub wish: Sync,
}

/// Reads a plan; what a pair leaves open is as in `wish`.
pub fn read(path: &Path, wish: &Sync) -> Result<Vec<Pair>, Fault> {
    let bytes = File::open(path)?.read_to_limit(LARGEST)?;
    let text = String::from_utf8(bytes).map_err(|_| bad(path, "it is no UTF-8"))?;
    Ok(pairs(&text, wish).map_err(|law| bad(path, law))?)
}

fn bad(path: &Path, law: impl Into<String>) -> Error {
    Error::BadPlan { path: path.into(), law: law.into() }
}

fn pairs(text: &str, wish: &Sync) -> Result<Vec<Pair>, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    let [Yaml::Sequence(list)] = documents.as_slice() else {
        return Err("it is one YAML document, and that a list".into());
    };
    list.iter()
        .enumerate()
        .map(|(at, pair)| one(pair, wish).map_err(|law| format!("entry {at}: {law}")))
        .collect()
}

fn one(entry: &Yaml<'_>, wish: &Sync) -> Result<Pair, String> {
    let Yaml::Mapping(members) = entry else { return Err("it is no mapping".into()) };
    let mut pair = Pair { from: OsString::new(), to: OsString::new(), wish: wish.clone() };
    for (key, value) in members {
        let key = key.as_str().ok_or("a key is no text")?;
        set(&mut pair, key, value).map_err(|law| format!("`{key}`: {law}"))?;
    }
    if pair.from.is_empty() || pair.to.is_empty() {
        return Err("`from` and `to` are needed".into());
    }
    Ok(pair)
}

fn set(pair: &mut Pair, key: &str, value: &Yaml<'_>) -> Result<(), String> {
    let text = || value.as_str().ok_or("it is no text");
    match key {
        "from" => pair.from = text()?.into(),
        "to" => pair.to = text()?.into(),
        "include" => pair.wish.tags.include = globs(value)?,
        "exclude" => pair.wish.tags.exclude = globs(value)?,
        "semver" => pair.wish.tags.versions = Some(text()?.parse().map_err(|error| format!("{error}"))?),
        "platform" => pair.wish.copy.platforms = platforms(text()?)?,
        "referrers" => pair.wish.copy.referrers = which_referrers(text()?)?,
        "delete" => {
            let wished = value.as_bool().ok_or("it is neither true nor false")?;
            pair.wish.surplus = if wished { Surplus::Remove } else { Surplus::Keep };
        }
        _ => return Err("nobody knows that key".into()),
    }
    Ok(())
}

fn globs(value: &Yaml<'_>) -> Result<Vec<Glob>, String> {
    list(value)?.into_iter().map(glob).collect()
}

/// A list of texts, or one.
fn list<'y>(value: &'y Yaml<'_>) -> Result<Vec<&'y str>, String> {
    match value {
        Yaml::Sequence(list) => {
            list.iter().map(|it| it.as_str().ok_or_else(|| "an entry is no text".to_owned())).collect()
        }
        one => Ok(vec![one.as_str().ok_or("it is neither text nor a list of texts")?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_the_flags_say() {
        let text = "- from: docker://a.example/x\n  to: oci:x\n  include: v*\n  exclude: ['*-rc*', w]\n  semver: '>=1'\n  delete: true\n- {from: a, to: b}\n";
        let pairs = pairs(text, &Sync::default()).expect("a plan");
        assert_eq!(pairs[0].from, "docker://a.example/x");
        let takes = |tag| pairs[0].wish.tags.take(tag);
        assert_eq!(
            (takes("v1.2.3"), takes("v1.2.3-rc1"), takes("1.2.3"), takes("v0.9.0")),
            (true, false, false, false)
        );
        assert_eq!(pairs[0].wish.surplus, Surplus::Remove);
        assert_eq!(pairs[1].wish.surplus, Surplus::Keep);
    }

    #[test]
    fn a_slip_of_the_pen_is_told() {
        let slips = [
            ("a: b", "a list"),
            ("- from: a", "`to`"),
            ("- {from: a, to: b, includes: c}", "`includes`: nobody knows"),
            ("- {from: a, to: b, delete: perhaps}", "neither true nor false"),
            ("- {from: a, to: b, include: [1]}", "no text"),
            ("- {from: a, to: b, semver: 1..2}", "semver"),
            ("- [", ""),
        ];
        for (text, law) in slips {
            let told = pairs(text, &Sync::default()).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(told.contains(law), "{text}: {told}");
        }
    }
}
