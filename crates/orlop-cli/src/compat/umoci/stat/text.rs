//! What an image is, for eyes, in the lines of umoci 0.6.
//!
//! Values stand within quotes where blanks or control characters would mislead.

use super::{Found, Step};
use orlop::image::platform_of;
use orlop::spec::config::{Config, Execution};
use orlop::spec::descriptor::Annotations;
use orlop::spec::media_type::MediaType;
use orlop::spec::{Descriptor, Platform};
use std::fmt::{Display, Write as _};

const TAKES_ALL: &str = "a string takes everything";

/// The lines.
pub fn of(found: &Found) -> String {
    let mut page = Page::default();
    page.line(0, "== MANIFEST ==");
    page.manifest(found);
    page.line(0, "\n== CONFIG ==");
    page.config(&found.config);
    page.descriptor(0, found.config.descriptor());
    page.line(0, "\n== HISTORY ==");
    page.text + &history(found)
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, depth: usize, line: impl Display) {
        writeln!(self.text, "{}{line}", "\t".repeat(depth)).expect(TAKES_ALL);
    }

    fn field(&mut self, depth: usize, name: &str, value: &str) {
        self.line(depth, format_args!("{name}: {}", quoted(value)));
    }

    fn list<'a>(&mut self, depth: usize, name: &str, values: impl IntoIterator<Item = &'a Box<str>>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.line(depth, format_args!("{name}:"));
        }
        values.for_each(|value| self.line(depth + 1, quoted(value)));
    }

    fn pairs(&mut self, depth: usize, name: &str, pairs: &Annotations) {
        if !pairs.is_empty() {
            self.line(depth, format_args!("{name}:"));
        }
        for (key, value) in pairs {
            self.field(depth + 1, &quoted(key), value);
        }
    }

    fn descriptor(&mut self, depth: usize, descriptor: &Descriptor) {
        self.line(depth, "Descriptor:");
        self.field(depth + 1, "Media Type", descriptor.media_type.as_str());
        self.given(depth + 1, "Artifact Type", descriptor.artifact_type.as_ref().map(MediaType::as_str));
        self.field(depth + 1, "Digest", &descriptor.digest.to_string());
        self.field(depth + 1, "Size", &size(descriptor.size));
        if let Some(platform) = &descriptor.platform {
            self.platform(depth + 1, platform);
        }
        self.list(depth + 1, "URLs", &descriptor.urls);
        self.pairs(depth + 1, "Annotations", &descriptor.annotations);
    }

    fn manifest(&mut self, found: &Found) {
        let manifest = &found.manifest;
        self.line(0, format_args!("Schema Version: {}", manifest.schema_version));
        self.field(0, "Media Type", manifest.media_type.as_ref().map_or("", |name| name.as_str()));
        self.line(0, "Config:");
        self.descriptor(1, &manifest.config);
        if !manifest.layers.is_empty() {
            self.line(0, "Layers:");
        }
        manifest.layers.iter().for_each(|layer| self.descriptor(1, layer));
        self.pairs(0, "Annotations", &manifest.annotations);
        self.descriptor(0, &found.root);
    }

    fn config(&mut self, config: &Config) {
        if let Some(created) = &config.created {
            self.field(0, "Created", created);
        }
        self.field(0, "Author", config.author.as_deref().unwrap_or_default());
        self.platform(0, &platform_of(config));
        self.line(0, "Image Config:");
        self.execution(&config.config.clone().unwrap_or_default());
    }

    fn platform(&mut self, depth: usize, platform: &Platform) {
        self.line(depth, "Platform:");
        self.field(depth + 1, "OS", &platform.os);
        self.given(depth + 1, "OS Version", platform.os_version.as_deref());
        self.keys(depth + 1, "OS Features", &platform.os_features);
        let variant =
            platform.variant.as_ref().map_or_else(String::new, |name| format!(" ({})", sentence(name)));
        self.line(depth + 1, format_args!("Architecture: {}{variant}", quoted(&platform.architecture)));
    }

    fn execution(&mut self, execution: &Execution) {
        self.field(1, "User", execution.user.as_deref().unwrap_or_default());
        self.list(1, "Entrypoint", execution.entrypoint.iter().flatten());
        let cmd = execution.cmd.as_deref().unwrap_or_default();
        if cmd.is_empty() {
            self.line(1, "Command: (empty)");
        }
        self.list(1, "Command", cmd);
        self.given(1, "Working Directory", execution.working_dir.as_deref());
        self.list(1, "Environment", &execution.env);
        self.given(1, "Stop Signal", execution.stop_signal.as_deref());
        self.keys(1, "Exposed Ports", execution.exposed_ports.keys());
        self.keys(1, "Volumes", execution.volumes.keys());
        self.pairs(1, "Labels", &execution.labels);
    }

    fn given(&mut self, depth: usize, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.field(depth, name, value);
        }
    }

    /// Several on one line: a comma within one is a reason for quotes, too.
    fn keys<'a>(&mut self, depth: usize, name: &str, keys: impl IntoIterator<Item = &'a Box<str>>) {
        let keys: Vec<String> = keys
            .into_iter()
            .map(|key| if key.contains(',') { in_quotes(key) } else { quoted(key) })
            .collect();
        if !keys.is_empty() {
            self.line(depth, format_args!("{name}: {}", keys.join(", ")));
        }
    }
}

