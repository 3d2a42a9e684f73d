//! Manifests, indexes and configs: what is read keeps its bytes, what is printed is valid by the schemas, and
//! what two tools could read in two ways is refused.

mod schema;

use orlop_spec::config::{Config, Execution, History, RootFs};
use orlop_spec::digest::DiffId;
use orlop_spec::document::{DocumentError, Parse};
use orlop_spec::edit::Edit;
use orlop_spec::index::REF_NAME;
use orlop_spec::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use orlop_spec::{Algorithm, Descriptor, Digest, Document, Index, Manifest, MediaType, Platform};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

const A: &str = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

fn named(bytes: &[u8], media_type: &str) -> Descriptor {
    Descriptor::new(MediaType::new(media_type), Digest::of(Algorithm::Sha256, bytes), bytes.len() as u64)
}

fn open<T: Parse>(bytes: &[u8], media_type: &str) -> Result<Document<T>, DocumentError> {
    Document::open(bytes, named(bytes, media_type))
}

/// Names that no type of ours has, so that they must be carried.
fn unknown() -> impl Strategy<Value = serde_json::Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(".{0,5}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    btree_map("x-[a-zA-Z.\u{e9}]{0,6}", value, 0..4).prop_map(|map| map.into_iter().collect())
}

/// An object of `members` and unknown ones, in any order.
fn object(members: Value) -> impl Strategy<Value = Value> {
    let Value::Object(members) = members else { panic!("an object") };
    unknown()
        .prop_map(move |extra| members.clone().into_iter().chain(extra).collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn descriptor() -> impl Strategy<Value = Value> {
    let media_type =
        prop::sample::select(vec![OCI_MANIFEST, OCI_LAYER, OCI_CONFIG, "application/x.own+json"]);
    let digest = prop::sample::select(vec![A, "foo+bar:abc", "sha512+b64u:AAAA"]);
    let platform =
        object(json!({ "os": "linux", "architecture": "arm", "os.version": "6", "variant": "v7" }));
    let parts =
        (media_type, digest, 0..i64::MAX, prop::option::of(platform), btree_map(".{1,8}", ".{0,8}", 0..3));
    parts.prop_flat_map(|(media_type, digest, size, platform, annotations)| {
        let mut members = json!({ "mediaType": media_type, "digest": digest, "size": size });
        if let Some(platform) = platform {
            members["platform"] = platform;
        }
        if !annotations.is_empty() {
            members["annotations"] = json!(annotations);
        }
        object(members)
    })
}

fn manifest() -> impl Strategy<Value = Value> {
    let parts = (descriptor(), vec(descriptor(), 0..4), prop::option::of(descriptor()));
    parts.prop_flat_map(|(config, layers, subject)| {
        let mut members =
            json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
        if let Some(subject) = subject {
            members["subject"] = subject;
            members["artifactType"] = json!("application/x");
        }
        object(members)
    })
}

fn index() -> impl Strategy<Value = Value> {
    vec(descriptor(), 0..5).prop_flat_map(|entries| {
        object(json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries }))
    })
}

fn config() -> impl Strategy<Value = Value> {
    let execution =
        object(json!({ "User": "1", "Env": ["A=1"], "Cmd": ["x"], "Labels": { "b": "1", "a": "2" } }));
    let step = object(json!({ "created_by": "x", "empty_layer": true }));
    (execution, step).prop_flat_map(|(execution, step)| {
        let rootfs = json!({ "type": "layers", "diff_ids": [A] });
        object(json!({
            "architecture": "arm", "os": "linux", "config": execution, "rootfs": rootfs, "history": [step],
        }))
    })
}

fn cases() -> u32 {
    if testkit::full() { 3500 } else { 350 }
}

/// The document in one of the forms that tools write.
fn written(document: &Value, indented: bool) -> Vec<u8> {
    if indented { format!("{document:#}\n").into_bytes() } else { document.to_string().into_bytes() }
}

