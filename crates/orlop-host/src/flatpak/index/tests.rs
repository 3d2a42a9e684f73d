use super::*;
use orlop_spec::media_type::OCI_MANIFEST;

fn image(name: &str, time: u64, tags: &[&str]) -> Image {
    let labels =
        [(REF, name.to_owned()), (METADATA, "[Application]\n".into()), (TIMESTAMP, time.to_string())];
    Image {
        tags: tags.iter().map(|tag| Box::from(*tag)).collect(),
        digest: Digest::of(Algorithm::Sha256, format!("{name} {time}").as_bytes()).into(),
        media_type: MediaType::new(OCI_MANIFEST),
        os: "linux".into(),
        architecture: if name.contains("aarch64") { "arm64" } else { "amd64" }.into(),
        annotations: Annotations::new(),
        labels: labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
    }
}

fn names(index: &Index) -> Vec<String> {
    index.images().map(|(_, image)| image.name().expect("a ref").to_string()).collect()
}

const ONE: &str = "app/org.test.One/x86_64/master";
const TWO: &str = "app/org.test.Two/aarch64/master";

fn two() -> Index {
    let mut images = Collection::default();
    assert_eq!(images.take(None, image(TWO, 1, &["latest"])), Taken::Listed);
    assert_eq!(images.take(Some("some/where"), image(ONE, 1, &["1.0", "latest"])), Taken::Listed);
    images.index("/")
}

#[test]
fn an_index_is_read_as_it_was_written() {
    let index = two();
    assert_eq!(Index::parse(&index.to_bytes()).expect("an index"), index);
    let repositories: Vec<_> = index.results.iter().map(|it| &*it.name).collect();
    assert_eq!(repositories, ["app/org.test.two/aarch64/master", "some/where"]);
    let text = String::from_utf8(index.to_bytes()).expect("text");
    assert!(text.starts_with(
        r#"{"Registry":"/","Results":[{"Name":"app/org.test.two/aarch64/master","Images":[{"Tags":["#
    ));
}

