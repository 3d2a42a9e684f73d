//! The `config.json` of umoci's bundles: made as for every bundle, but that a command and a terminal are never missing, as
//! its users know it, that root may map owners too, that a user whom the mappings do not hold is written: what starts
//! the container, LXC for one, may map others; and that the container is umoci's ([`super::machine`]).

use super::machine::{self, Machine};
use crate::image::Image;
use crate::run::{ACCOUNTS, warn_of_lost_groups};
use orlop_fs::rooted::{link, read_small};
use orlop_fs::{Dir, Persist, Temp};
use orlop_host::umoci::meta::{MapOptions, Rootless};
use orlop_spec::config::Config;
use orlop_spec::port::Result;
use orlop_spec::runtime::{
    self, Command, Home, Options, Privilege, Process, Rootfs, RuntimeError, Terminal, Unmapped,
};
use orlop_spec::{Context, Event};
use std::path::Path;

/// What runs where the image names nothing.
const SHELL: &str = "sh";
/// What the machine in the container is called.
const HOST: &str = "umoci-default";

/// The bytes of `config.json`, in which the root is called so. Without a root filesystem, a user that only it could tell is root.
pub fn config(
    cx: &Context<'_>,
    image: &Image<'_>,
    root: Option<&Dir>,
    name: &str,
    map: &MapOptions,
    open_files: Option<u64>,
) -> Result<Vec<u8>> {
    let account = |path: &str| root.map_or(Ok(None), |root| read_small(root, path, ACCOUNTS));
    let (passwd, group) = (account("/etc/passwd")?, account("/etc/group")?);
    let link = |path: &[u8]| link(root?, path);
    let rootfs = Rootfs { passwd: passwd.as_deref(), group: group.as_deref(), link: &link };
    let mut options = options(image.config(), map);
    let converted = match runtime::convert(image.config(), &rootfs, &options) {
        Err(error) if is_root_instead(&error, root) => {
            cx.observer.event(Event::Warned(format!("{error}; config.json names root instead")));
            options.process.user = Some("0".into());
            runtime::convert(image.config(), &rootfs, &options)
        }
        converted => converted,
    };
    let mut runtime = converted?;
    warn_of_lost_groups(cx, &runtime);
    if let Some((user, group)) = runtime.unmapped {
        let text = format!(
            "the image runs as {user}:{group}, which the bundle's mappings do not hold: let whatever starts the container map it"
        );
        cx.observer.event(Event::Warned(text));
    }
    runtime.config["root"]["path"] = name.into();
    machine::fit(&mut runtime, &Machine { map, open_files });
    Ok(runtime.to_bytes())
}

/// Writes such a file; what has the name is replaced in one step.
pub fn write(path: &Path, config: &[u8]) -> Result<()> {
    let (folder, name) = orlop_store::archive::replaceable(path)?;
    let temp = Temp::beside(folder, &name)?;
    temp.file().write_at(config, 0)?;
    temp.file().set_mode(0o644)?;
    temp.persist(name, Persist::Replace)?;
    Ok(())
}

/// A name can be told by a root filesystem alone.
fn is_root_instead(error: &RuntimeError, root: Option<&Dir>) -> bool {
    root.is_none() && matches!(error, RuntimeError::UnknownUser(_) | RuntimeError::UnknownGroup(_))
}

fn options(image: &Config, map: &MapOptions) -> Options {
    let privilege = match map.rootless {
        Rootless::Yes => Privilege::Rootless { users: map.users.clone(), groups: map.groups.clone() },
        Rootless::No => Privilege::Root,
    };
    let execution = image.config.as_ref();
    let words = |words: Option<&Option<Vec<Box<str>>>>| {
        words.and_then(Option::as_ref).is_some_and(|words| !words.is_empty())
    };
    let is_silent = !words(execution.map(|it| &it.entrypoint)) && !words(execution.map(|it| &it.cmd));
    let cmd = is_silent.then(|| vec![SHELL.into()]);
    Options {
        privilege,
        unmapped: Unmapped::Written,
        hostname: Some(HOST.into()),
        command: Command { entrypoint: None, cmd },
        process: Process { terminal: Terminal::Yes, home: Home::Known, ..Process::default() },
        ..Options::default()
    }
}
