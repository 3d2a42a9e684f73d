//! `umoci raw VERB`: parts of what the other verbs do.

mod add_layer;
mod mtree_validate;
mod runtime_config;
mod unpack;

use crate::shell::Shell;
use clap::Subcommand;
use orlop::spec::{Context, Fault};

/// single steps of what the other verbs do
#[derive(Subcommand)]
pub enum Raw {
    AddLayer(Box<add_layer::Arguments>),
    Unpack(unpack::Arguments),
    RuntimeConfig(runtime_config::Arguments),
    #[command(hide = true)]
    MtreeValidate(mtree_validate::Arguments),
}

impl Raw {
    pub fn run(&self, shell: &Shell, cx: &Context<'_>) -> Result<(), Fault> {
        match self {
            Self::AddLayer(arguments) => add_layer::run(arguments, cx),
            Self::Unpack(arguments) => unpack::run(arguments, cx),
            Self::RuntimeConfig(arguments) => runtime_config::run(arguments, cx),
            Self::MtreeValidate(arguments) => mtree_validate::run(arguments, shell, cx),
        }
    }
}
