//! `config`: what a user says about an image's config and annotations.

use super::{Revision, Step};
use orlop_spec::config::History;
use orlop_spec::descriptor::Annotations;
use orlop_spec::edit::{Edit, Unset};
use orlop_spec::platform::Platform;
use orlop_spec::port::{Result, Sink};
use orlop_spec::{Context, Event};

/// Changes config and annotations. What is emptied is emptied first, so that `--unset env --env A=b` leaves one variable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// What is emptied, each with the words that said it.
    pub unset: Vec<(String, Unset)>,
    /// What is set in the config.
    pub edit: Edit,
    /// Annotations of the manifest that are set.
    pub annotations: Annotations,
    /// For which machine the image is.
    pub platform: Option<Platform>,
    /// A step of the history that tells of the change.
    pub history: Option<History>,
}

impl Step for Settings {
    fn apply<'r>(&'r self, cx: &Context<'_>, revision: &mut Revision<'r>, _: &dyn Sink) -> Result<()> {
        for (words, unset) in &self.unset {
            let before = (revision.config().clone(), revision.manifest_mut().annotations.clone());
            let (mut config, mut annotations) = before.clone();
            unset.apply(&mut config, &mut annotations);
            if (&config, &annotations) == (&before.0, &before.1) {
                cx.observer.event(Event::Warned(format!("there is nothing to unset by {words}")));
            }
            *revision.config_mut() = config;
            revision.manifest_mut().annotations = annotations;
        }
        let mut config = self.edit.apply(revision.config().clone())?;
        if let Some(platform) = &self.platform {
            config.set_platform(platform);
        }
        *revision.config_mut() = config;
        revision.manifest_mut().annotations.extend(self.annotations.clone());
        if let Some(step) = &self.history {
            revision.note(step.clone());
        }
        Ok(())
    }
}
