//! `--uid-map`, `--gid-map`, `--rootless`: who owns the files of a container.

use clap::Args;
use orlop::edit::{IdMap, IdRange};
use orlop::fs::owner::Owner;
use orlop::fs::privilege;
use orlop::host::umoci::meta::{MapOptions, Rootless};
use orlop::spec::runtime::IdMapping;

/// How owners of the image become owners of files.
#[derive(Args)]
pub struct MappingFlags {
    /// users of the container and those that stand for them, as CONTAINER:HOST[:COUNT]; repeatable
    #[arg(long, value_name = "MAP", value_parser = mapping)]
    uid_map: Vec<IdMapping>,
    /// groups, likewise
    #[arg(long, value_name = "MAP", value_parser = mapping)]
    gid_map: Vec<IdMapping>,
    #[command(flatten)]
    rootless: RootlessFlag,
}

/// Whether owners are kept in attributes.
#[derive(Args)]
pub struct RootlessFlag {
    /// files are the caller's, and owners are kept in attributes
    #[arg(long)]
    rootless: bool,
}

impl RootlessFlag {
    pub fn rootless(&self) -> Rootless {
        if self.rootless { Rootless::Yes } else { Rootless::No }
    }
}

impl MappingFlags {
    /// What was asked for; without root's rights the caller is root of the container where nothing else is said.
    pub fn options(&self) -> MapOptions {
        let rootless = self.rootless.rootless();
        let (uid, gid) = privilege::ids();
        let or_caller = |given: &[IdMapping], host| match (given, rootless) {
            ([], Rootless::Yes) => vec![IdMapping { container: 0, host, size: 1 }],
            (given, _) => given.to_vec(),
        };
        MapOptions { users: or_caller(&self.uid_map, uid), groups: or_caller(&self.gid_map, gid), rootless }
    }
}

impl MappingFlags {
    /// What owners files get in a layer: with `--rootless` those that attributes keep, else root.
    pub fn owner(&self) -> Owner {
        match self.rootless.rootless() {
            Rootless::Yes => Owner::Record,
            Rootless::No => Owner::Exact,
        }
    }

    /// Who owns files in a layer that somebody owns here.
    pub fn ids(&self) -> IdMap {
        let ranges = |given: &[IdMapping]| match self.rootless.rootless() {
            // The files are the caller's, whoever the layer says owns them.
            Rootless::Yes => Vec::new(),
            Rootless::No => given
                .iter()
                .map(|&IdMapping { container, host, size }| IdRange {
                    image: container,
                    here: host,
                    count: size,
                })
                .collect(),
        };
        IdMap { uids: ranges(&self.uid_map), gids: ranges(&self.gid_map) }
    }
}

/// Why a word is no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mapping is CONTAINER:HOST[:COUNT], of numbers")]
pub struct NoMapping;

fn mapping(text: &str) -> Result<IdMapping, NoMapping> {
    let numbers = text.split(':').map(|word| word.parse().map_err(|_| NoMapping));
    let (container, host, size) = match *numbers.collect::<Result<Vec<u32>, _>>()? {
        [container, host] => (container, host, 1),
        [container, host, size] => (container, host, size),
        _ => return Err(NoMapping),
    };
    Ok(IdMapping { container, host, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_two_numbers_or_three() {
        let of = |container, host, size| Ok(IdMapping { container, host, size });
        assert_eq!(mapping("0:1000"), of(0, 1000, 1));
        assert_eq!(mapping("1:100000:65536"), of(1, 100_000, 65536));
        for text in ["", "0", "0:", "0:1:2:3", "0:-1", "a:b", "0:4294967296"] {
            assert_eq!(mapping(text), Err(NoMapping), "{text}");
        }
    }
}