fn is_kept<T: Parse + Serialize + Clone>(document: &Value, indented: bool, media_type: &str) {
    let bytes = written(document, indented);
    let opened = open::<T>(&bytes, media_type).expect("a good document");
    assert_eq!(opened.raw()[..], bytes, "the bytes stay as they came");
    let again = serde_json::to_value(&*opened).expect("a value");
    assert_eq!(&again, document, "nothing is lost between reading and printing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// items 31, 32 and 36; with the next two, 1,050 documents
    #[test]
    fn manifests_keep_their_bytes_and_unknown_fields(document in manifest(), indented: bool) {
        is_kept::<Manifest>(&document, indented, OCI_MANIFEST);
    }

    /// items 31 and 32
    #[test]
    fn indexes_keep_their_bytes_and_unknown_fields(document in index(), indented: bool) {
        is_kept::<Index>(&document, indented, OCI_INDEX);
    }

    /// items 31, 32 and 36
    #[test]
    fn configs_keep_their_bytes_and_unknown_fields(document in config(), indented: bool) {
        is_kept::<Config>(&document, indented, OCI_CONFIG);
    }
}

fn own_config() -> Config {
    let execution = Execution {
        env: vec!["A=1".into()],
        cmd: Some(vec!["x".into()]),
        labels: [("b".into(), "1".into()), ("a".into(), "2".into())].into(),
        ..Execution::default()
    };
    Config {
        created: Some("2024-01-01T00:00:00Z".into()),
        author: Some("me".into()),
        architecture: "arm".into(),
        os: "linux".into(),
        os_version: None,
        os_features: Vec::new(),
        variant: Some("v7".into()),
        config: Some(execution),
        rootfs: RootFs {
            kind: "layers".into(),
            diff_ids: vec![DiffId(Digest::of(Algorithm::Sha256, b"a"))],
            extra: serde_json::Map::new(),
        },
        history: vec![
            History { created_by: Some("x".into()), empty_layer: Some(true), ..History::default() },
            History { created_by: Some("y".into()), ..History::default() },
        ],
        extra: serde_json::Map::new(),
    }
}

/// items 7 and 33
#[test]
fn what_is_printed_is_valid_by_the_schemas_and_always_the_same() {
    let print = |algorithm| {
        let config = Document::print(own_config(), MediaType::new(OCI_CONFIG), algorithm);
        let mut layer = named(b"a", OCI_LAYER);
        layer.annotations.insert("k".into(), "v".into());
        layer.urls = vec!["https://h.example/x".into()];
        let manifest = Manifest::new(config.descriptor().clone(), vec![layer]);
        let manifest = Document::print(manifest, MediaType::new(OCI_MANIFEST), algorithm);
        let mut entry = manifest.descriptor().clone();
        entry.platform = Some(Platform::new("linux", "arm", Some("v7")));
        entry.annotations.insert(REF_NAME.into(), "v1".into());
        let index = Document::print(Index::new(vec![entry]), MediaType::new(OCI_INDEX), algorithm);
        [config.raw().to_vec(), manifest.raw().to_vec(), index.raw().to_vec()]
    };
    for algorithm in Algorithm::ALL {
        let printed = print(algorithm);
        let schemas = ["config-schema.json", "image-manifest-schema.json", "image-index-schema.json"];
        for (bytes, schema) in printed.iter().zip(schemas) {
            let value: Value = serde_json::from_slice(bytes).expect("JSON");
            assert_eq!(schema::faults(&format!("image-spec/{schema}"), &value), [""; 0], "{value}");
        }
        assert_eq!(printed, print(algorithm));
    }
    let bad =
        json!({ "schemaVersion": 3, "config": { "mediaType": "x", "digest": "x", "size": -1 }, "layers": 1 });
    assert_eq!(
        schema::faults("image-spec/image-manifest-schema.json", &bad).len(),
        5,
        "the checker sees what is wrong"
    );
}

/// items 16, 17 and 18, J1
#[test]
fn a_document_of_two_kinds_is_of_none() {
    use DocumentError::{Ambiguous, Json, MediaTypeDiffers, SchemaVersion};
    let config = json!({ "mediaType": OCI_CONFIG, "digest": A, "size": 1 });
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let index = json!({ "schemaVersion": 2, "manifests": [] });
    let with = |document: &Value, name: &str, value: Value| {
        let mut document = document.clone();
        document[name] = value;
        document.to_string().into_bytes()
    };
    let refused = |bytes: &[u8], media_type: &str| {
        let error = match media_type {
            OCI_INDEX => open::<Index>(bytes, media_type).map(drop),
            _ => open::<Manifest>(bytes, media_type).map(drop),
        };
        let error = error.expect_err("two readings");
        let digest = Digest::of(Algorithm::Sha256, bytes).to_string();
        assert!(error.to_string().contains(&digest), "it is told which document it is: {error}");
        match error {
            DocumentError::Invalid { source, .. } => *source,
            error => error,
        }
    };
    assert!(open::<Manifest>(manifest.to_string().as_bytes(), OCI_MANIFEST).is_ok());
    assert!(matches!(refused(&with(&manifest, "manifests", json!([])), OCI_MANIFEST), Ambiguous));
    assert!(matches!(refused(&with(&manifest, "fsLayers", json!([])), OCI_MANIFEST), Ambiguous));
    assert!(matches!(refused(&with(&index, "layers", json!([])), OCI_INDEX), Ambiguous));
    assert!(matches!(refused(&with(&index, "config", json!({})), OCI_INDEX), Ambiguous));
    assert!(matches!(
        refused(&with(&manifest, "mediaType", json!(OCI_INDEX)), OCI_MANIFEST),
        MediaTypeDiffers { .. }
    ));
    assert!(matches!(
        refused(&with(&index, "mediaType", json!(OCI_MANIFEST)), OCI_INDEX),
        MediaTypeDiffers { .. }
    ));
    assert!(matches!(refused(&with(&manifest, "schemaVersion", json!(1)), OCI_MANIFEST), SchemaVersion(1)));
    assert!(matches!(refused(br#"{"schemaVersion":2,"Manifests":[]}"#, OCI_INDEX), Json(_)), "case counts");
    assert!(matches!(refused(br#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, OCI_INDEX), Json(_)));
}

/// items 56 and 57
#[test]
fn annotations_are_text_and_unknown_ones_are_fine() {
    let index = |value: Value| {
        json!({ "schemaVersion": 2, "manifests": [], "annotations": { "any": value } }).to_string()
    };
    assert!(open::<Index>(index(json!("x")).as_bytes(), OCI_INDEX).is_ok());
    for value in [json!(null), json!(1), json!(true), json!([]), json!({})] {
        assert!(open::<Index>(index(value.clone()).as_bytes(), OCI_INDEX).is_err(), "{value}");
    }
}

#[test]
fn item_34_a_root_file_system_is_made_of_layers_or_refused() {
    let config = |kind: &str| {
        json!({ "architecture": "arm", "os": "linux", "rootfs": { "type": kind, "diff_ids": [] } })
            .to_string()
    };
    assert!(open::<Config>(config("layers").as_bytes(), OCI_CONFIG).is_ok());
    assert!(open::<Config>(config("layer").as_bytes(), OCI_CONFIG).is_err());
}

#[test]
fn item_37_an_edit_leaves_history_and_layers_in_step() {
    let before = own_config();
    let edit = Edit { author: Some("you".into()), changes: vec!["ENV B=2".into()], ..Edit::default() };
    let after = edit.apply(before.clone()).expect("a fine edit");
    assert_eq!((after.layer_steps(), &after.rootfs, &after.history), (1, &before.rootfs, &before.history));
}

/// items 2, 9 and 11
#[test]
fn a_flipped_bit_or_another_size_is_refused_for_every_algorithm() {
    let bytes = own_config_bytes();
    for algorithm in Algorithm::ALL {
        let mut descriptor = named(&bytes, OCI_CONFIG);
        descriptor.digest = Digest::of(algorithm, &bytes).into();
        assert!(Document::<Config>::open(&bytes[..], descriptor.clone()).is_ok());
        for position in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            let error = Document::<Config>::open(damaged, descriptor.clone()).expect_err("damaged");
            assert!(matches!(error, DocumentError::WrongDigest { .. }), "{error}");
        }
        for size in [descriptor.size - 1, descriptor.size + 1, 1 << 63] {
            let wrong = Descriptor { size, ..descriptor.clone() };
            let error = Document::<Config>::open(&bytes[..], wrong).expect_err("another size");
            assert!(matches!(error, DocumentError::WrongSize { .. }), "{error}");
        }
    }
}

fn own_config_bytes() -> Vec<u8> {
    Document::print(own_config(), MediaType::new(OCI_CONFIG), Algorithm::Sha256).raw().to_vec()
}

#[test]
fn j4_no_path_passes_for_a_digest() {
    for digest in ["sha256:../../etc/passwd", "../x:00", "sha256/../x:00", "/:00", "sha256:", ".:a", "a..b:c"]
    {
        let config = json!({ "mediaType": OCI_CONFIG, "digest": digest, "size": 1 });
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] }).to_string();
        assert!(open::<Manifest>(manifest.as_bytes(), OCI_MANIFEST).is_err(), "{digest}");
    }
}

#[test]
fn j5_a_weak_or_unknown_algorithm_proves_nothing_and_two_algorithms_are_two_names() {
    let bytes = own_config_bytes();
    for digest in [
        "md5:900150983cd24fb0d6963f7d28e17f72",
        "sha256+x:abc",
        "sha1:a9993e364706816aba3e25717850c26c9cd0d89d",
    ] {
        let other =
            Descriptor { digest: digest.parse().expect("fits the grammar"), ..named(&bytes, OCI_CONFIG) };
        assert!(other.digest.known().is_err(), "{digest}");
    }
    let [short, long] = [Algorithm::Sha256, Algorithm::Sha512].map(|algorithm| Digest::of(algorithm, &bytes));
    assert_ne!(short, long);
    assert_ne!(short.to_string().split(':').next(), long.to_string().split(':').next());
}
