//! The common shape of errors: what kind it is (and so which exit code), and what to type next.
//!
//! Every library crate has one error enum of its own; it implements [`Diagnose`], and ports and verbs carry
//! it as a [`Fault`].

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;

/// What an error means to a caller. The exit codes are a contract (`docs/reference/exit-codes.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Anything that has no kind of its own.
    Other,
    /// An image, tag or platform that is not there.
    NotFound,
    /// Authentication or authorisation failed.
    Denied,
    /// Refused by policy or signature.
    Policy,
    /// Bytes that were needed are not what was named.
    Integrity,
    /// Not reachable after retries.
    Unreachable,
    /// Some parts succeeded, some did not.
    Partial,
    /// A comparing verb found something.
    Differs,
    /// A limit on sizes, entries or names was exceeded.
    Limit,
    /// The command was misused.
    Usage,
    /// Interrupted by the user.
    Interrupted,
}

impl Kind {
    /// Every kind, in the order of its exit code.
    pub const ALL: [Self; 11] = [
        Self::Other,
        Self::NotFound,
        Self::Denied,
        Self::Policy,
        Self::Integrity,
        Self::Unreachable,
        Self::Partial,
        Self::Differs,
        Self::Limit,
        Self::Usage,
        Self::Interrupted,
    ];

    /// The exit code of the program.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::NotFound => 2,
            Self::Denied => 3,
            Self::Policy => 4,
            Self::Integrity => 5,
            Self::Unreachable => 6,
            Self::Partial => 7,
            Self::Differs => 8,
            Self::Limit => 9,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }

    /// One line for the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Other => "another error",
            Self::NotFound => "not found: an image, tag or platform",
            Self::Denied => "denied: authentication or authorisation",
            Self::Policy => "refused by policy or signature",
            Self::Integrity => "integrity: bytes that the command needed are not what was named",
            Self::Unreachable => "unreachable after retries",
            Self::Partial => "partial success",
            Self::Differs => "a comparing verb found something",
            Self::Limit => "a limit on sizes, entries or names was exceeded",
            Self::Usage => "the command line was misused",
            Self::Interrupted => "interrupted",
        }
    }
}

/// An error that can say what it means and what to do about it.
pub trait Diagnose: Error + Send + Sync + 'static {
    /// What the error means to a caller.
    fn kind(&self) -> Kind;

    /// What to type next, where that is known: one way, or several with `, or ` between them. A flag in it is one of
    /// the program's; a front end leaves out a way that the command which ran does not know.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Whether something is not there at all, rather than being wrong.
    fn is_absence(&self) -> bool {
        self.kind() == Kind::NotFound
    }
}

/// Any error of orlop, on its way through a port.
///
/// A crate's own error becomes one by `impl From<Error> for Fault`. Inside a `Read` or `Write` it travels as
/// [`io::Error::other`]; [`Fault::io`] takes it out again.
pub struct Fault(Box<dyn Diagnose>);

impl Fault {
    /// Wraps a typed error.
    pub fn new(error: impl Diagnose) -> Self {
        Self(Box::new(error))
    }

    /// The typed error, where it is an `E`.
    pub fn downcast_ref<E: Diagnose>(&self) -> Option<&E> {
        let error: &(dyn Error + 'static) = &*self.0;
        error.downcast_ref()
    }

    /// What the error means to a caller.
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// An error of a stream. A fault that travelled inside comes out as it went in; anything else is said
    /// together with `what` was being done, for example `read /x/index.json`.
    pub fn io(what: impl Into<String>, error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(fault) => fault,
            Err(error) => Self::new(IoFailed { what: what.into(), source: error }),
        }
    }

    /// Whether all this is because a disk is full, or the user's part of it.
    pub fn is_full(&self) -> bool {
        let first: Option<&(dyn Error + 'static)> = Some(self);
        iter::successors(first, |cause| (*cause).source())
            .any(|cause| cause.downcast_ref().is_some_and(is_full))
    }
}

impl Diagnose for Fault {
    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    fn is_absence(&self) -> bool {
        self.0.is_absence()
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

/// A system call or a stream failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct IoFailed {
    /// What was being done, as a verb and its object.
    pub what: String,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// `Operation not permitted`; `Permission denied` is another number.
const EPERM: i32 = 1;

impl Diagnose for IoFailed {
    fn kind(&self) -> Kind {
        kind_of_io(&self.source)
    }

    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::StorageFull => {
                Some("free some space, or name another folder with --tmpdir".into())
            }
            // What no owner may do either: links where there are none, files that a flag protects.
            io::ErrorKind::PermissionDenied if self.source.raw_os_error() == Some(EPERM) => {
                Some("run as root; where root may not either, the file system cannot do that, or `lsattr` tells why".into())
            }
            io::ErrorKind::PermissionDenied => Some("run as the owner of that path, or as root".into()),
            _ => None,
        }
    }
}

/// Whether a disk is full, or the user's part of it.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The kind of an error of a stream: that of the fault inside, or what the system said.
pub fn kind_of_io(error: &io::Error) -> Kind {
    if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
        return fault.kind();
    }
    match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_out_of_a_stream_as_it_went_in() {
        let fault = Fault::new(crate::context::Cancelled);
        let back = Fault::io("read x", io::Error::from(fault));
        assert_eq!(back.kind(), Kind::Interrupted);
        assert!(back.downcast_ref::<crate::context::Cancelled>().is_some());
    }

    #[test]
    fn only_what_owners_may_do_is_said_to_be_theirs_to_do() {
        let hint = |code| Fault::io("create x", io::Error::from_raw_os_error(code)).hint().expect("a hint");
        assert!(hint(EPERM).contains("file system") && !hint(EPERM).contains("owner"));
        assert!(hint(13).contains("as the owner"));
    }

    #[test]
    fn exit_codes_are_distinct_and_ascending() {
        assert!(Kind::ALL.windows(2).all(|pair| pair[0].exit_code() < pair[1].exit_code()));
    }
}
