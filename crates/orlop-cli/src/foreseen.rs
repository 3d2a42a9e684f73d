//! What a dry run tells.

use crate::flags::Format;
use crate::output::size;
use orlop::copy::{Account, Tally};
use orlop::edit::{Changed, Foreseen, Layer};
use orlop::layer::path::printable;
use serde_json::{Map, Value, json};

/// What a copy would do: `move 248.1 MB in 5` and so on, one line for each fate.
pub fn copying(account: &Account, format: Format) -> String {
    match format {
        Format::Human => fates(account).into_iter().map(line).collect(),
        Format::Json => document(&fates(account).map(value).into_iter().collect()),
    }
}

/// What an edit would do.
pub fn editing(foreseen: &Foreseen, format: Format) -> String {
    let read = ("read", foreseen.read);
    match format {
        Format::Human if foreseen.changed.is_empty() => "nothing would change\n".into(),
        Format::Human => {
            let lines = std::iter::once(read).chain(fates(&foreseen.account)).map(line);
            foreseen.changed.iter().map(changed).chain(lines).collect()
        }
        Format::Json => {
            let mut members: Map<String, Value> =
                std::iter::once(read).chain(fates(&foreseen.account)).map(value).collect();
            let changed: Vec<Value> = foreseen.changed.iter().map(told).collect();
            members.insert("changed".into(), changed.into());
            document(&members)
        }
    }
}

fn fates(account: &Account) -> [(&'static str, Tally); 4] {
    [("move", account.copied), ("link", account.linked), ("mount", account.mounted), ("reuse", account.held)]
}

fn line((fate, tally): (&str, Tally)) -> String {
    match tally.blobs {
        0 => String::new(),
        blobs => format!("{fate:<6} {:>10} in {blobs}\n", size(tally.bytes)),
    }
}

fn value((fate, tally): (&str, Tally)) -> (String, Value) {
    (fate.to_owned(), json!({ "items": tally.blobs, "bytes": tally.bytes }))
}

fn document(foreseen: &Map<String, Value>) -> String {
    format!("{}\n", json!({ "version": 1, "foreseen": foreseen }))
}

fn changed(Changed { old, platform, new, layers }: &Changed) -> String {
    let machine = platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
    let new = match new {
        Some(new) => format!("becomes {}", new.digest),
        None => "becomes another one, by layers that are not written yet".into(),
    };
    let layer = |layer: &Layer| match layer {
        Layer::Anew(blob) => format!("  {} ({}) would be written anew\n", blob.digest, size(blob.size)),
        Layer::Perhaps(blob) => {
            format!(
                "  {} ({}) would be written anew, if anything in it changes\n",
                blob.digest,
                size(blob.size)
            )
        }
        Layer::New(name) => format!("  a new layer, of {}\n", printable(name)),
    };
    let layers: String = layers.iter().map(layer).collect();
    match old {
        Some(old) => format!("{}{machine} {new}\n{layers}", old.digest),
        None => format!("a new index {new}\n"),
    }
}

fn told(Changed { old, platform, new, layers }: &Changed) -> Value {
    let layer = |layer: &Layer| match layer {
        Layer::Anew(blob) => json!({ "fate": "anew", "digest": blob.digest, "size": blob.size }),
        Layer::Perhaps(blob) => json!({ "fate": "perhaps", "digest": blob.digest, "size": blob.size }),
        Layer::New(name) => json!({ "fate": "new", "source": name }),
    };
    json!({
        "digest": old.as_ref().map(|old| &old.digest),
        "media_type": old.as_ref().or(new.as_ref()).map(|it| &it.media_type),
        "platform": platform.as_ref().map(ToString::to_string),
        "becomes": new.as_ref().map(|new| &new.digest),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    })
}
