use super::*;
use crate::digest::{Algorithm, Digest};
use proptest::prelude::*;
use serde_json::json;

fn digest(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).to_string()
}

/// A step as Docker writes it.
fn step(id: &str, parent: &str, more: &Value) -> Value {
    let mut step = json!({"id": id, "created": "2015-01-02T03:04:05Z"});
    let step = step.as_object_mut().expect("an object");
    if !parent.is_empty() {
        step.insert("parent".into(), parent.into());
    }
    step.extend(more.as_object().expect("an object").clone());
    json!({"v1Compatibility": Value::Object(step.clone()).to_string()})
}

/// A manifest with the steps given, the newest first.
fn manifest(steps: &[Value]) -> Value {
    let layers: Vec<_> = (0..steps.len()).map(|at| json!({"blobSum": digest(&at.to_string())})).collect();
    json!({"schemaVersion": 1, "name": "a", "tag": "1", "architecture": "arm64", "fsLayers": layers, "history": steps})
}

fn three() -> Value {
    manifest(&[
        step(
            "c",
            "b",
            &json!({"config": {"Cmd": ["sh"], "Env": null}, "os": "linux", "Size": 7, "docker_version": "1.9"}),
        ),
        step(
            "b",
            "a",
            &json!({"throwaway": true, "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ENV"]}}),
        ),
        step("a", "", &json!({"author": "me", "comment": "base", "container_config": {"Cmd": "sh"}})),
    ])
}

fn parse(value: &Value) -> Result<SchemaOne, SchemaOneError> {
    SchemaOne::parse(value.to_string().as_bytes())
}

fn diff_id(text: &str) -> DiffId {
    DiffId(Digest::of(Algorithm::Sha256, text.as_bytes()))
}

#[test]
fn the_newest_step_becomes_the_config_and_empty_ones_have_no_layer() {
    let one = parse(&three()).expect("a manifest");
    let layers: Vec<_> = one.layers().map(ToString::to_string).collect();
    assert_eq!(layers, [digest("2"), digest("0")], "base first");
    let config = one.config(&[diff_id("x"), diff_id("y")]).expect("a config");
    assert_eq!((&*config.architecture, &*config.os), ("arm64", "linux"));
    assert_eq!(config.rootfs.diff_ids, [diff_id("x"), diff_id("y")]);
    let execution = config.config.as_ref().expect("it is there");
    assert_eq!(execution.cmd, Some(vec!["sh".into()]));
    let told: Vec<_> =
        config.history.iter().map(|step| (step.created_by.as_deref(), step.empty_layer)).collect();
    assert_eq!(told, [(Some("sh"), None), (Some("/bin/sh -c #(nop) ENV"), Some(true)), (None, None)]);
    assert_eq!(
        (config.history[0].author.as_deref(), config.history[0].comment.as_deref()),
        (Some("me"), Some("base"))
    );
    assert_eq!(config.layer_steps(), 2);
    assert_eq!(config.extra.get("docker_version"), Some(&json!("1.9")), "what nobody says otherwise is kept");
    assert!(["id", "parent", "Size"].iter().all(|key| !config.extra.contains_key(*key)));
    assert!(matches!(one.config(&[]), Err(SchemaOneError::DiffIds { layers: 2, found: 0 })));
}

#[test]
fn steps_that_are_no_chain_or_no_steps_are_refused() {
    let none = json!({});
    let cases = [
        (manifest(&[]), "no layer"),
        (manifest(&[step("b", "x", &none), step("a", "", &none)]), "another parent"),
        (manifest(&[step("b", "", &none), step("a", "", &none)]), "no parent"),
        (manifest(&[step("a", "z", &none)]), "a base with a parent"),
        (manifest(&[json!({"v1Compatibility": "{"})]), "no JSON"),
        (manifest(&[json!({"v1Compatibility": "{\"id\":\"a\",\"id\":\"b\"}"})]), "two ids"),
        (manifest(&[json!({"v1Compatibility": "[]"})]), "no object"),
        (json!({"schemaVersion": 2, "fsLayers": [], "history": []}), "another version"),
    ];
    for (value, why) in cases {
        assert!(parse(&value).is_err(), "{why}");
    }
    let mut uneven = three();
    uneven["fsLayers"].as_array_mut().expect("a list").pop();
    assert!(matches!(parse(&uneven), Err(SchemaOneError::Counts { layers: 2, steps: 3 })));
    let mut foreign = three();
    foreign["fsLayers"][0]["blobSum"] = "../../etc/passwd".into();
    assert!(parse(&foreign).is_err(), "j4_a digest is a digest");
}

