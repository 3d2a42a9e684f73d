//! Machines, as App Containers and as Go call them (appc specification 0.8.11, `aci.md`, "labels").
//!
//! Invariant: what both sides can say goes both ways.

/// Go's architecture and variant, and the label `arch`.
type Row = (&'static str, Option<&'static str>, &'static str);

const LINUX: [Row; 10] = [
    ("386", None, "i386"),
    ("amd64", None, "amd64"),
    ("arm", Some("v6"), "armv6l"),
    ("arm", Some("v7"), "armv7l"),
    ("arm64", None, "aarch64"),
    ("arm64be", None, "aarch64_be"),
    ("armbe", Some("v7"), "armv7b"),
    ("ppc64", None, "ppc64"),
    ("ppc64le", None, "ppc64le"),
    ("s390x", None, "s390x"),
];

const FREEBSD: [Row; 3] = [("386", None, "i386"), ("amd64", None, "amd64"), ("arm", None, "arm")];

const DARWIN: [Row; 2] = [("386", None, "i386"), ("amd64", None, "x86_64")];

/// The labels of a machine, as far as there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `os`.
    pub os: Option<&'static str>,
    /// `arch`.
    pub arch: Option<&'static str>,
}

/// Systems that tools know.
pub const SYSTEMS: [&str; 3] = ["darwin", "freebsd", "linux"];

/// Machines of a system that tools know.
pub fn labels(os: &str) -> impl Iterator<Item = &'static str> {
    machines(os).into_iter().flat_map(|(_, machines)| machines).map(|(_, _, label)| *label)
}

fn machines(os: &str) -> Option<(&'static str, &'static [Row])> {
    Some(match os {
        "linux" => ("linux", &LINUX),
        "freebsd" => ("freebsd", &FREEBSD),
        "darwin" => ("darwin", &DARWIN),
        _ => return None,
    })
}

/// The labels for a machine that Go calls so. ARM without a variant is its version 7; variants of other machines than ARM
/// have no name here.
pub fn from_go(os: &str, architecture: &str, variant: Option<&str>) -> Machine {
    let Some((os, machines)) = machines(os) else { return Machine { os: None, arch: None } };
    let is_arm = architecture.starts_with("arm") && !architecture.starts_with("arm64");
    let variant = if is_arm && os == "linux" { Some(variant.unwrap_or("v7")) } else { None };
    let found = machines.iter().find(|(go, version, _)| *go == architecture && *version == variant);
    Machine { os: Some(os), arch: found.map(|(_, _, arch)| *arch) }
}

/// What Go calls the machine of a label, and its variant.
pub fn to_go(os: &str, arch: &str) -> Option<(&'static str, Option<&'static str>)> {
    let (_, machines) = machines(os)?;
    machines.iter().find(|(_, _, label)| *label == arch).map(|(go, variant, _)| (*go, *variant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_goes_both_ways_and_has_a_label() {
        for os in SYSTEMS {
            for (go, variant, arch) in machines(os).expect("a system").1 {
                assert_eq!(from_go(os, go, *variant), Machine { os: Some(os), arch: Some(arch) });
                assert_eq!(to_go(os, arch), Some((*go, *variant)));
            }
        }
    }

    #[test]
    fn what_has_no_name_has_none() {
        assert_eq!(from_go("linux", "riscv64", None), Machine { os: Some("linux"), arch: None });
        assert_eq!(from_go("linux", "arm", Some("v5")).arch, None);
        assert_eq!(from_go("linux", "arm", None).arch, Some("armv7l"));
        assert_eq!(from_go("windows", "amd64", None), Machine { os: None, arch: None });
        assert_eq!(to_go("linux", "arm64"), None);
    }
}
