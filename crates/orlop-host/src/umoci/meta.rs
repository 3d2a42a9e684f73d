//! `umoci.json`: which image a bundle is of, and how its owners were mapped.
//!
//! ```text
//! {"umoci_version":"2","from_descriptor_path":{"descriptor_walk":[…]},
//!  "map_options":{"uid_mappings":null,"gid_mappings":null,"rootless":false},"whiteout_mode":0}
//! ```
//!
//! Invariant: what is written, umoci 0.4.7 and 0.6.0 take; of what they write nothing is lost that a repack needs.

use super::error::UmociError;
use orlop_spec::Descriptor;
use orlop_spec::json;
use orlop_spec::runtime::IdMapping;
use serde::{Deserialize, Serialize};

/// The file in a bundle.
pub const META: &str = "umoci.json";
/// The only version there is.
const VERSION: &str = "2";
/// Bytes of the file.
pub const LIMIT: u64 = 4 << 20;

/// Which image a bundle is of, and how its owners were mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The descriptors from the entry of the layout's index to the manifest; never empty.
    walk: Vec<Descriptor>,
    /// How owners were mapped.
    pub map: MapOptions,
}

/// How owners of the image became owners of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapOptions {
    /// Users; as they are where there are none.
    pub users: Vec<IdMapping>,
    /// Groups, likewise.
    pub groups: Vec<IdMapping>,
    /// Whether an ordinary user can have unpacked it, so that owners are kept in attributes.
    pub rootless: Rootless,
}

/// Whether owners are kept in attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rootless {
    /// Files have their owners.
    #[default]
    No,
    /// Files are the caller's.
    Yes,
}

#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    umoci_version: Box<str>,
    #[serde(default)]
    from_descriptor_path: Walk,
    #[serde(default)]
    map_options: WrittenMap,
    #[serde(default)]
    whiteout_mode: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Walk {
    #[serde(default, deserialize_with = "json::or_empty")]
    descriptor_walk: Vec<Descriptor>,
}

#[derive(Default, Serialize, Deserialize)]
struct WrittenMap {
    #[serde(default)]
    uid_mappings: Option<Vec<WrittenId>>,
    #[serde(default)]
    gid_mappings: Option<Vec<WrittenId>>,
    #[serde(default)]
    rootless: bool,
}

#[derive(Serialize, Deserialize)]
struct WrittenId {
    #[serde(rename = "containerID")]
    container: u32,
    #[serde(rename = "hostID")]
    host: u32,
    size: u32,
}

impl Meta {
    /// Of a bundle unpacked from what these descriptors lead to, the last one being the manifest's.
    pub fn new(walk: Vec<Descriptor>, map: MapOptions) -> Result<Self, UmociError> {
        if walk.is_empty() { Err(UmociError::FromNothing) } else { Ok(Self { walk, map }) }
    }

    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, UmociError> {
        let written: Written = json::parse(bytes).map_err(UmociError::Meta)?;
        if &*written.umoci_version != VERSION {
            return Err(UmociError::Version(written.umoci_version));
        }
        if written.whiteout_mode != 0 {
            return Err(UmociError::OverlayWhiteouts);
        }
        let WrittenMap { uid_mappings, gid_mappings, rootless } = written.map_options;
        let map = MapOptions {
            users: read_ids(uid_mappings),
            groups: read_ids(gid_mappings),
            rootless: if rootless { Rootless::Yes } else { Rootless::No },
        };
        Self::new(written.from_descriptor_path.descriptor_walk, map)
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = Written {
            umoci_version: VERSION.into(),
            from_descriptor_path: Walk { descriptor_walk: self.walk.clone() },
            map_options: WrittenMap {
                uid_mappings: write_ids(&self.map.users),
                gid_mappings: write_ids(&self.map.groups),
                rootless: self.map.rootless == Rootless::Yes,
            },
            whiteout_mode: 0,
        };
        let mut bytes = json::print(&written);
        bytes.push(b'\n');
        bytes
    }

    /// The descriptors from the entry of the layout's index to the manifest.
    pub fn walk(&self) -> &[Descriptor] {
        &self.walk
    }

    /// The descriptor of the manifest.
    pub fn manifest(&self) -> &Descriptor {
        self.walk.last().expect("never empty")
    }
}

