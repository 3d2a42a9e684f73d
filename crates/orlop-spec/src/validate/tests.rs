use super::*;
use crate::digest::{Algorithm, Digest};
use crate::media_type::OCI_CONFIG;
use serde_json::json;

const A: &str = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

fn good_manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": A, "size": 1 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": A, "size": 1, "data": "YQ==" }],
        "annotations": { "org.opencontainers.image.title": "x", "own": "y" },
        "x-unknown": [1, null],
    })
}

fn good_index() -> Value {
    let entry = |architecture: &str, name: &str| {
        json!({
            "mediaType": OCI_MANIFEST, "digest": A, "size": 1,
            "platform": { "os": "linux", "architecture": architecture }, "annotations": { REF_NAME: name },
        })
    };
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry("amd64", "v1"), entry("arm64", "v1")] })
}

fn good_config() -> Value {
    json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": {
            "User": "1:2", "Env": ["A=1"], "Cmd": ["x"], "Entrypoint": null, "ExposedPorts": { "80/tcp": {} },
            "Volumes": { "/data": {} }, "WorkingDir": "/", "Labels": { "a": "b" }, "StopSignal": "SIGTERM",
        },
        "rootfs": { "type": "layers", "diff_ids": [A] },
        "history": [{ "created_by": "x", "empty_layer": true }, { "created_by": "y" }],
    })
}

/// One change of a good document, by a JSON pointer whose last part may be new; and all that must be found then.
type Breach = (&'static str, Value, &'static [(Rule, Severity)]);

use Severity::{Error, Warning};

fn changed(document: &Value, place: &str, value: &Value) -> Vec<u8> {
    let mut document = document.clone();
    let (parent, name) = place.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{place} has no parent"));
    match parent {
        Value::Array(items) => items[name.parse::<usize>().expect("a position")] = value.clone(),
        Value::Object(members) if value.is_null() => drop(members.remove(name)),
        Value::Object(members) => drop(members.insert(name.replace("~1", "/"), value.clone())),
        _ => panic!("{place} has no parent"),
    }
    document.to_string().into_bytes()
}

fn every_breach_is_found(document: &Value, check: &dyn Fn(&[u8]) -> Vec<Finding>, breaches: &[Breach]) {
    assert_eq!(check(document.to_string().as_bytes()), [], "a good document");
    for (place, value, expected) in breaches {
        let found = check(&changed(document, place, value));
        let laws: Vec<_> = found.iter().map(|finding| (finding.rule, finding.severity)).collect();
        assert_eq!(laws, *expected, "{place} = {value}: {found:?}");
    }
}

/// items 8, 10, 11, 13, 14, 15, 16, 17, 18, 19, 24, 56, 57 and 58, J1
#[test]
fn each_breach_of_a_manifest_is_found_alone() {
    every_breach_is_found(
        &good_manifest(),
        &|raw| manifest(raw, &MediaType::new(OCI_MANIFEST)),
        &[
            ("/schemaVersion", json!(1), &[(Rule::SchemaVersion, Error)]),
            ("/schemaVersion", json!("2"), &[(Rule::SchemaVersion, Error)]),
            ("/mediaType", json!(null), &[(Rule::MediaType, Warning)]),
            ("/mediaType", json!(OCI_INDEX), &[(Rule::MediaType, Error)]),
            ("/manifests", json!([]), &[(Rule::Shape, Error)]),
            ("/fsLayers", json!([]), &[(Rule::Shape, Error)]),
            ("/config", json!(null), &[(Rule::Shape, Error)]),
            ("/config", json!(1), &[(Rule::Shape, Error)]),
            ("/config/mediaType", json!(OCI_EMPTY), &[(Rule::ArtifactType, Error)]),
            ("/config/mediaType", json!("a b/c"), &[(Rule::MediaType, Error)]),
            ("/config/mediaType", json!(null), &[(Rule::MediaType, Error)]),
            ("/artifactType", json!("x"), &[(Rule::MediaType, Error)]),
            ("/layers", json!([]), &[(Rule::NoLayers, Warning)]),
            ("/layers", json!({}), &[(Rule::Shape, Error)]),
            ("/layers/0/digest", json!("sha256:../x"), &[(Rule::Digest, Error)]),
            ("/layers/0/digest", json!(A.to_uppercase()), &[(Rule::Digest, Error)]),
            ("/layers/0/digest", json!("foo+bar:abc"), &[(Rule::UnknownAlgorithm, Warning)]),
            ("/layers/0/digest", json!(A.replace("ca", "cb")), &[(Rule::Data, Error)]),
            ("/layers/0/size", json!(-1), &[(Rule::Size, Error)]),
            ("/layers/0/size", json!(9_223_372_036_854_775_808_u64), &[(Rule::Size, Error)]),
            ("/layers/0/size", json!(1.5), &[(Rule::Size, Error)]),
            ("/layers/0/size", json!(2), &[(Rule::Data, Error)]),
            ("/layers/0/data", json!("YQ="), &[(Rule::Data, Error)]),
            ("/layers/0/data", json!("Yg=="), &[(Rule::Data, Error)]),
            ("/layers/0/urls", json!(["https://h.example/a%20b"]), &[]),
            ("/layers/0/urls", json!(["file:///etc/passwd"]), &[(Rule::Urls, Warning)]),
            ("/layers/0/urls", json!(["/etc/passwd"]), &[(Rule::Urls, Error)]),
            ("/layers/0/urls", json!(["https://h/%zz"]), &[(Rule::Urls, Error)]),
            ("/layers/0/urls", json!(["https://h/a b"]), &[(Rule::Urls, Error)]),
            ("/layers/0/urls", json!("https://h/"), &[(Rule::Urls, Error)]),
            (
                "/layers/0/platform",
                json!({ "os": "linux", "architecture": "arm" }),
                &[(Rule::Platform, Warning)],
            ),
            ("/annotations", json!([]), &[(Rule::Annotations, Error)]),
            ("/annotations/own", json!(1), &[(Rule::Annotations, Error)]),
            ("/annotations/a~1b", json!([]), &[(Rule::Annotations, Error)]),
            ("/annotations/org.opencontainers.image.own", json!("x"), &[(Rule::ReservedAnnotation, Warning)]),
            ("/annotations/org.opencontainers.own", json!("x"), &[(Rule::ReservedAnnotation, Warning)]),
            ("/annotations/org.opencontainers.image.created", json!("today"), &[(Rule::Time, Warning)]),
            ("/subject", json!({}), &[(Rule::MediaType, Error), (Rule::Digest, Error), (Rule::Size, Error)]),
        ],
    );
}

