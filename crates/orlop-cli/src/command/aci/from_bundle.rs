//! `orlop aci from-bundle DIR FILE`

use super::super::Outcome;
use super::super::copy::press;
use crate::environment;
use crate::flags::{Owners, Places, Work};
use crate::shell::Shell;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use orlop::aci::bundle::{Wish, from_bundle};
use orlop::layer::path::printable;
use orlop::rendering::Press;
use orlop::spec::Fault;
use orlop::spec::reference;
use orlop::trees::Reading;
use std::path::PathBuf;

/// Make an App Container Image of a bundle: of config.json and the root filesystem beside it.
///
/// What an App Container cannot say is told, and carried.
#[derive(Args)]
pub struct Arguments {
    /// The bundle
    #[arg(value_name = "DIR")]
    bundle: PathBuf,
    /// The image
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is called [default: as the bundle is]
    #[arg(long, value_name = "NAME[:VERSION]", value_parser = NonEmptyStringValueParser::new())]
    aci_name: Option<String>,
    /// How it is compressed: none, gzip[:LEVEL], xz [default: gzip]
    #[arg(long, value_name = "HOW", value_parser = press)]
    compress: Option<Press>,
    #[command(flatten)]
    owners: Owners,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    work: Work,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let Arguments { bundle, file, aci_name, compress, owners, places, work } = arguments;
    let id = shell.work(work, |cx| {
        let wish = Wish {
            name: aci_name.clone().map(Into::into),
            press: *compress,
            reading: Reading { owner: owners.owner()?, ..Reading::default() },
            time: environment::source_date_epoch()?,
        };
        let target = places.outside(cx).new_tar(&reference::File::Path(file.clone()));
        from_bundle(cx, bundle, &target, &wish)
    })?;
    shell.print(format!("aci:{} sha512-{}\n", printable(&file.to_string_lossy()), id.hex()))?;
    Ok(Outcome::Done)
}
