//! `orlop tree REF`

use super::Outcome;
use crate::flags::{Format, Place, Show};
use crate::output::{listing, short_type, size};
use crate::shell::Shell;
use clap::Args;
use orlop::family::{Branch, family};
use orlop::layer::path::printable;
use orlop::spec::Fault;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Show the family of an image: its platforms, signatures and attestations.
///
/// Signatures, attestations and lists of contents are found by their subject, and by the tags that cosign gives them.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    show: Show,
}

pub fn run(arguments: &Arguments, shell: &Shell) -> Result<Outcome, Fault> {
    let roots = shell.look(|cx| {
        let place = arguments.place.look_into(cx)?;
        let roots = place.source().resolve(place.selector())?;
        roots.iter().map(|root| family(cx, place.catalog(), root)).collect::<Result<Vec<_>, _>>()
    })?;
    shell.print(match arguments.show.format {
        Format::Human => roots.iter().map(drawn).collect(),
        Format::Json => {
            let roots: Vec<Value> = roots.iter().map(value).collect();
            listing("roots", &roots)
        }
    })?;
    Ok(Outcome::Done)
}

fn drawn(root: &Branch) -> String {
    let mut text = format!("{}\n", line(root));
    draw(root, "", &mut text);
    text
}

fn draw(branch: &Branch, margin: &str, text: &mut String) {
    let below: Vec<&Branch> = branch.members.iter().chain(&branch.referrers).collect();
    for (position, child) in below.iter().enumerate() {
        let (knot, stem) =
            if position + 1 == below.len() { ("└── ", "    ") } else { ("├── ", "│   ") };
        writeln!(text, "{margin}{knot}{}", line(child)).expect("a string takes everything");
        draw(child, &format!("{margin}{stem}"), text);
    }
}

/// `sha256:…  linux/amd64  manifest  28.4 MB in 3 layers`
fn line(branch: &Branch) -> String {
    let Branch { descriptor, tag, artifact, layers, missing, .. } = branch;
    let mut words = vec![descriptor.digest.to_string()];
    words.extend(tag.as_ref().map(|tag| printable(tag).into_owned()));
    words.extend(descriptor.platform.as_ref().map(|platform| printable(&platform.to_string()).into_owned()));
    let kind = artifact.as_ref().map_or_else(|| short_type(&descriptor.media_type), ToString::to_string);
    words.push(printable(&kind).into_owned());
    words.extend(layers.as_ref().map(|(count, bytes)| match count {
        1 => format!("{} in 1 layer", size(*bytes)),
        count => format!("{} in {count} layers", size(*bytes)),
    }));
    if *missing {
        words.push("not here".to_owned());
    }
    words.join("  ")
}

fn value(branch: &Branch) -> Value {
    let each = |branches: &[Branch]| branches.iter().map(value).collect::<Vec<_>>();
    json!({
        "digest": branch.descriptor.digest,
        "media_type": branch.descriptor.media_type,
        "size": branch.descriptor.size,
        "platform": branch.descriptor.platform.as_ref().map(ToString::to_string),
        "tag": branch.tag,
        "artifact_type": branch.artifact,
        "layers": branch.layers.map(|(count, _)| count),
        "layer_bytes": branch.layers.map(|(_, bytes)| bytes),
        "missing": branch.missing,
        "members": each(&branch.members),
        "referrers": each(&branch.referrers),
    })
}
