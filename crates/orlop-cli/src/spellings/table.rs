//! The words of other tools: what each is here, and what to type where none of ours means quite the same.
//!
//! `docs/reference/spellings.md` shows every one of them in a command line, and a test runs these.

use super::Becomes::{Insecure, Named, Nothing, OneSided, Operand, Refused, Valued, Words};
use super::{Becomes, Flag, Instead, Part, Side, Verb};
use orlop::spec::reference::Transport;

/// Verbs of ours that have sources and a target.
pub(super) const MOVING: &[&str] = &["copy", "pull", "push", "sync"];
/// Those of them that move single images.
const COPYING: &[&str] = &["copy", "pull", "push"];
/// Verbs of ours that look at a place or change its names.
const LOOKING: &[&str] = &["inspect", "ls", "digest", "rm", "validate"];
const ENTERING: &[&str] = &["login", "logout"];

/// What may stand before the verb, and whether a value follows it.
pub(super) const BEFORE: &[(&str, bool)] = &[
    ("--insecure-policy", false),
    ("--policy", true),
    ("--tmpdir", true),
    ("--override-os", true),
    ("--override-arch", true),
    ("--override-variant", true),
];

/// Verbs, those of two words first.
pub(super) const VERBS: &[Verb] = &[
    verb(&["image", "copy"], &["copy"]),
    verb(&["image", "digest"], &["digest"]),
    verb(&["cp"], &["copy"]),
    verb(&["import"], &["build"]),
    verb(&["list-tags"], &["ls"]),
    verb(&["delete"], &["rm"]),
    verb(&["manifest"], &["inspect", "--raw"]),
    Verb { theirs: &["export"], ours: &["copy"], target: Some("tar:") },
];

/// Flags. The first that fits the verb, as it was typed or as it is ours, speaks.
pub(super) const FLAGS: &[Flag] = &[
    flag(&["cp"], &["-a"], Words(&["--all-tags"])),
    flag(&["cp"], &["--platform"], Refused),
    flag(COPYING, &["--all", "-a"], Words(&["--platform", "all"])),
    flag(COPYING, &["--multi-arch"], Valued("all", &["--platform", "all"])),
    flag(COPYING, &["--quiet", "-q"], Words(&["--progress", "none"])),
    flag(COPYING, &["--retry-times"], Named("--retry")),
    flag(LOOKING, &["--retry-times"], Named("--retry")),
    flag(COPYING, &["--src-tls-verify"], Insecure(Side::Source)),
    flag(COPYING, &["--dest-tls-verify"], Insecure(Side::Target)),
    flag(LOOKING, &["--tls-verify"], Insecure(Side::Source)),
    flag(ENTERING, &["--tls-verify"], Insecure(Side::Host)),
    flag(COPYING, &["--src-authfile"], OneSided(Side::Source, "--authfile", is_registry)),
    flag(COPYING, &["--dest-authfile"], OneSided(Side::Target, "--authfile", is_registry)),
    flag(COPYING, &["--src-shared-blob-dir"], OneSided(Side::Source, "--shared-blobs", is_layout)),
    flag(COPYING, &["--dest-shared-blob-dir"], OneSided(Side::Target, "--shared-blobs", is_layout)),
    flag(LOOKING, &["--shared-blob-dir"], Named("--shared-blobs")),
    beside(COPYING, &["--preserve-digests"], Nothing, &["--compress", "--prune"]),
    beside(COPYING, &["--dest-oci-accept-uncompressed-layers"], Nothing, &["--compress"]),
    beside(&["inspect"], &["--override-os"], Becomes::Part(Part::Os), &["--raw"]),
    beside(&["inspect"], &["--override-arch"], Becomes::Part(Part::Architecture), &["--raw"]),
    beside(&["inspect"], &["--override-variant"], Becomes::Part(Part::Variant), &["--raw"]),
    flag(&["validate"], &["--remote"], Operand("")),
    flag(&["validate"], &["--tarball"], Operand("docker-archive:")),
];