/// items 4, 5, 6, 7, 25, 26 and 28
#[test]
fn each_breach_of_an_index_is_found_alone() {
    every_breach_is_found(
        &good_index(),
        &|raw| index(raw, None, IndexKind::Layout),
        &[
            ("/mediaType", json!(null), &[(Rule::MediaType, Warning)]),
            ("/mediaType", json!(OCI_MANIFEST), &[(Rule::MediaType, Error)]),
            ("/layers", json!([]), &[(Rule::Shape, Error)]),
            ("/config", json!({}), &[(Rule::Shape, Error)]),
            ("/manifests", json!(null), &[(Rule::Shape, Error)]),
            ("/manifests", json!([]), &[]),
            ("/manifests/0/mediaType", json!("application/x"), &[]),
            (
                "/manifests/0/annotations/org.opencontainers.image.ref.name",
                json!("a b"),
                &[(Rule::RefName, Warning)],
            ),
            ("/manifests/1/platform/architecture", json!("amd64"), &[(Rule::Ambiguous, Warning)]),
            (
                "/manifests/1/platform/architecture",
                json!("x86_64"),
                &[(Rule::Platform, Warning), (Rule::Ambiguous, Warning)],
            ),
            ("/manifests/1/platform/architecture", json!(null), &[(Rule::Platform, Error)]),
            ("/manifests/1/platform", json!({ "os": "unknown", "architecture": "unknown" }), &[]),
        ],
    );
}

/// items 5 and 26
#[test]
fn names_count_only_in_a_layout_and_the_second_of_two_platforms_is_never_chosen() {
    let found = index(good_index().to_string().as_bytes(), Some(&MediaType::new(OCI_INDEX)), IndexKind::Blob);
    let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::RefName, Rule::RefName]);
    let twice = changed(&good_index(), "/manifests/1/platform/architecture", &json!("amd64"));
    let found = index(&twice, None, IndexKind::Blob);
    assert!(found.iter().any(|finding| finding.rule == Rule::Ambiguous));
}