impl MapOptions {
    /// The owner on the host of what an image gives to `uid` and `gid`; the one that is not mapped where one is not.
    pub fn to_host(&self, uid: u32, gid: u32) -> Result<(u32, u32), (&'static str, u32)> {
        let across = |it: &IdMapping| (it.container, it.host, it.size);
        Ok((
            across_map(&self.users, uid, across).ok_or(("user", uid))?,
            across_map(&self.groups, gid, across).ok_or(("group", gid))?,
        ))
    }

    /// The owner in the image of what belongs to `uid` and `gid` on the host.
    pub fn to_container(&self, uid: u32, gid: u32) -> Result<(u32, u32), (&'static str, u32)> {
        let across = |it: &IdMapping| (it.host, it.container, it.size);
        Ok((
            across_map(&self.users, uid, across).ok_or(("user", uid))?,
            across_map(&self.groups, gid, across).ok_or(("group", gid))?,
        ))
    }
}

/// The first run that holds the number decides, as in umoci.
fn across_map(runs: &[IdMapping], id: u32, across: impl Fn(&IdMapping) -> (u32, u32, u32)) -> Option<u32> {
    if runs.is_empty() {
        return Some(id);
    }
    runs.iter().map(across).find_map(|(from, to, size)| {
        let offset = id.checked_sub(from).filter(|offset| *offset < size)?;
        to.checked_add(offset)
    })
}

fn read_ids(ids: Option<Vec<WrittenId>>) -> Vec<IdMapping> {
    let one = |WrittenId { container, host, size }| IdMapping { container, host, size };
    ids.unwrap_or_default().into_iter().map(one).collect()
}

fn write_ids(ids: &[IdMapping]) -> Option<Vec<WrittenId>> {
    let one = |&IdMapping { container, host, size }: &IdMapping| WrittenId { container, host, size };
    Some(ids.iter().map(one).collect::<Vec<_>>()).filter(|ids| !ids.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What umoci 0.4.7 and 0.6.0 wrote for one image.
    const OF_0_4_7: &str = r#"{"umoci_version":"2","from_descriptor_path":{"descriptor_walk":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:7961b3b4f93be14e8f64391e129079594471ecbb6a6ef09480362583f54b46a7","size":499,"annotations":{"org.opencontainers.image.ref.name":"c"}}]},"map_options":{"uid_mappings":[{"containerID":0,"hostID":100000,"size":65536}],"gid_mappings":null,"rootless":true},"whiteout_mode":0}
"#;

    #[test]
    fn what_umoci_wrote_is_written_again_to_the_byte() {
        let meta = Meta::parse(OF_0_4_7.as_bytes()).expect("umoci's own");
        assert_eq!(String::from_utf8(meta.to_bytes()).expect("text"), OF_0_4_7);
        assert_eq!(meta.manifest().size, 499);
        assert_eq!(meta.map.rootless, Rootless::Yes);
        let of_0_6 = OF_0_4_7.replace(",\"whiteout_mode\":0", "");
        assert_eq!(Meta::parse(of_0_6.as_bytes()).expect("umoci's own"), meta);
    }

    #[test]
    fn another_version_or_nothing_to_repack_from_is_refused() {
        let parsed = |from: &str, to: &str| Meta::parse(OF_0_4_7.replace(from, to).as_bytes());
        assert!(matches!(parsed("\"2\"", "\"3\""), Err(UmociError::Version(_))));
        assert!(matches!(parsed("_mode\":0", "_mode\":1"), Err(UmociError::OverlayWhiteouts)));
        assert!(matches!(parsed("descriptor_walk", "walk"), Err(UmociError::FromNothing)));
        assert!(matches!(parsed("65536", "-1"), Err(UmociError::Meta(_))));
        assert!(matches!(Meta::parse(b"{"), Err(UmociError::Meta(_))));
    }

    #[test]
    fn owners_cross_the_mapping_and_come_back() {
        let map = Meta::parse(OF_0_4_7.as_bytes()).expect("umoci's own").map;
        assert_eq!(map.to_host(5, 6), Ok((100_005, 6)), "no groups are mapped");
        assert_eq!(map.to_container(100_005, 6), Ok((5, 6)));
        assert_eq!(map.to_host(65536, 0), Err(("user", 65536)));
        assert_eq!(map.to_container(5, 0), Err(("user", 5)));
    }
}
