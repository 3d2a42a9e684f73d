//! `--profile`, `--chunked`: what files become, and how they are divided among layers.

use super::Places;
use crate::environment;
use clap::{Args, ValueEnum};
use orlop::chunk::packages::Components;
use orlop::chunk::{Chunking, previous};
use orlop::image::Image;
use orlop::spec::{Context, Fault, Platform};
use orlop::trees::Profile;
use std::ffi::OsString;
use std::path::PathBuf;

/// For files that become an image.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Files")]
pub struct Dividing {
    /// What a commit of OSTree becomes
    #[arg(long, value_name = "WHAT")]
    profile: Option<ProfileChoice>,
    /// Divide files among so many layers at most, so that an update changes few of them: by the packages of dpkg or apk,
    /// else by folders
    #[arg(long, value_name = "LAYERS")]
    chunked: Option<usize>,
    /// What belongs together, in the place of the packages: NAME PATH on each line
    #[arg(long, value_name = "FILE", requires = "chunked")]
    components: Option<PathBuf>,
    /// The image before this one: what was in one layer there stays in one
    #[arg(long, value_name = "REF", requires = "chunked")]
    previous: Option<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProfileChoice {
    /// An image of its files, which carries the commit.
    Plain,
    /// The same, with the labels that flatpak needs to install it.
    Flatpak,
    /// The objects of the commit, for bootc and ostree-ext.
    Encapsulated,
}

impl Dividing {
    /// Whether anything was asked for.
    pub fn is_given(&self) -> bool {
        self.given().iter().any(|(is_given, _)| *is_given)
    }

    /// What was asked for.
    pub fn given(&self) -> [(bool, &'static str); 2] {
        [(self.chunked.is_some(), "--chunked"), (self.profile.is_some(), "--profile")]
    }

    /// What a commit becomes.
    pub fn profile(&self) -> Profile {
        match self.profile {
            None | Some(ProfileChoice::Plain) => Profile::Plain,
            Some(ProfileChoice::Flatpak) => Profile::Flatpak,
            Some(ProfileChoice::Encapsulated) => Profile::Encapsulated,
        }
    }

    /// How files are divided, where they are.
    pub fn chunking(
        &self,
        places: &Places,
        cx: &Context<'_>,
        platform: Option<&Platform>,
    ) -> Result<Option<Chunking>, Fault> {
        let Some(layers) = self.chunked else { return Ok(None) };
        let mut chunking = Chunking::new(layers)?;
        chunking.components = self.components.as_deref().map(Components::read).transpose()?;
        if let Some(text) = &self.previous {
            let place = places.open(text, cx)?;
            let platform = platform.cloned().unwrap_or_else(environment::host);
            let image = Image::fetch(cx, place.source(), place.selector(), &platform)?;
            chunking.previous = previous(image.manifest());
        }
        Ok(Some(chunking))
    }
}
