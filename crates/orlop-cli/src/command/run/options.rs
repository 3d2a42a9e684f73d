//! What a caller says of a container.

use crate::environment;
use clap::{Args, ValueEnum};
use orlop::fs::{File, privilege, stat, terminal};
use orlop::run::{RunError, Runtime, RuntimeKind};
use orlop::spec::Fault;
use orlop::spec::edit::Folder;
use orlop::spec::runtime::{
    self, Access, Command, Cpus, Filter, Home, Labels, Network, Privilege, Process, Resources, Terminal,
    Volume,
};
use orlop::spec::user::User;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// Bytes of a filter of system calls that are read.
const LARGEST_FILTER: u64 = 4 << 20;

/// The container.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Args, Debug)]
#[command(next_help_heading = "Container")]
pub struct Options {
    /// Program that is run instead of the image's; repeat it for each element
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    entrypoint: Vec<Box<str>>,
    /// Environment variable; NAME alone has the value that it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<Box<str>>,
    /// User and group of the process: USER[:GROUP], numbers or names that the image knows
    #[arg(short, long, value_name = "USER")]
    user: Option<User>,
    /// Where the process starts
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<Folder>,
    /// File or folder of this machine that stands at DST in the container; with `ro` it can only be read
    #[arg(short, long, value_name = "SRC:DST[:ro]", value_parser = mount)]
    volume: Vec<Mount>,
    /// Let the container only read its root filesystem
    #[arg(long)]
    read_only: bool,
    /// The network: that of this machine, or one with nothing in it
    #[arg(long, value_name = "WHICH", default_value = "host")]
    network: NetworkChoice,
    /// Name of the machine in the container
    #[arg(long, value_name = "NAME")]
    hostname: Option<Box<str>>,
    /// Most memory, such as `512m` or `2g`
    #[arg(short, long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    /// Most processors, such as `1.5`
    #[arg(long, value_name = "N", value_parser = cpus)]
    cpus: Option<Cpus>,
    /// Filter of the system calls: `default`, `none`, or a file as the runtime-spec, docker or podman have it
    #[arg(long, value_name = "WHICH", default_value = "default", value_parser = filter)]
    seccomp: FilterChoice,
    /// Give the process a terminal, also where there is none here [default: where input and output are one]
    #[arg(short, long, overrides_with = "no_tty")]
    tty: bool,
    /// Give the process no terminal, also where there is one here
    #[arg(long)]
    no_tty: bool,
    /// Pass the standard input on; this is the default
    #[arg(short, long)]
    interactive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NetworkChoice {
    /// This machine's.
    Host,
    /// Nothing but itself.
    None,
}

#[derive(Clone, Debug)]
enum FilterChoice {
    /// What podman takes.
    Default,
    /// Every call may be made.
    None,
    File(PathBuf),
}

/// `SRC:DST[:ro]`
#[derive(Clone, Debug)]
struct Mount {
    source: Box<str>,
    target: Box<str>,
    access: Access,
}

impl Options {
    /// What the library is handed; `words` are the command.
    pub fn runtime(&self, privilege: Privilege, words: &[OsString]) -> Result<runtime::Options, Fault> {
        let words = words.iter().map(|word| text(word)).collect::<Result<Vec<_>, _>>()?;
        let list = |words: &[Box<str>]| (!words.is_empty()).then(|| words.to_vec());
        let network = match self.network {
            NetworkChoice::Host => Network::Host,
            NetworkChoice::None => Network::Own,
        };
        let resources = Resources { memory: self.memory, cpus: self.cpus };
        if privilege != Privilege::Root && !resources.is_none() {
            return Err(RunError::NoCgroup.into());
        }
        Ok(runtime::Options {
            privilege,
            unmapped: runtime::Unmapped::Refused,
            command: Command { entrypoint: list(&self.entrypoint), cmd: list(&words) },
            open_files: privilege::open_files_limit(),
            hostname: self.hostname.clone(),
            root: if self.read_only { Access::ReadOnly } else { Access::ReadWrite },
            process: Process {
                user: self.user.as_ref().map(|user| user.to_string().into()),
                working_dir: self.workdir.as_ref().map(|folder| folder.as_str().into()),
                environment: self.environment()?,
                terminal: self.terminal(),
                size: terminal::size(io::stdin()).or_else(|| terminal::size(io::stdout())),
                home: Home::OfAccount,
            },
            network: Some(network),
            volumes: self.volumes(network)?,
            resources,
            labels: Labels::LeftOut,
            filter: self.filter()?,
        })
    }

    /// A variable that is named and not set here is not set there.
    fn environment(&self) -> Result<Vec<Box<str>>, Fault> {
        let mut environment = Vec::new();
        for entry in &self.env {
            if entry.contains('=') {
                environment.push(entry.clone());
            } else if let Some(value) = environment::value(entry) {
                environment.push(format!("{entry}={}", text(&value)?).into());
            }
        }
        Ok(environment)
    }

