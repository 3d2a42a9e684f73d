//! The choice of one image of an index (image-spec, `image-index.md`).
//!
//! Operating system and architecture must be equal. Of the variants that the wanted machine can run, the best
//! wins; among equals the first. An entry without a platform is taken only where no entry has one: else a missing
//! platform would be answered by whatever lies beside it.

use super::Platform;
use crate::descriptor::Descriptor;
use crate::diagnose::{Diagnose, Fault, Kind};
use std::cmp::Reverse;
use std::collections::HashSet;

/// Chooses the entry of an index for `wanted`. Entries that are neither manifest nor index are passed over.
pub fn select<'a>(manifests: &'a [Descriptor], wanted: &Platform) -> Result<&'a Descriptor, PlatformError> {
    let wanted = wanted.normalized();
    let documents = || manifests.iter().filter(|entry| entry.media_type.is_document());
    let best = documents()
        .filter_map(|entry| Some((fitness(entry.platform.as_ref()?, &wanted)?, entry)))
        .min_by_key(|(fitness, _)| Reverse(*fitness));
    let undeclared = || documents().find(|entry| entry.platform.is_none());
    best.map(|(_, entry)| entry)
        .or_else(|| if documents().any(declares) { None } else { undeclared() })
        .ok_or_else(|| PlatformError::NotOffered { wanted: Box::new(wanted), offered: declared(manifests) })
}

/// Whether an entry says for which machine it is. Attestations beside images say `unknown`.
fn declares(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_some_and(|platform| &*platform.os != "unknown")
}

/// The platforms that an index declares, each once, in its order.
pub fn declared(manifests: &[Descriptor]) -> Vec<Platform> {
    let mut seen = HashSet::new();
    let platforms = manifests.iter().filter_map(|entry| entry.platform.as_ref());
    platforms.filter(|platform| seen.insert(platform.to_string())).cloned().collect()
}

impl Platform {
    /// Whether a machine of this platform can run an image that is made for `image`.
    pub fn runs(&self, image: &Self) -> bool {
        fitness(image, &self.normalized()).is_some()
    }
}

/// How well an image suits a machine: the higher, the better; `None` if not at all. `wanted` is normalised.
fn fitness(image: &Platform, wanted: &Platform) -> Option<Step> {
    let image = image.normalized();
    let same = image.os == wanted.os && image.architecture == wanted.architecture;
    let version = wanted.os_version.is_none() || image.os_version == wanted.os_version;
    let features = image.os_features.iter().all(|feature| wanted.os_features.contains(feature));
    if !(same && version && features) {
        return None;
    }
    match (step(&image), step(wanted)) {
        (Some(image), Some(machine)) => image.runs_on(machine).then_some(image),
        _ if image.variant == wanted.variant => Some(Step(1, 0)),
        _ => image.variant.is_none().then_some(Step(0, 0)),
    }
}

/// Where a variant stands on the ladder of its architecture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step(u32, u32);

impl Step {
    /// A machine runs all steps below its own. Armv9.N holds what Armv8.(N + 5) holds.
    fn runs_on(self, machine: Self) -> bool {
        match (self, machine) {
            (Self(8, image), Self(9, machine)) => image <= machine.saturating_add(5),
            (Self(image, 0), Self(machine, 0)) => image <= machine,
            (Self(image, minor), Self(machine, most)) => image == machine && minor <= most,
        }
    }
}

/// `vN` or `vN.M`, on architectures whose variants form a ladder.
fn step(platform: &Platform) -> Option<Step> {
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let plainest = match &*platform.architecture {
        "amd64" => "v1",
        "arm" => "v7",
        "arm64" => "v8",
        _ => return None,
    };
    let numbers = platform.variant.as_deref().unwrap_or(plainest).strip_prefix('v')?;
    match numbers.split_once('.') {
        Some((major, minor)) => Some(Step(number(major)?, number(minor)?)),
        None => Some(Step(number(numbers)?, 0)),
    }
}

