//! What a user says about an image's config.

use clap::Args;
use orlop::spec::config::Healthcheck;
use orlop::spec::edit::{Edit, Folder, Pair, Ports, Signal};
use orlop::spec::time::Timestamp;
use orlop::spec::user::User;
use orlop::spec::{Fault, descriptor::Annotations};

/// The image's config and annotations.
#[derive(Args, Debug)]
#[command(next_help_heading = "Image")]
pub struct ConfigFlags {
    /// First part of the command; repeat it for each element
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    entrypoint: Vec<Box<str>>,
    /// Second part of the command; repeat it for each element
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    cmd: Vec<Box<str>>,
    /// Environment variable
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<Pair>,
    /// Label; a KEY with a leading dot stands for org.opencontainers.image.KEY
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<Pair>,
    /// Annotation of the manifest; a leading dot as in labels
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<Pair>,
    /// User and group of the process: USER[:GROUP], names or numbers
    #[arg(long, value_name = "USER")]
    user: Option<User>,
    /// Where the process starts
    #[arg(long, value_name = "DIR")]
    workdir: Option<Folder>,
    /// Port or range of ports: PORT[-PORT][/tcp|/udp|/sctp]
    #[arg(long, value_name = "PORT")]
    expose: Vec<Ports>,
    /// Folder that is to be a mount
    #[arg(long, value_name = "DIR")]
    volume: Vec<Folder>,
    /// Signal that ends the process
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<Signal>,
    /// Health check, as a Dockerfile spells it after HEALTHCHECK
    #[arg(long, value_name = "CHECK", value_parser = healthcheck, allow_hyphen_values = true)]
    healthcheck: Option<Healthcheck>,
    /// Who made the image
    #[arg(long, value_name = "NAME")]
    author: Option<Box<str>>,
    /// Version of the operating system
    #[arg(long, value_name = "VERSION")]
    os_version: Option<Box<str>>,
    /// When the image was made: RFC 3339, or seconds since 1970 [default: $SOURCE_DATE_EPOCH, else the newest
    /// time in the input]
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    created: Option<Timestamp>,
    /// Instruction in the grammar of `docker import --change`, such as 'ENV A=b'
    #[arg(long, short = 'c', value_name = "INSTRUCTION")]
    change: Vec<Box<str>>,
}

impl ConfigFlags {
    /// What the flags change in a config that is made; the environment may say when.
    pub fn edit(&self) -> Result<Edit, Fault> {
        Ok(Edit { created: self.created()?, ..self.said() })
    }

    /// What the flags change in a config.
    pub fn said(&self) -> Edit {
        let words = |words: &[Box<str>]| (!words.is_empty()).then(|| words.to_vec());
        Edit {
            changes: self.change.clone(),
            entrypoint: words(&self.entrypoint),
            cmd: words(&self.cmd),
            env: self.env.clone(),
            labels: self.label.clone(),
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            expose: self.expose.clone(),
            volumes: self.volume.clone(),
            stop_signal: self.stop_signal.clone(),
            healthcheck: self.healthcheck.clone(),
            author: self.author.clone(),
            created: self.created,
            os_version: self.os_version.clone(),
            ..Edit::default()
        }
    }

    /// Annotations of the manifest.
    pub fn annotations(&self) -> Annotations {
        self.annotation.iter().map(Pair::with_dot_expanded).map(|pair| (pair.key, pair.value)).collect()
    }

    /// When the image was made.
    pub fn created(&self) -> Result<Option<Timestamp>, Fault> {
        super::moment(self.created)
    }
}

fn healthcheck(text: &str) -> Result<Healthcheck, String> {
    Healthcheck::parse(text).map_err(|error| error.to_string())
}
