use super::*;
use orlop::spec::Digest;
use orlop::spec::digest::Algorithm;
use orlop::spec::media_type::{MediaType, OCI_CONFIG, OCI_MANIFEST};

fn document<T: orlop::spec::document::Parse>(name: &str, text: &str) -> Document<T> {
    let digest = Digest::of(Algorithm::default(), text.as_bytes());
    let descriptor = Descriptor::new(MediaType::new(name), digest, text.len() as u64);
    Document::open(text.as_bytes(), descriptor).expect("a document")
}

fn found(config: &str, layers: &str) -> Found {
    let config: Document<Config> = document(OCI_CONFIG, config);
    let manifest =
        format!(r#"{{"schemaVersion":2,"config":{},"layers":{layers}}}"#, json!(config.descriptor()));
    let manifest: Document<Manifest> = document(OCI_MANIFEST, &manifest);
    Found { root: manifest.descriptor().clone(), manifest, config }
}

const LAYER: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_step_has_the_next_layer_unless_it_made_none_or_there_are_no_more() {
    let config = format!(
        r#"{{"architecture":"a","os":"o","x":1.50,"rootfs":{{"type":"layers","diff_ids":["{LAYER}"]}},
            "history":[{{"empty_layer":true,"comment":"c"}},{{"created_by":"b"}},{{"author":"d"}}]}}"#
    );
    let layers = format!(r#"[{{"mediaType":"l","digest":"{LAYER}","size":0}}]"#);
    let found = found(&config, &layers);
    let value: Value = serde_json::from_str(&found.for_programs().expect("JSON")).expect("JSON");
    let history = &value["history"];
    assert_eq!(history[0], json!({"layer": null, "diff_id": "", "comment": "c", "empty_layer": true}));
    assert_eq!((&history[1]["layer"]["digest"], &history[1]["diff_id"]), (&json!(LAYER), &json!(LAYER)));
    assert_eq!(history[2], json!({"layer": null, "diff_id": "", "author": "d"}));
    assert_eq!(value["config"]["blob"]["x"], json!(1.5), "members without a name of ours are told");
    assert_eq!(value["manifest"]["descriptor"]["digest"], json!(found.root.digest));
}

#[test]
fn without_history_there_is_an_empty_list_and_a_table_of_titles() {
    let found = found(r#"{"architecture":"a","os":"o","rootfs":{"type":"layers","diff_ids":[]}}"#, "[]");
    assert!(found.for_programs().expect("JSON").ends_with(",\"history\":[]}\n"));
    assert!(text::of(&found).ends_with("\n== HISTORY ==\nLAYER CREATED CREATED BY SIZE COMMENT\n"));
}
