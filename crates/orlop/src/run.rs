//! `run`: an image becomes a container, which is gone when its process ends.
//!
//! ```text
//! run (holds the lock of ROOT/runs/ID)
//!  └─ supervisor: process 1 of own namespaces: mounts, config.json
//!      └─ runc, crun, youki or bwrap ─► the container
//! ```
//!
//! Invariant: an image chooses what runs in the container and nothing else: not the runtime, no path and no device of
//! the host (J7). Whoever is killed, the container ends with it, and the next run removes its folder.

mod bwrap;
mod error;
mod oci;
mod place;
mod runtime;
mod supervisor;

pub use error::{FAILED, RunError, exit_code};
pub use orlop_fs::process::Ended;
pub use orlop_fs::supervise::{Outcome, Tether};
pub use place::{Afterwards, Place, RUNS, clear_store, let_go};
pub use runtime::{Kind as RuntimeKind, Runtime};
pub use supervisor::{Plan, REMOVE, RUN, Stdio, VERB, run, supervised};

use crate::image::Image;
use crate::unpack::link_of;
use crate::verify::{self, Trust};
use crate::{cat, layers};
use orlop_fs::namespace::{Mapping, Mappings};
use orlop_fs::process::Ended as Status;
use orlop_fs::room::Room;
use orlop_fs::{Dir, privilege};
use orlop_spec::platform::Platform;
use orlop_spec::port::Result;
use orlop_spec::runtime::{IdMapping, Options, Privilege, Rootfs, convert};
use orlop_spec::{Context, Event};
use orlop_store::Store;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Bytes of `/etc/passwd` and `/etc/group` that are read.
pub(crate) const ACCOUNTS: u64 = 16 << 20;

/// Says which groups of the user a namespace does not hold.
pub(crate) fn warn_of_lost_groups(cx: &Context<'_>, runtime: &orlop_spec::runtime::Runtime) {
    if !runtime.lost_groups.is_empty() {
        let text = format!("groups {:?} of the user are not mapped and were left out", runtime.lost_groups);
        cx.observer.event(Event::Warned(text));
    }
}

/// Users and groups that an ordinary user may have.
fn mappings() -> Mappings {
    Mappings::of_caller().unwrap_or_else(|_| Mappings::of_caller_alone())
}

/// Who starts a container, and so what its supervisor needs.
#[derive(Debug)]
pub struct Caller {
    /// Where the supervisor does not have the caller's users.
    mappings: Option<Mappings>,
    /// Whether the users of the supervisor are those of the host.
    privilege: Privilege,
}

impl Caller {
    /// Whoever may mount needs no users of its own; everybody else is root of a namespace.
    pub fn current() -> Result<Self> {
        if privilege::may_mount() {
            let privilege = match Mappings::of_namespace()? {
                None => Privilege::Root,
                Some(mappings) => within(&mappings),
            };
            return Ok(Self { mappings: None, privilege });
        }
        let mappings = mappings();
        Ok(Self { privilege: within(&mappings), mappings: Some(mappings) })
    }

    /// For whom the configuration is made.
    pub fn privilege(&self) -> &Privilege {
        &self.privilege
    }

    /// Where the supervisor runs.
    pub fn room(&self) -> Room<'_> {
        self.mappings.as_ref().map_or(Room::Own, Room::OfUsers)
    }
}

fn within(mappings: &Mappings) -> Privilege {
    let of_runtime = |mappings: &[Mapping]| {
        let one = |it: &Mapping| IdMapping { container: it.inside, host: it.outside, size: it.count };
        mappings.iter().map(one).collect()
    };
    Privilege::Within { users: of_runtime(&mappings.users), groups: of_runtime(&mappings.groups) }
}

/// The configuration that a container of an image would get; nothing is made.
pub fn configuration(cx: &Context<'_>, image: &Image<'_>, options: &Options) -> Result<Vec<u8>> {
    let tree = layers::merged(cx, image)?;
    let file = |path: &str| cat::small(cx, image, &tree, path.as_bytes(), ACCOUNTS);
    let (passwd, group) = (file("/etc/passwd")?, file("/etc/group")?);
    let link = |path: &[u8]| link_of(&tree, path);
    let rootfs = Rootfs { passwd: passwd.as_deref(), group: group.as_deref(), link: &link };
    let runtime = convert(image.config(), &rootfs, options)?;
    warn_of_lost_groups(cx, &runtime);
    Ok(runtime.to_bytes())
}

/// Refuses an image of which the store keeps something else than was put there: what was compared before and did not change
/// since is not read again.
pub fn verify(cx: &Context<'_>, store: &Store, image: &Image<'_>, name: &OsStr) -> Result<()> {
    let found = verify::stored(cx, store, &image.config().rootfs.diff_ids, Trust::Kept)?;
    if found.is_as_meant() { Ok(()) } else { Err(RunError::Tampered(name.as_bytes().into()).into()) }
}

/// Removes a folder of the folder that this process was started in, for a run that could not.
pub fn remove(name: &str) -> Result<Status> {
    Dir::open(".")?.remove_all(name)?;
    Ok(Status::Code(0))
}

/// Refuses an image whose programs this machine does not know, unless an emulator is registered for them.
pub fn check_platform(image: &Platform, host: &Platform) -> Result<(), RunError> {
    let (of_image, of_host) = (image.in_go_names(), host.in_go_names());
    let native = of_image.os == of_host.os
        && (of_image.architecture == of_host.architecture
            || NATIVE.contains(&(&*of_host.architecture, &*of_image.architecture)));
    if native || (of_image.os == of_host.os && is_emulated(&of_image.architecture)) {
        return Ok(());
    }
    Err(RunError::Foreign { image: Box::new(image.clone()), host: Box::new(host.clone()) })
}

/// Machines that run programs of another architecture as well.
const NATIVE: [(&str, &str); 3] = [("amd64", "386"), ("arm64", "arm"), ("ppc64", "ppc")];

/// Emulators have the kernels' names of architectures.
const EMULATED: [(&str, &str); 11] = [
    ("386", "i386"),
    ("amd64", "x86_64"),
    ("arm", "arm"),
    ("arm64", "aarch64"),
    ("loong64", "loongarch64"),
    ("mips64le", "mips64el"),
    ("mipsle", "mipsel"),
    ("ppc64le", "ppc64le"),
    ("riscv64", "riscv64"),
    ("s390x", "s390x"),
    ("ppc64", "ppc64"),
];

fn is_emulated(architecture: &str) -> bool {
    let emulator = EMULATED.iter().find(|(go, _)| *go == architecture);
    let path = |name: &str| format!("/proc/sys/fs/binfmt_misc/qemu-{name}");
    emulator.is_some_and(|(_, name)| orlop_fs::stat::at(path(name)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_for_this_machine_run_on_it() {
        let check = |image: &str, host: &str| {
            let parse = |text: &str| text.parse::<Platform>().expect("a platform");
            check_platform(&parse(image), &parse(host)).is_ok()
        };
        assert!(check("linux/amd64", "linux/amd64") && check("linux/x86_64", "linux/amd64"));
        assert!(check("linux/386", "linux/amd64") && check("linux/arm/v6", "linux/arm64"));
        assert!(!check("linux/mips", "linux/amd64") && !check("windows/amd64", "linux/amd64"));
    }
}