/// items 34, 35, 36, 37, 38, 60 and 67
#[test]
fn each_breach_of_a_config_is_found_alone() {
    every_breach_is_found(
        &good_config(),
        &config,
        &[
            ("/os", json!(null), &[(Rule::Platform, Error)]),
            ("/architecture", json!(""), &[(Rule::Platform, Error)]),
            ("/architecture", json!("i686"), &[(Rule::Platform, Warning)]),
            ("/created", json!("yesterday"), &[(Rule::Time, Error)]),
            ("/rootfs/type", json!("layer"), &[(Rule::RootfsType, Error)]),
            ("/rootfs/diff_ids", json!([A, A]), &[(Rule::History, Error)]),
            ("/rootfs/diff_ids", json!("x"), &[(Rule::DiffIds, Error)]),
            ("/rootfs/diff_ids/0", json!("x"), &[(Rule::Digest, Error)]),
            ("/history/0/empty_layer", json!(false), &[(Rule::History, Error)]),
            ("/history/0/created", json!(1), &[(Rule::Time, Error)]),
            ("/history", json!([]), &[]),
            ("/history", json!(1), &[(Rule::Shape, Error)]),
            ("/config/Healthcheck", json!([]), &[(Rule::Shape, Error)]),
            ("/config/OnBuild", json!(1), &[(Rule::Shape, Error)]),
            ("/config", json!(null), &[]),
            ("/config", json!([]), &[(Rule::Shape, Error)]),
            ("/config/User", json!("4294967296"), &[(Rule::Execution, Warning)]),
            ("/config/Env", json!(["A=1", "A=2"]), &[(Rule::Execution, Warning)]),
            ("/config/Env", json!(["=1"]), &[(Rule::Execution, Warning)]),
            ("/config/Env", json!("A=1"), &[(Rule::Execution, Error)]),
            ("/config/Cmd", json!([1]), &[(Rule::Execution, Error)]),
            ("/config/ExposedPorts", json!({ "http": {} }), &[(Rule::Execution, Warning)]),
            ("/config/Volumes", json!({ "/../etc": {} }), &[(Rule::Execution, Warning)]),
            ("/config/WorkingDir", json!("rel"), &[(Rule::Execution, Warning)]),
            ("/config/StopSignal", json!("SIGFOO"), &[(Rule::Execution, Warning)]),
            ("/config/Labels", json!({ "a": 1 }), &[(Rule::Annotations, Error)]),
            ("/config/Unknown", json!({ "a": 1 }), &[]),
        ],
    );
}

#[test]
fn item_35_one_diff_id_for_each_layer_and_one_platform_in_index_and_config() {
    let parsed_manifest: Manifest = serde_json::from_value(good_manifest()).expect("a manifest");
    let mut parsed_config: Config = serde_json::from_value(good_config()).expect("a config");
    assert_eq!(image(&parsed_manifest, &parsed_config), []);
    parsed_config.rootfs.diff_ids.clear();
    assert_eq!(image(&parsed_manifest, &parsed_config)[0].rule, Rule::DiffIds);

    let mut declared = parsed_manifest.config.clone();
    assert_eq!(entry(&declared, &parsed_config), []);
    declared.platform = Some(Platform::new("linux", "amd64", Some("v1")));
    assert_eq!(entry(&declared, &parsed_config), [], "two spellings of one platform");
    declared.platform = Some(Platform::new("linux", "arm64", None));
    assert_eq!(entry(&declared, &parsed_config)[0].rule, Rule::Platform);
}

/// J3: what costs more than its size would cost minutes here.
#[test]
fn long_lists_cost_what_their_length_says() {
    let mut document = good_index();
    let entry = |number: usize| {
        let mut entry = good_index()["manifests"][0].clone();
        entry["annotations"][REF_NAME] = json!(format!("v{number}"));
        entry
    };
    document["manifests"] = (0..25_000).map(entry).collect();
    assert_eq!(index(document.to_string().as_bytes(), None, IndexKind::Layout), []);
    let mut document = good_config();
    document["config"]["Env"] = (0..200_000).map(|number| json!(format!("N{number}="))).collect();
    assert_eq!(config(document.to_string().as_bytes()), []);
}

#[test]
fn places_are_json_pointers() {
    let raw = changed(&good_manifest(), "/annotations/a~1b", &json!([]));
    let found = manifest(&raw, &MediaType::new(OCI_MANIFEST));
    assert_eq!(found[0].to_string(), "annotations: /annotations/a~1b: its value is no text");
}

/// items 2, 9, 10 and 11
#[test]
fn content_is_what_its_descriptor_says() {
    let blob = |content: &[u8], size| {
        Descriptor::new(MediaType::new("a/b"), Digest::of(Algorithm::Sha512, content), size)
    };
    assert_eq!(content(&blob(b"abc", 3), b"abc"), []);
    assert_eq!(content(&blob(b"abc", 4), b"abc")[0].rule, Rule::Size);
    assert_eq!(content(&blob(b"abd", 3), b"abc")[0].rule, Rule::Digest);
    let other = Descriptor { digest: "foo:abc".parse().expect("fits"), ..blob(b"", 3) };
    let found = content(&other, b"abc");
    assert_eq!((found[0].rule, found[0].severity), (Rule::UnknownAlgorithm, Warning));
}

/// items 1 and 30
#[test]
fn files_that_are_no_documents_are_found() {
    for (raw, rule) in [
        (br#"{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"1.0.0"}"#.as_slice(), Rule::Json),
        (b"", Rule::Json),
        (b"\xff", Rule::Json),
        (b"[]", Rule::Shape),
        (b"{}", Rule::LayoutVersion),
        (br#"{"imageLayoutVersion":"2.0.0"}"#, Rule::LayoutVersion),
    ] {
        assert_eq!(layout(raw)[0].rule, rule, "{raw:?}");
    }
    assert_eq!(layout(br#"{"imageLayoutVersion":"1.0.0"}"#), []);
    assert_eq!(manifest(b"{", &MediaType::new(OCI_MANIFEST)).len(), 1);
}