/// The steps as a table, its columns one blank apart.
fn history(found: &Found) -> String {
    let titles = ["LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"].map(str::to_owned);
    let rows: Vec<[String; 5]> =
        std::iter::once(titles).chain(found.steps().map(|step| row(&step))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    let line = |[layer, created, by, size, comment]: &[String; 5]| {
        let [a, b, c, d] = widths;
        format!("{layer:a$} {created:b$} {by:c$} {size:d$} {comment}\n")
    };
    rows.iter().map(line).collect()
}

fn row(step: &Step<'_>) -> [String; 5] {
    let none = || "<none>".to_owned();
    let text = |value: &Option<Box<str>>| value.as_deref().filter(|text| !text.is_empty()).map(sentence);
    [
        step.layer.map_or_else(none, |(layer, _)| layer.digest.to_string()),
        text(&step.history.created).unwrap_or_default(),
        text(&step.history.created_by).unwrap_or_default(),
        step.layer.map_or_else(none, |(layer, _)| size(layer.size)),
        text(&step.history.comment).unwrap_or_default(),
    ]
}

/// A value; within quotes where it is nothing, holds a blank, or could not be told apart.
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains(' ') { in_quotes(text) } else { sentence(text) }
}

/// Words: blanks among them are no reason for quotes.
fn sentence(text: &str) -> String {
    let quoted = in_quotes(text);
    if quoted.len() == text.len() + 2 { text.to_owned() } else { quoted }
}

/// A value within quotes as Go writes them.
fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.chars().map(letter_in_quotes).collect::<String>())
}

fn letter_in_quotes(letter: char) -> String {
    let number = u32::from(letter);
    let is_shown = letter.escape_debug().nth(1) != Some('u');
    match letter {
        '\'' => "'".into(),
        '\u{7}' => "\\a".into(),
        '\u{8}' => "\\b".into(),
        '\u{b}' => "\\v".into(),
        '\u{c}' => "\\f".into(),
        '\0' => "\\x00".into(),
        _ if is_shown => letter.escape_debug().collect(),
        _ if number < 0x80 => format!("\\x{number:02x}"),
        _ if number > 0xffff => format!("\\U{number:08x}"),
        _ => format!("\\u{number:04x}"),
    }
}

/// A size in powers of 1000 with four digits, as Docker and umoci write it: `818B`, `1.084MB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value < 10.0 {
        3
    } else if value < 100.0 {
        2
    } else {
        usize::from(value < 1000.0)
    };
    let text = format!("{value:.decimals$}");
    format!("{}{}", text.trim_end_matches('0').trim_end_matches('.'), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_digits_and_no_idle_zeros() {
        for (bytes, text) in [
            (0, "0B"),
            (77, "77B"),
            (600, "600B"),
            (818, "818B"),
            (1000, "1kB"),
            (2175, "2.175kB"),
            (1_083_577, "1.084MB"),
            (38_820_000, "38.82MB"),
            (100_000_000, "100MB"),
            (999_999, "1000kB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn l1_values_that_would_mislead_stand_within_quotes() {
        for (value, text) in [
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a'b", "a'b"),
            ("a\"b", r#""a\"b""#),
            ("a\\b", r#""a\\b""#),
            ("a\tb\n", r#""a\tb\n""#),
            ("\u{1b}[1m\u{7f}", r#""\x1b[1m\x7f""#),
            ("\u{fc}\u{20ac}\u{1f600}", "\u{fc}\u{20ac}\u{1f600}"),
            ("\u{a0}x", r#""\u00a0x""#),
            ("\u{200b}", r#""\u200b""#),
            ("{}", "{}"),
        ] {
            assert_eq!(quoted(value), text, "{value:?}");
        }
        assert_eq!((sentence("a b").as_str(), sentence("a\tb").as_str()), ("a b", r#""a\tb""#));
    }
}
