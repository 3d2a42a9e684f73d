//! Which tags of a place are meant.

use clap::Args;
use orlop::fs::glob::Glob;
use orlop::sync::Tags;
use semver::VersionReq;

/// For verbs that work on some tags of a place.
#[derive(Args, Debug)]
pub struct TagFlags {
    /// Tags to take, as patterns such as 'v*'; all where none is given
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    include: Vec<Glob>,
    /// Tags to leave out, as patterns
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    exclude: Vec<Glob>,
    /// Tags to take, as a range of versions such as '>=1.2, <2'
    #[arg(long, value_name = "RANGE")]
    semver: Option<VersionReq>,
}

impl TagFlags {
    /// What the library is handed.
    pub fn tags(&self) -> Tags {
        let Self { include, exclude, semver } = self;
        Tags { include: include.clone(), exclude: exclude.clone(), versions: semver.clone() }
    }
}

pub fn glob(text: &str) -> Result<Glob, String> {
    Glob::parse(text.as_bytes()).map_err(|error| error.to_string())
}
