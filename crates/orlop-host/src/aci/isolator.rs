//! What an isolator may say (appc specification 0.8.11, `ace.md`, "Isolators").
//!
//! Invariant: a value that is let through can be read as its name demands.

use serde_json::Value;

/// What lies behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `{"set": ["CAP_KILL", …]}`, not empty.
    Capabilities,
    /// `{"set": [NAME, …], "errno": "ENAME"}`, not empty.
    Calls,
    /// True or false.
    Flag,
    /// A whole number between the two.
    Between(i64, i64),
    /// `{"user": …, "role": …, "type": …, "level": …}`.
    Context,
    /// `{NAME: VALUE, …}`, all texts.
    Texts,
    /// `{"request": QUANTITY, "limit": QUANTITY, "default": false}`.
    Resource,
    /// `{"limit": QUANTITY, "default": true}`.
    Rate,
}

const KNOWN: [(&str, Shape); 14] = [
    ("os/linux/capabilities-remove-set", Shape::Capabilities),
    ("os/linux/capabilities-retain-set", Shape::Capabilities),
    ("os/linux/cpu-shares", Shape::Between(2, 262_144)),
    ("os/linux/no-new-privileges", Shape::Flag),
    ("os/linux/oom-score-adj", Shape::Between(-1000, 1000)),
    ("os/linux/seccomp-remove-set", Shape::Calls),
    ("os/linux/seccomp-retain-set", Shape::Calls),
    ("os/linux/selinux-context", Shape::Context),
    ("os/unix/sysctl", Shape::Texts),
    ("resource/block-bandwidth", Shape::Rate),
    ("resource/block-iops", Shape::Rate),
    ("resource/cpu", Shape::Resource),
    ("resource/memory", Shape::Resource),
    ("resource/network-bandwidth", Shape::Rate),
];

/// What is wrong with an isolator; nothing where all is right.
pub(super) fn wrong(name: &str, value: &Value) -> Option<String> {
    let Some((_, shape)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        return Some("no isolator of this name is in the specification".into());
    };
    shape.wrong(value)
}

impl Shape {
    fn wrong(self, value: &Value) -> Option<String> {
        match self {
            Self::Capabilities => set(value),
            Self::Calls => set(value).or_else(|| errno(value)),
            Self::Flag => (!value.is_boolean()).then(|| "it must be true or false".into()),
            Self::Between(least, most) => {
                let fits = value.as_i64().is_some_and(|it| (least..=most).contains(&it));
                (!fits).then(|| format!("it must be a whole number from {least} to {most}"))
            }
            Self::Context => context(value),
            Self::Texts => {
                let fits = value.as_object().is_some_and(|it| it.values().all(Value::is_string));
                (!fits).then(|| "it must be an object of texts".into())
            }
            Self::Resource => resource(value, false),
            Self::Rate => resource(value, true),
        }
    }
}

fn set(value: &Value) -> Option<String> {
    let items = value.get("set").and_then(Value::as_array);
    let fits = items.is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string));
    (!fits).then(|| "`set` must be a list of names with one name at least".into())
}

fn errno(value: &Value) -> Option<String> {
    let errno = match value.get("errno") {
        None | Some(Value::Null) => return None,
        Some(errno) => errno.as_str(),
    };
    let is_plain = |it: &str| it.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let fits = errno.is_some_and(|it| it.is_empty() || it.starts_with('E') && is_plain(it));
    (!fits).then(|| "`errno` must be a name such as ENOSYS".into())
}

fn context(value: &Value) -> Option<String> {
    let part = |name: &str| value.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let is_broken = |name: &str| part(name).is_none_or(|it| name != "level" && it.contains(':'));
    let broken = ["user", "role", "type", "level"].into_iter().find(|name| is_broken(name));
    broken.map(|name| format!("`{name}` must be a text without a colon"))
}

/// A rate holds for every device (`default`), and nothing of it is reserved (`request`); of a resource there is one.
fn resource(value: &Value, is_rate: bool) -> Option<String> {
    let Some(members) = value.as_object() else { return Some("it must be an object".into()) };
    for name in ["request", "limit"] {
        let said = members.get(name).filter(|it| !it.is_null());
        if is_rate && name == "request" && said.is_some() {
            return Some("`request` must be left out: nothing of it can be reserved".into());
        }
        if said.is_some_and(|it| !is_quantity(it)) {
            return Some(format!("`{name}` must be a quantity such as \"500m\", \"2\" or \"64Mi\""));
        }
    }
    let default = members.get("default").unwrap_or(&Value::Bool(false));
    match default.as_bool() {
        Some(default) if default == is_rate => None,
        _ => Some(format!("`default` must be {is_rate}")),
    }
}

/// A number, or a text of a number and a suffix.
fn is_quantity(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => quantity(text).is_some(),
        _ => false,
    }
}

/// The number and the suffix of a quantity: `1.5`, `500m`, `64Mi`, `2e3`.
pub(super) fn quantity(text: &str) -> Option<(&str, &str)> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits);
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit())
        && number.bytes().filter(|byte| *byte == b'.').count() <= 1;
    let number = &text[..text.len() - suffix.len()];
    (is_number && (SUFFIXES.contains(&suffix) || is_exponent(suffix))).then_some((number, suffix))
}

/// From a billionth to 2^60.
const SUFFIXES: [&str; 16] =
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

fn is_exponent(suffix: &str) -> bool {
    let digits = suffix.strip_prefix(['e', 'E']).map(|it| it.strip_prefix(['+', '-']).unwrap_or(it));
    digits.is_some_and(|it| (1..=9).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_digit()))
}
