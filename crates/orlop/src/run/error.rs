//! Why a container cannot be run.

use orlop_fs::error::Shown;
use orlop_spec::json::JsonError;
use orlop_spec::{Diagnose, Fault, Kind, Platform};

/// Why a container cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Neither a runtime nor `bwrap`.
    #[error("there is no program that runs containers: none of {looked_for} is in PATH")]
    NoRuntime {
        /// What was looked for.
        looked_for: &'static str,
    },
    /// A program that was named and is none.
    #[error("{0} is no program that can be run")]
    NotAProgram(Shown),
    /// A program that is none of those whose arguments are known.
    #[error("{0} is none of runc, crun, youki and bwrap")]
    UnknownRuntime(Shown),
    /// Something was asked for that the runtime does not do.
    #[error("{runtime} cannot {what}")]
    Cannot {
        /// The runtime.
        runtime: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// Limits, and no cgroup to set them in.
    #[error("an ordinary user has no cgroup in which memory or processors could be limited")]
    NoCgroup,
    /// The runtime said no.
    #[error("{runtime} cannot start the container: {said}")]
    Failed {
        /// The runtime.
        runtime: &'static str,
        /// Its words.
        said: String,
    },
    /// The program is not in the image.
    #[error("the image has no program {0:?}, or not what it needs to run")]
    NoProgram(String),
    /// The program is there, and no program.
    #[error("{0:?} of the image cannot be run: it is no program, or nobody may run it")]
    NotRunnable(String),
    /// The image is for another machine.
    #[error("the image is for {image}, and this machine is {host}")]
    Foreign {
        /// Of the image.
        image: Box<Platform>,
        /// Of the machine.
        host: Box<Platform>,
    },
    /// Documents hold text alone.
    #[error("{0} is not UTF-8, and so cannot stand in the configuration of a container")]
    NotText(Shown),
    /// The source of a volume is not there.
    #[error("there is no {0} to put into the container")]
    NoVolume(Shown),
    /// A file that was named as a filter of system calls.
    #[error("{file} is no filter of system calls")]
    BadFilter {
        /// The file.
        file: Shown,
        /// What is wrong with it.
        source: JsonError,
    },
    /// Somebody changed what the store keeps.
    #[error("the store keeps something else of {0} than was put there")]
    Tampered(Shown),
    /// A supervisor without what only `run` gives it.
    #[error("this verb is for orlop alone, which starts it by `orlop run`")]
    NotASupervisor,
    /// The folder of a run was changed.
    #[error("what was planned for the container cannot be read")]
    BadPlan(#[source] serde_json::Error),
}

/// What a shell says of a program that is there and cannot be run (POSIX, 2.8.2).
const NOT_RUNNABLE: u8 = 126;
/// What it says of one that is not there.
const NO_PROGRAM: u8 = 127;
/// The exit code that says that it was not the container that failed.
pub const FAILED: u8 = 125;

/// The exit code of `run` where it failed, not the container.
pub fn exit_code(fault: &Fault) -> u8 {
    match fault.downcast_ref() {
        Some(RunError::NoProgram(_)) => NO_PROGRAM,
        Some(RunError::NotRunnable(_)) => NOT_RUNNABLE,
        _ => FAILED,
    }
}

impl Diagnose for RunError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoProgram(_) | Self::NoVolume(_) | Self::NotAProgram(_) => Kind::NotFound,
            Self::Tampered(_) => Kind::Integrity,
            Self::UnknownRuntime(_) | Self::NotASupervisor | Self::NotText(_) | Self::BadFilter { .. } => {
                Kind::Usage
            }
            _ => Kind::Other,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoRuntime { .. } => {
                Some("install the package runc or crun, or bubblewrap for less isolation".into())
            }
            Self::UnknownRuntime(_) => Some("--runtime /usr/bin/runc".into()),
            Self::NotAProgram(_) => Some(
                "install the package runc or crun, or name another program: --runtime /usr/bin/runc".into(),
            ),
            Self::Cannot { .. } => Some("install the package runc or crun".into()),
            Self::NoCgroup => Some("run it as root".into()),
            Self::Foreign { image, .. } => Some(format!(
                "choose an image for this machine with --platform, or register an emulator for {} with the kernel \
                 (packages qemu-user-static and binfmt-support)",
                image.architecture
            )),
            Self::Tampered(name) => Some(format!(
                "orlop verify {name} tells what differs, or make it right with orlop verify --repair {name}"
            )),
            Self::BadFilter { .. } => Some(
                "a member `seccomp` of a runtime's configuration is wanted, or a profile of docker or podman; or --seccomp \
                 none"
                    .into(),
            ),
            Self::Failed { said, .. } if said.contains("seccomp") => {
                Some("run it without a filter of system calls: --seccomp none".into())
            }
            Self::NotASupervisor => Some("orlop run REF".into()),
            _ => None,
        }
    }
}

impl From<RunError> for Fault {
    fn from(error: RunError) -> Self {
        Self::new(error)
    }
}
