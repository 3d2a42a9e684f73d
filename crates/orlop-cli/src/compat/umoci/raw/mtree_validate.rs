//! `umoci raw mtree-validate --manifest FILE --path DIR`

use crate::compat::umoci::mapping::RootlessFlag;
use crate::error::Error;
use crate::shell::Shell;
use clap::Args;
use orlop::host::umoci::mtree::{Keyword, Keywords};
use orlop::spec::{Context, Fault};
use orlop::umoci::validate::{Wanted, validate};
use std::path::PathBuf;

/// tells what differs between a folder and a manifest in the form of mtree(5)
#[derive(Args)]
#[command(override_usage = "umoci raw mtree-validate --manifest FILE --path DIR [options]")]
pub struct Arguments {
    /// the manifest
    #[arg(long, short = 'f', visible_alias = "file", value_name = "FILE")]
    manifest: PathBuf,
    /// the folder
    #[arg(long, short, value_name = "DIR")]
    path: PathBuf,
    /// further keywords that are compared, with commas or blanks between them
    #[arg(long, short = 'K', value_name = "LIST", value_parser = Keyword::list)]
    add_keywords: Option<Keywords>,
    /// the keywords that are compared, without this those that the manifest uses
    #[arg(long, short = 'k', value_name = "LIST", value_parser = Keyword::list)]
    use_keywords: Option<Keywords>,
    /// compares the keywords that umoci writes
    #[arg(long)]
    umoci_keywords: bool,
    #[command(flatten)]
    rootless: RootlessFlag,
}

pub fn run(arguments: &Arguments, shell: &Shell, cx: &Context<'_>) -> Result<(), Fault> {
    let all = || arguments.umoci_keywords.then(|| Keyword::ALL.into_iter().collect());
    let wanted = Wanted {
        only: arguments.use_keywords.clone().or_else(all),
        more: arguments.add_keywords.clone().unwrap_or_default(),
    };
    let rootless = arguments.rootless.rootless();
    let deltas = validate(cx, &arguments.manifest, &arguments.path, &wanted, rootless)?;
    shell.print(deltas.iter().fold(String::new(), |lines, delta| lines + &delta.to_string() + "\n"))?;
    if deltas.is_empty() { Ok(()) } else { Err(Error::NotAsInManifest(deltas.len()).into()) }
}
