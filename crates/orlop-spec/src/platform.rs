//! Platforms: for which machine an image is made (image-spec, `image-index.md`, "Platform variants").
//!
//! Names are Go's. Names of other worlds (`x86_64`, `armhf`, `i686`) are understood where a user or a kernel
//! says them; [`Platform::normalized`] is the one place that maps them, by containerd's rules, so that
//! `arm64` and `arm64/v8`, or `arm` and `arm/v7`, are one platform.

mod elf;
mod select;

pub use elf::architecture_of_elf;
pub use select::{PlatformError, declared, select};

use crate::json::Extra;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Operating system and architecture, in Go's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// GOARCH.
    pub architecture: Box<str>,
    /// GOOS.
    pub os: Box<str>,
    /// Version of the operating system; used on Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Box<str>>,
    /// Features that the operating system must have.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<Box<str>>,
    /// Variant of the processor, such as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Box<str>>,
    /// What orlop has no name for.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Every GOARCH that an image can be made for.
pub const ARCHITECTURES: [&str; 23] = [
    "386",
    "amd64",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// Every GOOS that an image can be made for.
pub const SYSTEMS: [&str; 16] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasip1",
    "windows",
    "zos",
];

/// What kernels (`uname -m`) and distributions call a machine, and what Go calls it.
const MACHINES: [(&str, &str, Option<&str>); 36] = [
    ("x86_64", "amd64", None),
    ("x86-64", "amd64", None),
    ("x64", "amd64", None),
    ("i386", "386", None),
    ("i486", "386", None),
    ("i586", "386", None),
    ("i686", "386", None),
    ("x86", "386", None),
    ("aarch64", "arm64", None),
    ("aarch64_be", "arm64be", None),
    ("armv5l", "arm", Some("v5")),
    ("armv5tel", "arm", Some("v5")),
    ("armv5tejl", "arm", Some("v5")),
    ("armel", "arm", Some("v6")),
    ("armv6", "arm", Some("v6")),
    ("armv6l", "arm", Some("v6")),
    ("armv6hl", "arm", Some("v6")),
    ("armhf", "arm", Some("v7")),
    ("armv7", "arm", Some("v7")),
    ("armv7a", "arm", Some("v7")),
    ("armv7l", "arm", Some("v7")),
    ("armv7hl", "arm", Some("v7")),
    ("armv8", "arm", Some("v8")),
    ("armv8l", "arm", Some("v8")),
    ("powerpc", "ppc", None),
    ("powerpc64", "ppc64", None),
    ("powerpc64le", "ppc64le", None),
    ("ppc64el", "ppc64le", None),
    ("riscv32", "riscv", None),
    ("loongarch64", "loong64", None),
    ("mipsel", "mipsle", None),
    ("mips64el", "mips64le", None),
    ("mips32", "mips", None),
    ("mips32el", "mipsle", None),
    ("mips64r6el", "mips64le", None),
    ("sparcv9", "sparc64", None),
];

impl Platform {
    /// A platform as it is said, not normalised.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        Self {
            architecture: architecture.into(),
            os: os.into(),
            os_version: None,
            os_features: Vec::new(),
            variant: variant.map(Into::into),
            extra: Extra::new(),
        }
    }

    /// The platform of a machine as its kernel (`uname -m`) or its distribution calls it.
    pub fn from_machine(os: &str, machine: &str) -> Self {
        Self::new(os, machine, None).normalized()
    }

    /// The same platform in Go's names: `x86_64` becomes `amd64`, `armv7l` becomes `arm` with the variant `v7`.
    /// A variant that nobody said is not made up.
    #[must_use]
    pub fn in_go_names(&self) -> Self {
        let said = self.architecture.to_ascii_lowercase();
        let machine = MACHINES.iter().find(|(machine, ..)| *machine == said);
        let (architecture, implied) = machine.map_or((&*said, None), |(_, go, variant)| (go, *variant));
        let os = match &*self.os.to_ascii_lowercase() {
            "macos" => "darwin".into(),
            os => os.into(),
        };
        let variant = self.variant.clone().filter(|said| !said.is_empty()).or(implied.map(Into::into));
        Self { architecture: architecture.into(), os, variant, ..self.clone() }
    }

    /// The one spelling of a platform: lower case, Go's names, no variant where it is the plainest one of its
    /// architecture, but `v7` for `arm`.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let named = self.in_go_names();
        Self { variant: normal_variant(&named.architecture, named.variant.as_deref()), ..named }
    }

    /// Whether Go knows the architecture; what it does not know, other tools will not match.
    pub fn is_known(&self) -> bool {
        ARCHITECTURES.contains(&&*self.architecture) && SYSTEMS.contains(&&*self.os)
    }
}

fn normal_variant(architecture: &str, variant: Option<&str>) -> Option<Box<str>> {
    let variant = variant.map(str::to_ascii_lowercase);
    let numbered = |text: String| {
        if text.starts_with(|first: char| first.is_ascii_digit()) { format!("v{text}") } else { text }
    };
    match (architecture, variant.map(numbered).as_deref()) {
        ("arm", None) => Some("v7".into()),
        ("arm64", Some("v8" | "v8.0")) | ("amd64", Some("v1")) => None,
        (_, variant) => variant.map(Into::into),
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// `OS/ARCHITECTURE[/VARIANT]`; normalised.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<_> = text.split('/').collect();
        let word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        };
        match *parts {
            [os, architecture] if parts.iter().all(word) => {
                Ok(Self::new(os, architecture, None).normalized())
            }
            [os, architecture, variant] if parts.iter().all(word) => {
                Ok(Self::new(os, architecture, Some(variant)).normalized())
            }
            _ => Err(PlatformError::Malformed(text.into())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(out, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_38_names_of_kernels_become_names_of_go() {
        for (machine, platform) in [
            ("x86_64", "linux/amd64"),
            ("i686", "linux/386"),
            ("aarch64", "linux/arm64"),
            ("armv5tel", "linux/arm/v5"),
            ("armv6l", "linux/arm/v6"),
            ("armv7l", "linux/arm/v7"),
            ("armv8l", "linux/arm/v8"),
            ("ppc64le", "linux/ppc64le"),
            ("s390x", "linux/s390x"),
            ("riscv64", "linux/riscv64"),
            ("loongarch64", "linux/loong64"),
            ("mips64el", "linux/mips64le"),
            ("mipsel", "linux/mipsle"),
            ("armhf", "linux/arm/v7"),
            ("AMD64", "linux/amd64"),
        ] {
            let found = Platform::from_machine("linux", machine);
            assert_eq!(found.to_string(), platform, "{machine}");
            assert!(found.is_known(), "{machine}");
        }
        assert!(!Platform::from_machine("linux", "vax").is_known());
    }

    #[test]
    fn every_machine_maps_to_a_name_of_go() {
        for (machine, go, _) in MACHINES {
            assert!(ARCHITECTURES.contains(&go), "{machine} → {go}");
        }
    }

    #[test]
    fn spellings_of_one_platform_are_one() {
        for (text, normal) in [
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf/v6", "linux/arm/v6"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("Linux/X86_64", "linux/amd64"),
            ("macOS/arm64", "darwin/arm64"),
        ] {
            let parsed: Platform = text.parse().expect(text);
            assert_eq!(parsed.to_string(), normal);
            assert_eq!(normal.parse::<Platform>().map(|again| again == parsed), Ok(true), "{text}");
        }
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in [
            "",
            "amd64",
            "linux/",
            "/amd64",
            "linux/amd64/",
            "linux/arm/v7/x",
            "linux/a b",
            "linux/arm,linux/386",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