#[test]
fn an_index_of_a_program_in_go_is_read() {
    let text = format!(
        r#"{{"Registry": "https://reg.example/", "Results": [
            {{"Name": "a", "Images": null, "Lists": [
              {{"Digest": "sha256:{0}", "MediaType": "a/b", "Tags": ["latest"], "Images": [
                {{"Digest": "sha256:{0}", "MediaType": "a/b", "OS": "linux", "Architecture": "amd64",
                  "Annotations": null, "Labels": {{"x": "y"}}, "Another": 1}}]}}]}},
            {{"Name": "b", "Images": []}}], "More": {{}}}}"#,
        "0".repeat(64)
    );
    let index = Index::parse(text.as_bytes()).expect("an index");
    assert_eq!(index.images().count(), 1);
    let select = |query: &str| index.clone().select(&Query::parse(query).expect("a query")).images().count();
    assert_eq!((select("tag=latest"), select("tag=other"), select("label:x=y")), (1, 0, 1));
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"Registry": "/", "Registry": "/", "Results": []}"#,
        r#"{"Registry": 1, "Results": []}"#,
    ] {
        assert!(Index::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_query_selects_as_the_protocol_says() {
    let select = |text: &str| names(&two().select(&Query::parse(text).expect("a query")));
    let (one, both) = (vec![ONE], vec![TWO, ONE]);
    // As flatpak 1.14 asks.
    assert_eq!(select("label%3Aorg.flatpak.ref%3Aexists=1&architecture=amd64&os=linux&tag=latest"), one);
    assert_eq!(select(""), both);
    assert_eq!(select("architecture=amd64&architecture=arm64"), both);
    assert_eq!(select("tag=1.0"), one);
    assert_eq!(select("repository=some/where"), one);
    assert_eq!(select(&format!("label:org.flatpak.ref={ONE}")), one);
    assert_eq!(select("later=x"), both);
    let none: Vec<String> = Vec::new();
    for text in
        ["os=plan9", "tag=2", "label:x:exists=1", "annotation:x=y", "architecture=amd64&repository=other"]
    {
        assert_eq!(select(text), none, "{text}");
    }
    assert_eq!(select("label:x:exists=0"), both);
}

#[test]
fn of_two_images_of_one_ref_the_later_is_listed() {
    let (old, new) = (image(ONE, 1, &["old"]), image(ONE, 2, &["new"]));
    let rival = |listed: &Image, left_out: &Image| {
        let (listed, left_out) = (listed.digest.clone(), left_out.digest.clone());
        Taken::Rival(Rival { name: ONE.parse().expect("a ref"), listed, left_out })
    };
    let mut forwards = Collection::default();
    assert_eq!(forwards.take(None, old.clone()), Taken::Listed);
    assert_eq!(forwards.take(None, new.clone()), rival(&new, &old));
    let mut backwards = Collection::default();
    assert_eq!(backwards.take(None, new.clone()), Taken::Listed);
    assert_eq!(backwards.take(None, old.clone()), rival(&new, &old));
    let index = forwards.index("/");
    assert_eq!(index, backwards.index("/"));
    assert_eq!(index.images().map(|(_, it)| it.digest.clone()).collect::<Vec<_>>(), [new.digest]);
}

#[test]
fn one_image_under_two_tags_is_listed_once() {
    let mut images = Collection::default();
    for tag in ["b", "a", "b"] {
        assert_eq!(images.take(None, image(ONE, 1, &[tag])), Taken::Listed);
    }
    let index = images.index("/");
    assert_eq!(index.images().map(|(_, it)| it.tags.clone()).collect::<Vec<_>>(), [["a".into(), "b".into()]]);
}

#[test]
fn an_image_of_two_repositories_is_listed_in_one_with_the_tags_that_it_has_there() {
    let offered = [("b", "latest"), ("a", "1.0"), ("c", "3"), ("b", "2"), ("a", "0")];
    for turn in 0..offered.len() {
        let mut images = Collection::default();
        for (repository, tag) in offered.iter().cycle().skip(turn).take(offered.len()) {
            assert_eq!(images.take(Some(repository), image(ONE, 1, &[tag])), Taken::Listed);
        }
        let index = images.index("/");
        let listed: Vec<_> = index.images().map(|(name, it)| (name, it.tags.clone())).collect();
        assert_eq!(listed, [("a", vec!["0".into(), "1.0".into()])], "{turn}");
    }
}

#[test]
fn a_delta_is_named_where_the_image_is() {
    let mut index = two();
    let wanted = index.images().next().expect("two").1.digest.clone();
    let delta: AnyDigest = Digest::of(Algorithm::Sha256, b"delta").into();
    index.name_deltas(|image| (*image == wanted).then(|| delta.clone()));
    let labels: Vec<_> = index.images().map(|(_, it)| it.labels.get(DELTA_URL).map(|it| &**it)).collect();
    assert_eq!(labels, [Some(&*format!("v2/app/org.test.two/aarch64/master/manifests/{delta}")), None]);
}

#[test]
fn refs_that_differ_only_in_capitals_have_repositories_of_their_own() {
    let mut images = Collection::default();
    for name in [ONE, "app/org.test.one/x86_64/master", "app/org.test._x-/x86_64/master"] {
        assert_eq!(images.take(None, image(name, 1, &[])), Taken::Listed);
    }
    let index = images.index("/");
    assert_eq!(index.results.len(), 3);
    assert!(index.results.iter().all(|it| is_repository(&it.name) && it.images.len() == 1), "{index:?}");
}

#[test]
fn what_a_client_passes_over_is_not_listed() {
    let mut images = Collection::default();
    let mut bare = image(ONE, 1, &[]);
    bare.labels.remove(METADATA);
    assert_eq!(images.take(None, bare), Taken::NotOfFlatpak);
    assert_eq!(images.take(None, image("nonsense", 1, &[])), Taken::NotOfFlatpak);
}
