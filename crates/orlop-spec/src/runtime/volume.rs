//! What of the host stands in a container: what the caller named, and never an image (P8).

use super::RuntimeError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whether something can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// It can.
    #[default]
    ReadWrite,
    /// It cannot.
    ReadOnly,
}

/// A file or folder of the host in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where it is on the host; absolute.
    pub source: Box<str>,
    /// Where it stands in the container; absolute.
    pub target: Box<str>,
    /// Whether the container may write it.
    pub access: Access,
}

impl Volume {
    /// Its place in one spelling. Anything below the root can be one.
    pub(super) fn place(&self) -> Result<String, RuntimeError> {
        let bad = || RuntimeError::BadMount(self.target.clone());
        let parts: Vec<_> = self.target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if !self.target.starts_with('/')
            || self.target.contains('\0')
            || parts.is_empty()
            || parts.contains(&"..")
        {
            return Err(bad());
        }
        Ok(format!("/{}", parts.join("/")))
    }

    pub(super) fn to_value(&self, place: &str) -> Value {
        let access = match self.access {
            Access::ReadWrite => "rw",
            Access::ReadOnly => "ro",
        };
        json!({
            "destination": place, "type": "bind", "source": self.source,
            "options": ["rbind", "rprivate", access],
        })
    }
}
