//! Authorisation servers that the user said belong to a registry (N1; `docs/formats/state.md`).
//!
//! ```text
//! $XDG_STATE_HOME/orlop/realms/allowed     0600 in 0700
//!   orlop realms 1
//!   https://REGISTRY https://REALM         one line each; written by `login --realm`, removed by `logout`
//! ```
//!
//! Invariant: a line is believed for exactly its two sites, scheme and port with them. What cannot be read allows
//! nothing.

use super::private;
use orlop_fs::Dir;
use orlop_fs::error::Shown;
use orlop_fs::lock::{Share, Wait};
use orlop_spec::wire::Site;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What was allowed, in this run and in earlier ones.
pub(super) struct Realms {
    folder: Option<PathBuf>,
    user: u32,
    kept: OnceLock<BTreeSet<Pair>>,
    /// What this run was allowed and made use of.
    used: Mutex<BTreeSet<Pair>>,
}

/// A registry and its realm, as sites are printed.
type Pair = (String, String);

const FILE: &str = "allowed";
const TITLE: &str = "orlop realms 1";
/// Nobody has more registries than that.
const MOST: usize = 256;
const LARGEST: u64 = 256 << 10;

impl Realms {
    pub(super) fn new(folder: Option<PathBuf>, user: u32) -> Self {
        Self { folder, user, kept: OnceLock::new(), used: Mutex::default() }
    }

    /// Whether an earlier run kept it.
    pub(super) fn is_kept(&self, registry: &Site, realm: &Site) -> bool {
        let open = || private::open(self.folder.as_deref()?, self.user);
        let kept = self.kept.get_or_init(|| open().map(|folder| self.read(&folder)).unwrap_or_default());
        kept.contains(&pair(registry, realm))
    }

    /// Takes note of what this run was allowed.
    pub(super) fn note(&self, registry: &Site, realm: &Site) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(pair(registry, realm));
    }

    /// Keeps what this run was allowed and made use of.
    pub(super) fn keep(&self) -> orlop_fs::Result<()> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if used.is_empty() {
            return Ok(());
        }
        let denied = |path: &std::path::Path| {
            orlop_fs::Error::io(
                "keep the realm in",
                Shown::from(path.as_os_str().as_encoded_bytes()).as_bytes(),
                std::io::Error::from(std::io::ErrorKind::PermissionDenied),
            )
        };
        let Some(path) = self.folder.as_deref() else { return Ok(()) };
        let folder = private::open_or_make(path, self.user).ok_or_else(|| denied(path))?;
        self.change(&folder, |pairs| pairs.extend(used))
    }

    /// Forgets what was allowed for the registry at `host`, with its port where it has one.
    pub(super) fn forget(&self, host: &str) -> orlop_fs::Result<()> {
        let Some(folder) = self.folder.as_deref().and_then(|path| private::open(path, self.user)) else {
            return Ok(());
        };
        self.change(&folder, |pairs| pairs.retain(|(registry, _)| registry.split("://").nth(1) != Some(host)))
    }

    fn change(&self, folder: &Dir, change: impl FnOnce(&mut BTreeSet<Pair>)) -> orlop_fs::Result<()> {
        let _alone = folder.lock(Share::Exclusive, Wait::Yes)?;
        let before = self.read(folder);
        let mut pairs = before.clone();
        change(&mut pairs);
        if pairs == before {
            return Ok(());
        }
        let lines = pairs.iter().take(MOST).map(|(registry, realm)| format!("{registry} {realm}\n"));
        private::write(folder, FILE, format!("{TITLE}\n{}", lines.collect::<String>()).as_bytes()).map(drop)
    }

    fn read(&self, folder: &Dir) -> BTreeSet<Pair> {
        let bytes = private::read(folder, FILE, self.user, LARGEST).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        let Some(lines) = text.strip_prefix(TITLE).and_then(|rest| rest.strip_prefix('\n')) else {
            return BTreeSet::new();
        };
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        pairs.take(MOST).map(|(registry, realm)| (registry.to_owned(), realm.to_owned())).collect()
    }
}

fn pair(registry: &Site, realm: &Site) -> Pair {
    (registry.to_string(), realm.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::wire::Scheme;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn site(host: &str) -> Site {
        Site::parse(Scheme::Https, host).expect(host)
    }

    fn realms(scratch: &testkit::Scratch) -> Realms {
        let user = std::fs::metadata("/proc/self").expect("proc").uid();
        Realms::new(Some(scratch.path("state/realms")), user)
    }

    #[test]
    fn n1_what_was_allowed_is_allowed_for_these_two_sites_until_it_is_taken_back() {
        let scratch = testkit::scratch();
        let (registry, realm) = (site("reg.example:5000"), site("auth.example"));
        realms(&scratch).keep().expect("nothing was used, so nothing is kept");
        assert!(!scratch.path("state").exists());

        let first = realms(&scratch);
        first.note(&registry, &realm);
        first.keep().expect("kept");
        let mode =
            std::fs::metadata(scratch.path("state/realms/allowed")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);

        let later = realms(&scratch);
        assert!(later.is_kept(&registry, &realm));
        for (other, its) in [
            (site("reg.example"), realm.clone()),
            (registry.clone(), site("auth.example:8443")),
            (registry.clone(), site("evil.example")),
            (Site::parse(Scheme::Http, "reg.example:5000").expect("a site"), realm.clone()),
        ] {
            assert!(!later.is_kept(&other, &its), "{other} {its}");
        }
        realms(&scratch).forget("reg.example").expect("another registry");
        assert!(realms(&scratch).is_kept(&registry, &realm));
        realms(&scratch).forget("reg.example:5000").expect("forgotten");
        assert!(!realms(&scratch).is_kept(&registry, &realm));
    }

    #[test]
    fn n1_what_others_could_have_written_allows_nothing() {
        let scratch = testkit::scratch();
        let (registry, realm) = (site("reg.example"), site("auth.example"));
        let first = realms(&scratch);
        first.note(&registry, &realm);
        first.keep().expect("kept");
        let file = scratch.path("state/realms/allowed");
        for damage in ["", "orlop realms 2\nhttps://reg.example https://auth.example\n", "\u{fffd}"] {
            let whole = std::fs::read(&file).expect("a file");
            std::fs::write(&file, damage).expect("written");
            assert!(!realms(&scratch).is_kept(&registry, &realm), "{damage:?}");
            std::fs::write(&file, whole).expect("written");
        }
        assert!(realms(&scratch).is_kept(&registry, &realm));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o620)).expect("set");
        assert!(!realms(&scratch).is_kept(&registry, &realm));
    }
}