/// Why there is no platform, or none that fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Not `OS/ARCHITECTURE[/VARIANT]`.
    #[error("{0:?} is no platform")]
    Malformed(Box<str>),
    /// An index holds nothing that fits.
    #[error("the index holds no image for {wanted}")]
    NotOffered {
        /// What was looked for.
        wanted: Box<Platform>,
        /// What there is.
        offered: Vec<Platform>,
    },
}

impl Diagnose for PlatformError {
    fn kind(&self) -> Kind {
        match self {
            Self::Malformed(_) => Kind::Usage,
            Self::NotOffered { .. } => Kind::NotFound,
        }
    }

    fn hint(&self) -> Option<String> {
        let list =
            |platforms: &[Platform]| platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Some(match self {
            Self::Malformed(_) => {
                "write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, for example linux/arm/v7".into()
            }
            Self::NotOffered { offered, .. } if offered.is_empty() => "it declares no platform at all".into(),
            Self::NotOffered { offered, .. } => format!("choose one with --platform: {}", list(offered)),
        })
    }
}

impl From<PlatformError> for Fault {
    fn from(error: PlatformError) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::{MediaType, OCI_MANIFEST};
    use crate::{Algorithm, Digest};

    /// An index that declares `platforms`; `-` declares none. Each entry has its position as its size.
    fn index(platforms: &str) -> Vec<Descriptor> {
        let entry = |(position, text): (usize, &str)| {
            let digest = Digest::of(Algorithm::Sha256, &[u8::try_from(position).expect("few entries")]);
            let mut entry = Descriptor::new(MediaType::new(OCI_MANIFEST), digest, position as u64);
            let parts: Vec<_> = text.split('/').collect();
            entry.platform = match *parts {
                ["-"] => None,
                [os, architecture] => Some(Platform::new(os, architecture, None)),
                [os, architecture, variant] => Some(Platform::new(os, architecture, Some(variant))),
                _ => panic!("{text}"),
            };
            entry
        };
        platforms.split_whitespace().enumerate().map(entry).collect()
    }

    fn chosen(platforms: &str, wanted: &Platform) -> Option<u64> {
        select(&index(platforms), wanted).ok().map(|entry| entry.size)
    }

    const ARM: &str = "linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm64/v8";
    const WIDE: &str = "linux/amd64 linux/arm64 linux/386 linux/ppc64le linux/s390x linux/riscv64";
    const LEVELS: &str = "linux/amd64 linux/amd64/v2 linux/amd64/v3 linux/amd64/v4";