#[test]
fn a_step_that_stands_there_twice_counts_once() {
    let none = json!({});
    let one = manifest(&[step("b", "a", &none), step("a", "", &none), step("a", "", &none)]);
    assert_eq!(parse(&one).expect("a manifest").layers().count(), 2);
}

/// Signs as libtrust does: the payload's closing brace stands in the signature, and all that follows behind it.
fn sign(payload: &str, times: usize) -> String {
    let url = |bytes: &[u8]| {
        base64::encode(bytes).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
    };
    let body = payload.trim_end_matches(['}', '\n']);
    let tail = &payload[body.len()..];
    let protected = json!({"formatLength": body.len(), "formatTail": url(tail.as_bytes()), "time": "2015"});
    let signature = json!({"protected": url(protected.to_string().as_bytes()), "signature": "x"});
    let signatures: Vec<_> = std::iter::repeat_n(signature, times).collect();
    format!("{body},\"signatures\":{}}}", Value::from(signatures))
}

#[test]
fn what_is_signed_is_what_is_read() {
    let text = three().to_string();
    assert_eq!(&*payload(text.as_bytes()).expect("all of it"), text.as_bytes());
    for times in 1..3 {
        let signed = sign(&text, times);
        assert_eq!(&*payload(signed.as_bytes()).expect("signed"), text.as_bytes());
    }
}

#[test]
fn signatures_that_do_not_tell_what_they_sign_are_refused() {
    let signed = sign(&three().to_string(), 2);
    let other = sign(&manifest(&[step("z", "", &json!({}))]).to_string(), 1);
    let protected = |text: &str| {
        let value: Value = serde_json::from_str(text).expect("JSON");
        value["signatures"][0]["protected"].as_str().expect("text").to_owned()
    };
    let mine = protected(&signed);
    let cases = [
        signed.replacen(&mine, &protected(&other), 1),
        signed.replace(&mine, "!"),
        signed.replace(&mine, ""),
        signed.replace(&mine, &base64::encode(br#"{"formatLength":99999999,"formatTail":"fQ"}"#)),
        signed.replace(&mine, &base64::encode(br#"{"formatLength":-1,"formatTail":"fQ"}"#)),
        r#"{"schemaVersion":1,"signatures":[]}"#.into(),
    ];
    for text in cases {
        assert!(payload(text.as_bytes()).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn as_many_layers_as_steps_that_are_not_empty(empty in prop::collection::vec(any::<bool>(), 1..20)) {
        let count = empty.len();
        let steps: Vec<_> = empty.iter().enumerate().map(|(at, empty)| {
            let parent = if at + 1 < count { format!("id{}", at + 1) } else { String::new() };
            step(&format!("id{at}"), &parent, &json!({"throwaway": empty}))
        }).collect();
        let text = manifest(&steps).to_string();
        let signed = sign(&text, 1);
        let one = SchemaOne::parse(&payload(signed.as_bytes()).expect("signed")).expect("a manifest");
        let diff_ids: Vec<_> = one.layers().map(|blob| diff_id(&blob.to_string())).collect();
        prop_assert_eq!(diff_ids.len(), empty.iter().filter(|it| !**it).count());
        let config = one.config(&diff_ids).expect("a config");
        prop_assert_eq!(config.layer_steps(), diff_ids.len());
        prop_assert_eq!(config.history.len(), count);
    }
}
