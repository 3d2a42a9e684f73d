//! A checker of JSON schemas, draft 4, as far as the schemas in `tests/schemas` need it. A keyword or pattern
//! that it does not know is a panic, so that nothing passes unchecked.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// What is wrong with `value` by the schema `file` of `tests/schemas`; empty where nothing is.
pub(crate) fn faults(file: &str, value: &Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../orlop-spec/tests/schemas").join(file);
    let document = load(&path);
    let mut checker = Checker { faults: Vec::new() };
    checker.check(&Place { path: &path, document: &document }, &document, "", value);
    checker.faults
}

/// The file that a schema stands in, for its references.
struct Place<'a> {
    path: &'a Path,
    document: &'a Value,
}

struct Checker {
    faults: Vec<String>,
}

impl Checker {
    fn check(&mut self, place: &Place<'_>, schema: &Value, at: &str, value: &Value) {
        let keywords = schema.as_object().expect("a schema is an object");
        if let Some(target) = keywords.get("$ref") {
            return self.follow(place, text(target), at, value);
        }
        for (keyword, rule) in keywords {
            self.keyword(place, keyword, rule, at, value);
        }
        if let (Some(members), Some(object)) = (keywords.get("properties"), value.as_object()) {
            for (name, schema) in members.as_object().expect("properties") {
                if let Some(member) = object.get(name) {
                    self.check(place, schema, &format!("{at}/{name}"), member);
                }
            }
        }
    }

    fn keyword(&mut self, place: &Place<'_>, keyword: &str, rule: &Value, at: &str, value: &Value) {
        match keyword {
            "$schema" | "id" | "description" | "title" | "format" | "media" | "definitions"
            | "properties" => {}
            "type" => self.demand(has_type(rule, value), at, &format!("is not of type {rule}")),
            "enum" => self.demand(list(rule).contains(value), at, &format!("is none of {rule}")),
            "minimum" => {
                self.demand(value.as_f64() >= rule.as_f64() || !value.is_number(), at, "is too small");
            }
            "maximum" => {
                self.demand(value.as_f64() <= rule.as_f64() || !value.is_number(), at, "is too great");
            }
            "minItems" => {
                let enough = value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 >= rule.as_u64().expect("a count"));
                self.demand(enough, at, "has too few items");
            }
            "pattern" => self.demand(
                value.as_str().is_none_or(|found| matches(text(rule), found)),
                at,
                "breaks its pattern",
            ),
            "required" => {
                for name in list(rule).iter().map(text) {
                    self.demand(
                        value.get(name).is_some() || !value.is_object(),
                        at,
                        &format!("lacks {name}"),
                    );
                }
            }
            "items" => {
                for (position, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(place, rule, &format!("{at}/{position}"), item);
                }
            }
            "additionalProperties" | "patternProperties" => {
                let rule = if keyword == "patternProperties" { &rule[".{1,}"] } else { rule };
                for (name, member) in
                    value.as_object().into_iter().flatten().filter(|(name, _)| !name.is_empty())
                {
                    self.check(place, rule, &format!("{at}/{name}"), member);
                }
            }
            "allOf" => list(rule).iter().for_each(|schema| self.check(place, schema, at, value)),
            "anyOf" => self.demand(fitting(place, rule, value) > 0, at, "fits none of the choices"),
            "oneOf" => {
                self.demand(fitting(place, rule, value) == 1, at, "fits none or several of the choices");
            }
            _ => panic!("the keyword {keyword} is not known"),
        }
    }

    fn demand(&mut self, holds: bool, at: &str, fault: &str) {
        if !holds {
            self.faults.push(format!("{at} {fault}"));
        }
    }

    /// `FILE#/PATH`, `FILE` or `#/PATH`.
    fn follow(&mut self, place: &Place<'_>, target: &str, at: &str, value: &Value) {
        let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
        let (path, document): (PathBuf, Value) = match file {
            "" => (place.path.to_owned(), place.document.clone()),
            file => {
                let path = place.path.with_file_name(file);
                let document = load(&path);
                (path, document)
            }
        };
        let schema = document.pointer(fragment).unwrap_or_else(|| panic!("{target} leads nowhere"));
        self.check(&Place { path: &path, document: &document }, schema, at, value);
    }
}

fn load(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).expect("a schema is JSON")
}

fn fitting(place: &Place<'_>, choices: &Value, value: &Value) -> usize {
    let fits = |schema: &&Value| {
        let mut checker = Checker { faults: Vec::new() };
        checker.check(place, schema, "", value);
        checker.faults.is_empty()
    };
    list(choices).iter().filter(fits).count()
}

fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match text(name) {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        name => panic!("the type {name} is not known"),
    };
    match rule {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

/// The patterns of the schemas, each written out by hand.
fn matches(pattern: &str, text: &str) -> bool {
    let all = |text: &str, more: &[u8]| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    match pattern {
        "^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$" => {
            let name = |part: &str| {
                (1..=127).contains(&part.len())
                    && part.as_bytes()[0].is_ascii_alphanumeric()
                    && all(part, b"!#$&^_.+-")
            };
            text.split_once('/').is_some_and(|(kind, subtype)| name(kind) && name(subtype))
        }
        "^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$" => {
            text.split_once(':').is_some_and(|(algorithm, encoded)| {
                let lower = |part: &str| !part.is_empty() && all(part, b"") && part == part.to_lowercase();
                algorithm.split(['+', '.', '_', '-']).all(lower)
                    && !encoded.is_empty()
                    && all(encoded, b"=_-")
            })
        }
        "^RLIMIT_[A-Z]+$" => text
            .strip_prefix("RLIMIT_")
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase())),
        _ => panic!("the pattern {pattern} is not known"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string of a schema")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list of a schema")
}
