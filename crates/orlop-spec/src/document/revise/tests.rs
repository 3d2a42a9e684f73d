use super::revise;
use crate::json;
use proptest::prelude::*;
use serde_json::Value;

fn revised(raw: &str, old: &str, new: &str) -> String {
    let read = |text: &str| json::value(text.as_bytes()).expect("valid");
    String::from_utf8(revise(raw, &read(old), &read(new))).expect("text")
}

#[test]
fn item_36_what_an_edit_does_not_touch_keeps_its_bytes_and_its_place() {
    let cases = [
        // A number beyond 64 bits, an escape, a `null`, the order, spaces within.
        (
            r#"{"z":123456789012345678901234567890.10, "a":"\u003cb\u003e","n":null,"o":{ "k" : 1 },"c":1}"#,
            r#"{"z":123456789012345678901234567890.10,"a":"<b>","o":{"k":1},"c":1}"#,
            r#"{"z":123456789012345678901234567890.10,"a":"<b>","o":{"k":1},"c":2,"d":[]}"#,
            r#"{"z":123456789012345678901234567890.10,"a":"\u003cb\u003e","n":null,"o":{ "k" : 1 },"c":2,"d":[]}"#,
        ),
        // What said nothing says something, in its place.
        (r#"{"h":null,"b":1}"#, r#"{"b":1}"#, r#"{"b":1,"h":[1]}"#, r#"{"h":[1],"b":1}"#),
        // A member goes; another one is changed deep inside.
        (
            r#"{"a":1,"b":{"c":[1, {"x":1e2,"y":2}]}}"#,
            r#"{"a":1,"b":{"c":[1,{"x":1e2,"y":2}]}}"#,
            r#"{"b":{"c":[1,{"x":1e2,"y":3}]}}"#,
            r#"{"b":{"c":[1,{"x":1e2,"y":3}]}}"#,
        ),
        // Items before and after the changed ones stay.
        ("[1.0, 2.0,3.0]", "[1.0,2.0,3.0]", "[1.0,9,8,3.0]", "[1.0,9,8,3.0]"),
        ("[1.0, 2.0,3.00]", "[1.0,2.0,3.0]", "[1.0,3.0]", "[1.0,3.00]"),
        ("[\"\\u0061\"]", "[\"a\"]", "[\"a\",\"a\"]", "[\"\\u0061\",\"a\"]"),
        (r#"{"a":{}}"#, r#"{"a":{}}"#, r#"{"a":[]}"#, r#"{"a":[]}"#),
    ];
    for (raw, old, new, expected) in cases {
        assert_eq!(revised(raw, old, new), expected, "{raw} to {new}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c<\\\\\"é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-d]", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is edited, the document reads as it shall.
    #[test]
    fn a_revised_document_reads_as_the_new_value(old in any_value(), new in any_value()) {
        let raw = String::from_utf8(json::print(&old)).expect("text");
        let printed = revise(&raw, &old, &new);
        prop_assert_eq!(json::value(&printed).expect("valid"), new);
    }

    /// An edit that is taken back gives the meaning back; one that changes nothing, the bytes.
    #[test]
    fn to_the_same_value_is_the_identity(value in any_value()) {
        let raw = serde_json::to_string_pretty(&value).expect("prints");
        prop_assert_eq!(revise(&raw, &value, &value), raw.into_bytes());
    }
}