    fn filter(&self) -> Result<Option<Filter>, Fault> {
        let path = match &self.seccomp {
            FilterChoice::None => return Ok(None),
            FilterChoice::Default => return Ok(Some(Filter::standard(&environment::host()))),
            FilterChoice::File(path) => path,
        };
        let bytes = File::open(path)?.read_to_limit(LARGEST_FILTER)?;
        let bad = |source| RunError::BadFilter { file: path.as_os_str().as_bytes().into(), source };
        Ok(Some(Filter::parse(&bytes, &environment::host()).map_err(bad)?))
    }

    /// Refuses what the program that runs the container cannot do.
    pub fn check(&self, runtime: &Runtime) -> Result<(), RunError> {
        match (&self.seccomp, runtime.kind) {
            (FilterChoice::File(_), RuntimeKind::Bwrap) => {
                Err(RunError::Cannot { runtime: RuntimeKind::Bwrap.name(), what: "filter system calls" })
            }
            _ => Ok(()),
        }
    }

    /// Whether the process gets a terminal.
    pub fn terminal(&self) -> Terminal {
        let is_here = || io::stdin().is_terminal() && io::stdout().is_terminal();
        if self.tty || (!self.no_tty && is_here()) { Terminal::Yes } else { Terminal::No }
    }

    /// Those of the caller, and where the network is this machine's, what names of hosts are looked up in.
    fn volumes(&self, network: Network) -> Result<Vec<Volume>, Fault> {
        let mut volumes = self.volume.iter().map(Mount::volume).collect::<Result<Vec<_>, _>>()?;
        if network == Network::Host {
            for path in ["/etc/hosts", "/etc/resolv.conf"] {
                let is_said = volumes.iter().any(|volume| &*volume.target == path);
                if let (false, Ok(real)) = (is_said, stat::real_path(path)) {
                    let source = text(real.as_os_str())?;
                    volumes.push(Volume { source, target: path.into(), access: Access::ReadOnly });
                }
            }
        }
        Ok(volumes)
    }
}

impl Mount {
    fn volume(&self) -> Result<Volume, Fault> {
        let missing = |error: orlop::fs::Error| match error {
            error if error.is_not_found() => RunError::NoVolume(self.source.as_bytes().into()).into(),
            error => Fault::from(error),
        };
        let source = text(stat::real_path(&*self.source).map_err(missing)?.as_os_str())?;
        Ok(Volume { source, target: self.target.clone(), access: self.access })
    }
}

/// Documents hold text alone.
fn text(word: &std::ffi::OsStr) -> Result<Box<str>, Fault> {
    let not_text = || RunError::NotText(word.as_bytes().into()).into();
    word.to_str().map(Into::into).ok_or_else(not_text)
}

fn mount(text: &str) -> Result<Mount, String> {
    const FORM: &str = "a volume is SRC:DST or SRC:DST:ro, and SRC is a path, such as ./data";
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, access) = match *parts.as_slice() {
        [source, target] | [source, target, "rw"] => (source, target, Access::ReadWrite),
        [source, target, "ro"] => (source, target, Access::ReadOnly),
        _ => return Err(FORM.into()),
    };
    // A name alone means a volume that an engine keeps, and there is no engine.
    if !source.contains('/') && source != "." && source != ".." {
        return Err(FORM.into());
    }
    Ok(Mount { source: source.into(), target: target.into(), access })
}

#[expect(clippy::unnecessary_wraps, reason = "every word is a choice, and clap wants a result")]
fn filter(text: &str) -> Result<FilterChoice, String> {
    Ok(match text {
        "default" => FilterChoice::Default,
        "none" => FilterChoice::None,
        path => FilterChoice::File(path.into()),
    })
}

/// As docker reads it: small letters do as well.
fn memory(text: &str) -> Result<u64, String> {
    const FORM: &str = "memory is a number of bytes and one of b, k, m, g";
    let text = text.to_ascii_lowercase();
    let number = text.trim_end_matches(|last: char| last.is_ascii_lowercase());
    let unit = match &text[number.len()..] {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return Err(FORM.into()),
    };
    let count: u64 = number.parse().map_err(|_| FORM)?;
    let bytes = count.checked_mul(1 << unit).filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| FORM.into())
}

fn cpus(text: &str) -> Result<Cpus, String> {
    text.parse().map_err(|error: &str| error.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_paths_and_nothing_else() {
        let parts = |text| mount(text).map(|it| (it.source, it.target, it.access)).ok();
        let both = |source: &str, target: &str, access| Some((source.into(), target.into(), access));
        assert_eq!(parts("./a:/b"), both("./a", "/b", Access::ReadWrite));
        assert_eq!(parts("/a:/b:ro"), both("/a", "/b", Access::ReadOnly));
        for bad in ["data:/b", "/a", "/a:/b:z", "/a:/b:ro:x", ":/b"] {
            assert!(mount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_is_read_as_docker_reads_it() {
        for (text, bytes) in [("512m", 512 << 20), ("2G", 2 << 30), ("100", 100), ("1kb", 1024)] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "m", "1t", "-1", "9223372036854775808", "99999999999g"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }
}
