//! A document that is edited: printed around what stays.
//!
//! ```text
//! raw bytes ─┐
//! old value ─┼─► what is equal in both values keeps its bytes; what differs is printed from the new value
//! new value ─┘
//! ```
//!
//! Law: every member that an edit does not touch keeps its bytes and its place: members without a name here, numbers,
//! escapes, `null`s, and the order. What is new comes last.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// The document `raw`, which reads as `old`, as it is when it shall read as `new`.
pub(super) fn revise(raw: &str, old: &Value, new: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + 256);
    value(raw.trim(), old, new, &mut out);
    out
}

/// Nesting is as deep as the document's, which was bounded when it was read.
fn value(raw: &str, old: &Value, new: &Value, out: &mut Vec<u8>) {
    if old == new {
        return out.extend_from_slice(raw.as_bytes());
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => match members(raw) {
            Some(members) => object(&members, old, new, out),
            None => print(&Value::Object(new.clone()), out),
        },
        (Value::Array(old), Value::Array(new)) => match serde_json::from_str::<Vec<&RawValue>>(raw) {
            Ok(items) if items.len() == old.len() => array(&items, old, new, out),
            _ => print(&Value::Array(new.clone()), out),
        },
        _ => print(new, out),
    }
}

fn object(
    raw: &[(String, &RawValue)],
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    out: &mut Vec<u8>,
) {
    let mut list = List::begin(b'{', out);
    for (name, text) in raw {
        match (old.get(name), new.get(name)) {
            (Some(_), None) => {}
            // What stands there and says nothing, such as `null`.
            (None, None) => list.member(name, |out| out.extend_from_slice(text.get().as_bytes())),
            (None, Some(new)) => list.member(name, |out| print(new, out)),
            (Some(old), Some(new)) => list.member(name, |out| value(text.get(), old, new, out)),
        }
    }
    for (name, new) in new {
        if raw.iter().all(|(known, _)| known != name) {
            list.member(name, |out| print(new, out));
        }
    }
    list.end(b'}');
}

/// Items that stay are found from both ends; where as many go as come, each takes the place of one.
fn array(raw: &[&RawValue], old: &[Value], new: &[Value], out: &mut Vec<u8>) {
    let most = old.len().min(new.len());
    let first = (0..most).take_while(|at| old[*at] == new[*at]).count();
    let last = (1..=most - first).take_while(|back| old[old.len() - back] == new[new.len() - back]).count();
    let pairs = old.len() == new.len();
    let mut list = List::begin(b'[', out);
    for (at, item) in new.iter().enumerate() {
        let kept = if at < first || pairs {
            Some(at)
        } else if at >= new.len() - last {
            Some(at + old.len() - new.len())
        } else {
            None
        };
        list.item(|out| match kept {
            Some(at) => value(raw[at].get(), &old[at], item, out),
            None => print(item, out),
        });
    }
    list.end(b']');
}

/// An object or array on its way out.
struct List<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> List<'o> {
    fn begin(bracket: u8, out: &'o mut Vec<u8>) -> Self {
        out.push(bracket);
        Self { out, is_empty: true }
    }

    fn item(&mut self, print: impl FnOnce(&mut Vec<u8>)) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        print(self.out);
    }

    fn member(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.item(|out| {
            print(&Value::from(name), out);
            out.push(b':');
            value(out);
        });
    }

    fn end(self, bracket: u8) {
        self.out.push(bracket);
    }
}

fn print(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(&crate::json::print(value));
}

/// The members of an object in their order; nothing where it is no object.
fn members(raw: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::Deserializer::from_str(raw).deserialize_map(Members).ok()
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry::<String, &'de RawValue>()? {
            all.push(member);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
