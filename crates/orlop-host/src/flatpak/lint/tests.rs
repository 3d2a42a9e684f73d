use super::*;
use orlop_spec::json;

const APP: &str = "app/org.test.Hello/x86_64/master";
const TEXT: &str = "[Application]\nname=org.test.Hello\nruntime=org.test.Platform/x86_64/master\n";

fn value(text: &str) -> String {
    base64::encode(&Variant::string(text).to_bytes())
}

/// Labels that nothing is wrong with.
fn right() -> Vec<(String, String)> {
    let metadata = |key: &str| format!("{}{key}", labels::COMMIT_METADATA);
    [
        (labels::REF.to_owned(), APP.to_owned()),
        (labels::METADATA.into(), TEXT.into()),
        (metadata(labels::XA_METADATA), value(TEXT)),
        (metadata(labels::XA_REF), value(APP)),
        (labels::INSTALLED_SIZE.into(), "1".into()),
        (labels::DOWNLOAD_SIZE.into(), "1".into()),
        (labels::TIMESTAMP.into(), "1".into()),
        (labels::COMMIT.into(), "0".repeat(64)),
        (labels::APPDATA.into(), "<x/>".into()),
    ]
    .into()
}

fn config(labels: &[(String, String)], architecture: &str, os: &str) -> Config {
    let labels: serde_json::Map<_, _> =
        labels.iter().map(|(key, it)| (key.clone(), it.clone().into())).collect();
    let text = serde_json::json!({
        "architecture": architecture, "os": os, "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    json::parse(text.to_string().as_bytes()).expect("a config")
}

/// The rules that one change of the right labels breaks.
fn broken(key: &str, changed: Option<&str>) -> Vec<&'static str> {
    let mut labels = right();
    labels.retain(|(name, _)| name != key);
    labels.extend(changed.map(|text| (key.to_owned(), text.to_owned())));
    rules(&documents(&config(&labels, "amd64", "linux"), &Annotations::new()))
}

fn rules(findings: &[Finding]) -> Vec<&'static str> {
    assert!(findings.iter().all(|it| !it.what.is_empty() && !it.cure.is_empty()), "{findings:?}");
    findings.iter().map(|it| it.rule).collect()
}

#[test]
fn an_address_of_a_delta_must_lead_somewhere() {
    let none: [&str; 0] = [];
    let fixed = format!("/v2/hello/manifests/sha256:{}", "0".repeat(64));
    for good in ["https://example.org/d?x=y:z", "v2/hello/manifests/delta-1:2", "/deltas/hello"] {
        assert_eq!(broken(labels::DELTA_URL, Some(good)), none, "{good}");
    }
    for bad in ["", "file:///etc/passwd", "ftp://x/y", "a b", "https://x/\u{e9}", "x\ny"] {
        assert_eq!(broken(labels::DELTA_URL, Some(bad)), ["delta-url-invalid"], "{bad}");
    }
    for bad in [&fixed[..], &fixed.replace("/sha", "@sha"), &format!("https://example.org{fixed}")] {
        assert_eq!(broken(labels::DELTA_URL, Some(bad)), ["delta-url-fixed"], "{bad}");
    }
}

#[test]
fn each_thing_that_lacks_is_named() {
    let of = |key: &str| format!("{}{key}", labels::COMMIT_METADATA);
    let none: [&str; 0] = [];
    assert_eq!(broken("x", None), none);
    assert_eq!(broken(labels::REF, None), ["ref-missing"]);
    assert_eq!(broken(labels::REF, Some("org.test.Hello")), ["label-unreadable"]);
    assert_eq!(
        broken(labels::REF, Some("runtime/org.test.Hello/x86_64/master")),
        ["kind-differs", "xa-ref-differs"]
    );
    assert_eq!(
        broken(labels::REF, Some("app/org.test.Other/x86_64/master")),
        ["name-differs", "xa-ref-differs"]
    );
    assert_eq!(
        broken(labels::REF, Some("app/org.test.Hello/aarch64/master")),
        ["architecture-differs", "runtime-differs", "xa-ref-differs"]
    );
    assert_eq!(broken(labels::METADATA, None), ["metadata-missing"]);
    assert_eq!(broken(labels::METADATA, Some("no key file")), ["metadata-invalid", "xa-metadata-differs"]);
    assert_eq!(
        broken(labels::METADATA, Some("[Application]\n")),
        ["name-missing", "runtime-missing", "xa-metadata-differs"]
    );
    assert_eq!(broken(&of("xa.metadata"), None), ["xa-metadata-missing"]);
    assert_eq!(broken(&of("xa.metadata"), Some(&value("x"))), ["xa-metadata-differs"]);
    assert_eq!(broken(&of("xa.ref"), None), ["xa-ref-missing"]);
    assert_eq!(broken(&of("other"), Some("?")), ["label-unreadable"]);
    for label in
        [labels::INSTALLED_SIZE, labels::DOWNLOAD_SIZE, labels::TIMESTAMP, labels::COMMIT, labels::APPDATA]
    {
        assert_eq!(broken(label, None), ["label-missing"], "{label}");
    }
}

#[test]
fn the_cure_for_missing_metadata_is_the_label_itself() {
    let mut labels = right();
    let key = format!("{}xa.metadata", labels::COMMIT_METADATA);
    labels.retain(|(name, _)| *name != key);
    let found = documents(&config(&labels, "amd64", "linux"), &Annotations::new());
    assert_eq!(found[0].severity, Severity::Error);
    let (before, label) = found[0].cure.split_once("--label ").expect("a flag");
    assert_eq!(before, "build it with ");
    let (name, text) = label.split_once('=').expect("a pair");
    labels.push((name.into(), text.into()));
    assert!(documents(&config(&labels, "amd64", "linux"), &Annotations::new()).is_empty());
}

#[test]
fn an_image_is_for_the_machine_of_its_ref() {
    let found =
        |architecture, os| rules(&documents(&config(&right(), architecture, os), &Annotations::new()));
    assert_eq!(found("arm64", "linux"), ["architecture-differs"]);
    assert_eq!(found("amd64", "windows"), ["os-differs"]);
}

#[test]
fn labels_of_the_manifest_are_none() {
    let annotations = Annotations::from([(labels::REF.into(), APP.into())]);
    let found = rules(&documents(&config(&[], "amd64", "linux"), &annotations));
    assert_eq!(found[..2], ["label-as-annotation", "ref-missing"]);
}

#[test]
fn the_file_and_the_label_are_one_text() {
    let config = config(&right(), "amd64", "linux");
    assert_eq!(file(&config, TEXT.as_bytes()), None);
    assert_eq!(file(&config, b"other").map(|it| it.rule), Some("metadata-differs"));
}