    /// Index, machine as `uname -m` or as a user says it, position that is chosen.
    const HOSTS: &[(&str, &str, Option<u64>)] = &[
        (ARM, "armv5tel", Some(0)),
        (ARM, "armv6l", Some(1)),
        (ARM, "armv7l", Some(2)),
        (ARM, "armv8l", Some(2)),
        (ARM, "armhf", Some(2)),
        (ARM, "armel", Some(1)),
        (ARM, "arm", Some(2)),
        (ARM, "aarch64", Some(3)),
        (ARM, "arm64/v9", Some(3)),
        (ARM, "x86_64", None),
        (WIDE, "x86_64", Some(0)),
        (WIDE, "amd64/v3", Some(0)),
        (WIDE, "aarch64", Some(1)),
        (WIDE, "arm64/v8", Some(1)),
        (WIDE, "i386", Some(2)),
        (WIDE, "i686", Some(2)),
        (WIDE, "ppc64le", Some(3)),
        (WIDE, "ppc64el", Some(3)),
        (WIDE, "s390x", Some(4)),
        (WIDE, "riscv64", Some(5)),
        (WIDE, "riscv64/rva23u64", Some(5)),
        (WIDE, "armv7l", None),
        (WIDE, "loongarch64", None),
        (WIDE, "mips64el", None),
        (LEVELS, "x86_64", Some(0)),
        (LEVELS, "amd64/v2", Some(1)),
        (LEVELS, "amd64/v3", Some(2)),
        (LEVELS, "amd64/v4", Some(3)),
        (LEVELS, "amd64/v9", Some(3)),
        ("linux/amd64/v2 linux/amd64/v3", "x86_64", None),
        ("linux/arm", "armv7l", Some(0)),
        ("linux/arm", "armv6l", None),
        ("linux/arm64", "aarch64", Some(0)),
        ("linux/arm64/v8.2 linux/arm64/v9.1", "arm64/v9", Some(0)),
        ("linux/arm64/v8.2 linux/arm64/v9.1", "arm64/v9.2", Some(1)),
        ("linux/arm64/v8.2", "aarch64", None),
        ("linux/arm64/v8.6", "arm64/v9", None),
        ("linux/riscv64/rva20u64 linux/riscv64/rva23u64", "riscv64/rva23u64", Some(1)),
        ("linux/mips64le linux/mipsle", "mipsel", Some(1)),
        ("linux/loong64", "loongarch64", Some(0)),
        ("windows/amd64 linux/amd64", "x86_64", Some(1)),
        ("linux/x86_64", "amd64", Some(0)),
        ("unknown/unknown -", "amd64", Some(1)),
        ("- linux/amd64", "amd64", Some(1)),
        ("- linux/arm64", "amd64", None),
        ("- -", "amd64", Some(0)),
        ("unknown/unknown", "amd64", None),
        ("", "amd64", None),
    ];

    #[test]
    fn item_27_every_host_gets_the_best_image_that_it_can_run() {
        for (index, machine, position) in HOSTS {
            let wanted = match machine.split_once('/') {
                Some((machine, variant)) => Platform::new("linux", machine, Some(variant)),
                None => Platform::from_machine("linux", machine),
            };
            assert_eq!(chosen(index, &wanted), *position, "{machine} in {index}");
        }
    }

    #[test]
    fn item_26_of_two_equal_platforms_the_first_wins() {
        let host = Platform::new("linux", "arm64", None);
        assert_eq!(chosen("linux/arm64/v8 linux/arm64", &host), Some(0));
        assert_eq!(chosen("linux/amd64 linux/arm64 linux/arm64", &host), Some(1));
    }

    #[test]
    fn item_25_an_empty_index_says_that_nothing_matches() {
        let host = Platform::new("linux", "amd64", None);
        let error = select(&[], &host).expect_err("nothing to choose");
        assert_eq!(error.kind(), Kind::NotFound);
        let error = select(&index("linux/arm linux/s390x linux/arm"), &host).expect_err("nothing fits");
        assert_eq!(error.hint().as_deref(), Some("choose one with --platform: linux/arm, linux/s390x"));
    }

    #[test]
    fn item_28_entries_of_unknown_type_are_passed_over() {
        let mut entries = index("linux/amd64 linux/amd64");
        entries[0].media_type = MediaType::new("application/x");
        let chosen = select(&entries, &Platform::new("linux", "amd64", None)).expect("the second");
        assert_eq!(chosen.size, 1);
    }

    #[test]
    fn features_must_be_there_and_versions_equal_where_one_is_wanted() {
        let mut entries = index("linux/amd64 linux/amd64");
        entries[0].platform.as_mut().expect("declared").os_features = vec!["erofs".into()];
        entries[1].platform.as_mut().expect("declared").os_version = Some("6.1".into());
        let mut wanted = Platform::new("linux", "amd64", None);
        assert_eq!(select(&entries, &wanted).map(|entry| entry.size), Ok(1));
        wanted.os_features = vec!["erofs".into()];
        assert_eq!(select(&entries, &wanted).map(|entry| entry.size), Ok(0));
        wanted.os_version = Some("6.1".into());
        assert_eq!(select(&entries, &wanted).map(|entry| entry.size), Ok(1));
    }
}
