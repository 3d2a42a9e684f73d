//! Verdicts on manifests of App Containers: ours, and those of actool 0.8.11, which `aci/record` wrote down.

use orlop_host::aci::manifest::ImageManifest;
use orlop_host::aci::validate;
use orlop_spec::validate::Severity;

/// `actool's verdict, ours, the manifest`
const VERDICTS: &str = include_str!("aci/verdicts.tsv");

fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    VERDICTS.lines().map(|line| {
        let mut fields = line.splitn(3, '\t');
        let mut next = || fields.next().expect("three fields");
        (next(), next(), next())
    })
}

fn verdict(text: &str) -> &'static str {
    let Ok(manifest) = ImageManifest::parse(text.as_bytes()) else { return "bad" };
    match validate::manifest(&manifest).iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => "bad",
        Some(Severity::Warning) => "doubt",
        None => "good",
    }
}

#[test]
fn the_verdict_is_that_of_the_specification() {
    for (_, expected, manifest) in rows() {
        assert_eq!(verdict(manifest), expected, "{manifest}");
    }
}

#[test]
fn what_actool_refuses_is_refused() {
    let refused: Vec<_> = rows().filter(|(actool, ..)| *actool == "bad").collect();
    assert!(refused.len() > 100, "{}", refused.len());
    for (_, ours, manifest) in refused {
        assert_eq!(ours, "bad", "{manifest}");
    }
}