/// What to type instead of what is refused; the first that fits speaks.
pub(super) const INSTEAD: &[Instead] = &[
    Instead {
        verbs: COPYING,
        words: &["--override-os", "--override-arch", "--override-variant", "--multi-arch"],
        hint: ONE_MANIFEST,
    },
    Instead { verbs: &["cp"], words: &["--platform"], hint: ONE_MANIFEST },
    Instead {
        verbs: &["inspect"],
        words: &["--override-os", "--override-arch", "--override-variant"],
        hint: "the bytes of a platform's manifest: orlop inspect --raw --platform OS/ARCHITECTURE REF",
    },
    Instead {
        verbs: COPYING,
        words: &["--src-tls-verify", "--dest-tls-verify", "--tls-verify"],
        hint: "certificates are checked but for registries that --insecure HOST names, on both sides",
    },
    Instead {
        verbs: &["inspect", "ls", "digest", "rm", "validate", "login", "logout"],
        words: &["--tls-verify"],
        hint: "certificates are checked but for registries that --insecure HOST names",
    },
    Instead {
        verbs: &["copy", "ls", "digest", "inspect", "pull", "push", "rm", "validate"],
        words: &["--insecure"],
        hint: "name the registry: --insecure HOST",
    },
    Instead {
        verbs: COPYING,
        words: &["--src-cert-dir", "--dest-cert-dir", "--cert-dir"],
        hint: CERTIFICATES,
    },
    Instead { verbs: LOOKING, words: &["--cert-dir"], hint: CERTIFICATES },
    Instead { verbs: ENTERING, words: &["--cert-dir"], hint: CERTIFICATES },
    Instead {
        verbs: COPYING,
        words: &["--src-authfile", "--dest-authfile"],
        hint: "one file for both sides, with the password of each registry: --authfile FILE",
    },
    Instead {
        verbs: COPYING,
        words: &["--src-shared-blob-dir", "--dest-shared-blob-dir"],
        hint: "one folder for layouts on both sides: --shared-blobs DIR",
    },
    Instead {
        verbs: COPYING,
        words: &["--src-username", "--src-password"],
        hint: "--src-creds USER:PASSWORD",
    },
    Instead {
        verbs: COPYING,
        words: &["--dest-username", "--dest-password"],
        hint: "--dest-creds USER:PASSWORD",
    },
    Instead { verbs: LOOKING, words: &["--username", "--password"], hint: "--creds USER:PASSWORD" },
    Instead {
        verbs: COPYING,
        words: &["--dest-compress-format", "--dest-compress-level", "--dest-compress", "--dest-decompress"],
        hint: "all layers anew: --compress gzip, none or zstd, with :LEVEL behind it where one is wished",
    },
    Instead {
        verbs: COPYING,
        words: &["--preserve-digests"],
        hint: "digests are kept anyway: leave it out, and --compress and --prune as well",
    },
    Instead {
        verbs: COPYING,
        words: &["--additional-tag"],
        hint: "afterwards, orlop tag docker-archive:FILE:NAME:TAG OTHER:TAG",
    },
    Instead {
        verbs: COPYING,
        words: &["--digestfile"],
        hint: "it stands at the end of the line that is printed; or afterwards orlop digest DST >FILE",
    },
    Instead {
        verbs: COPYING,
        words: &["--remove-signatures"],
        hint: "leave it out: signatures go along only with --referrers",
    },
    Instead {
        verbs: &["pull"],
        words: &["--format"],
        hint: "say the form with the place: orlop pull REF oci:DIR:TAG, or docker-archive:FILE",
    },
    Instead {
        verbs: &["copy", "push"],
        words: &["--format", "-f"],
        hint: "leave it out: an image keeps its form",
    },
    Instead {
        verbs: &["inspect"],
        words: &["--format", "-f"],
        hint: "for programs, orlop inspect --format json REF; the digest alone: orlop digest REF",
    },
    Instead {
        verbs: &["inspect"],
        words: &["--no-tags", "-n"],
        hint: "leave it out: tags are listed by orlop ls alone",
    },
    Instead {
        verbs: &["sync"],
        words: &["--src", "-s", "--dest", "-d", "--scoped"],
        hint: "give both places: orlop sync docker://HOST/REPOSITORY oci:DIR",
    },
    Instead { verbs: &["digest"], words: &["--tarball"], hint: "orlop digest docker-archive:FILE" },
    Instead { verbs: &["ls", "list"], words: &["--layout"], hint: "orlop ls oci:DIR" },
    Instead { verbs: &["gc"], words: &["--layout"], hint: "orlop gc oci:DIR" },
    Instead { verbs: &["stat"], words: &["--image"], hint: "orlop inspect oci:DIR:TAG" },
    Instead { verbs: &["unpack"], words: &["--image"], hint: "orlop bundle oci:DIR:TAG BUNDLE" },
    Instead { verbs: &["tag"], words: &["--image"], hint: "orlop tag oci:DIR:TAG NEW" },
    Instead { verbs: &["rm", "remove"], words: &["--image"], hint: "orlop untag oci:DIR:TAG" },
    Instead {
        verbs: &["append"],
        words: &["-f", "--new_layer", "-b", "-t", "--new_tag"],
        hint: "orlop append BASE TAR --to REF",
    },
    Instead {
        verbs: &["rebase"],
        words: &["--old_base", "--new_base", "-t", "--tag"],
        hint: "orlop rebase REF --old-base BASE --new-base BASE --to REF",
    },
    Instead { verbs: &["flatten"], words: &["-t", "--tag"], hint: "orlop flatten REF --to REF" },
    Instead { verbs: &["auth"], words: &[], hint: "orlop login HOST" },
    Instead { verbs: &["manifest-digest"], words: &[], hint: "sha256sum FILE" },
];

const ONE_MANIFEST: &str = "the manifest of one platform, without its index: \
                            orlop copy SRC@$(orlop digest --platform OS/ARCHITECTURE SRC) DST";

const CERTIFICATES: &str = "put the certificates into ~/.config/containers/certs.d/HOST:PORT";

const fn verb(theirs: &'static [&'static str], ours: &'static [&'static str]) -> Verb {
    Verb { theirs, ours, target: None }
}

const fn flag(verbs: &'static [&'static str], names: &'static [&'static str], becomes: Becomes) -> Flag {
    beside(verbs, names, becomes, &[])
}

const fn beside(
    verbs: &'static [&'static str],
    names: &'static [&'static str],
    becomes: Becomes,
    unless: &'static [&'static str],
) -> Flag {
    Flag { verbs, names, becomes, unless }
}

fn is_registry(place: &Transport) -> bool {
    matches!(place, Transport::Registry(_))
}

fn is_layout(place: &Transport) -> bool {
    matches!(place, Transport::Layout(_))
}
