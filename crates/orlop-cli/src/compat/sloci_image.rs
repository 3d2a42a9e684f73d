//! sloci-image 0.1.2: `sloci-image [options] ROOTFS NAME[:TAG]` makes an image of one layer.
//!
//! ```text
//! NAME/                                             blobs/, index.json, oci-layout; must not exist
//! NAME-TAG-ARCH[-VARIANT]-OS.oci-image.tar          with --tar; is replaced; ARCH as it was given
//! ```
//!
//! What its users rely on stays: options, names of files, exit codes (0 and 1), empty members of the config. What
//! was broken is mended: two runs give the same bytes, values arrive as they were typed, the variant stands in the
//! config too, manifest and index say what they are, and an archive given as ROOTFS is left alone.

mod options;

use crate::environment;
use crate::flags::{ProgressStyle, Work};
use crate::report::{self, Style};
use crate::shell::Shell;
use options::{Form, Options, Request};
use orlop::build::{self, Build, Built};
use orlop::spec::config::{Config, Execution};
use orlop::spec::descriptor::Annotations;
use orlop::spec::port::{Name, Result};
use orlop::spec::reference::{File, Reference, Transport};
use orlop::spec::{Context, Fault, Limits, Platform};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = include_str!("sloci_image/help.txt");
