use super::*;
use crate::wire::{Headers, Scheme};

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn site() -> Site {
    Site::parse(Scheme::Https, "reg.example:5000").expect("a site")
}

fn place() -> Place {
    Place::new(site(), "/mirror", "team/app").expect("a place")
}

fn digest() -> AnyDigest {
    DIGEST.parse().expect("a digest")
}

fn answer(name: &str, value: &str) -> Head {
    let mut headers = Headers::default();
    assert!(headers.add(name, value), "{value}");
    Head { status: 200, headers }
}

fn line(request: &Request) -> String {
    format!("{} {}", request.method, request.address.target())
}

#[test]
fn every_endpoint_is_asked_as_the_specification_writes_it() {
    let (place, api) = (place(), Api::new(site(), "/mirror").expect("an api"));
    let tag = ManifestName::tag("1.0").expect("a tag");
    let by_digest = ManifestName::digest(&digest());
    let app = "/mirror/v2/team/app";
    let cases = [
        (api.ping(), "GET /mirror/v2/".into()),
        (api.catalog(Some(9), Some("a/b")), "GET /mirror/v2/_catalog?n=9&last=a/b".into()),
        (place.get_manifest(&tag), format!("GET {app}/manifests/1.0")),
        (place.head_manifest(&by_digest), format!("HEAD {app}/manifests/{DIGEST}")),
        (place.delete_manifest(&tag), format!("DELETE {app}/manifests/1.0")),
        (place.get_blob(&digest(), Part::All), format!("GET {app}/blobs/{DIGEST}")),
        (place.head_blob(&digest()), format!("HEAD {app}/blobs/{DIGEST}")),
        (place.delete_blob(&digest()), format!("DELETE {app}/blobs/{DIGEST}")),
        (place.begin_upload(), format!("POST {app}/blobs/uploads/")),
        (place.mount(&digest(), "a/b"), format!("POST {app}/blobs/uploads/?mount={DIGEST}&from=a/b")),
        (place.tags(Some(2), Some("b")), format!("GET {app}/tags/list?n=2&last=b")),
        (place.referrers(&digest(), None), format!("GET {app}/referrers/{DIGEST}")),
        (
            place.referrers(&digest(), Some(&MediaType::new("a/b+c"))),
            format!("GET {app}/referrers/{DIGEST}?artifactType=a/b%2Bc"),
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(line(&request), expected);
        assert_eq!(request.address.site(), &site());
    }
}

#[test]
fn item_201_a_manifest_is_asked_for_in_every_form_that_is_understood() {
    let request = place().get_manifest(&ManifestName::digest(&digest()));
    let accepted: Vec<&str> = request.headers.get("Accept").expect("accepts").split(", ").collect();
    assert_eq!(accepted, ACCEPTED);
    assert!(accepted[..4].iter().all(|it| MediaType::new(*it).is_document()));
}

#[test]
fn item_206_a_manifest_is_sent_as_its_media_type_alone() {
    let name = ManifestName::tag("a").expect("a tag");
    let request = place().put_manifest(&name, &MediaType::new(OCI_MANIFEST)).expect("can be sent");
    assert_eq!(request.headers.get("Content-Type"), Some(OCI_MANIFEST));
    let bad = MediaType::new("a/b; charset=utf-8\r\nX: y");
    assert!(matches!(place().put_manifest(&name, &bad), Err(WireError::MediaType(_))));
}

#[test]
fn a_part_of_a_blob_is_a_range() {
    let range = |part| place().get_blob(&digest(), part).headers.get("Range").map(str::to_owned);
    assert_eq!(range(Part::From(0)), None);
    assert_eq!(range(Part::From(7)).as_deref(), Some("bytes=7-"));
    assert_eq!(range(Part::Between { first: 0, last: 9 }).as_deref(), Some("bytes=0-9"));
}

#[test]
fn item_205_a_location_is_used_as_it_came() {
    let asked = place().begin_upload().address;
    for (location_text, whole) in [
        ("/up/7?_state=a%2Fb%3D&x", "https://reg.example:5000/up/7?_state=a%2Fb%3D&x"),
        ("https://store.example/7", "https://store.example/7"),
        ("7", "https://reg.example:5000/mirror/v2/team/app/blobs/uploads/7"),
    ] {
        let to = location(&asked, &answer("Location", location_text)).expect(location_text);
        assert_eq!(to.to_string(), whole);
        let closed = close_upload(&to, &digest()).address.to_string();
        let mark = if whole.contains('?') { '&' } else { '?' };
        assert_eq!(closed, format!("{whole}{mark}digest={DIGEST}"));
    }
    let chunk = send_chunk(&asked, 5, 10);
    assert_eq!((chunk.method, chunk.headers.get("Content-Range")), (Method::Patch, Some("5-9")));
    assert!(matches!(location(&asked, &answer("X", "")), Err(WireError::Header { header: "Location", .. })));
    assert!(matches!(location(&asked, &answer("Location", "ftp://x/")), Err(WireError::Leads { .. })));
}

/// N4.
#[test]
fn item_214_pages_of_another_site_are_not_read() {
    let asked = place().tags(None, None).address;
    let next = |link: &str| next_page(&asked, &answer("Link", &format!("<{link}>; rel=next")));
    let same = next("/mirror/v2/team/app/tags/list?last=b").expect("same site").expect("a page");
    assert_eq!(line(&same), "GET /mirror/v2/team/app/tags/list?last=b");
    for foreign in ["https://reg.example/x", "http://reg.example:5000/x", "//10.0.0.1/x", "https://evil/"] {
        assert!(matches!(next(foreign), Err(WireError::ForeignPage { .. })), "{foreign}");
    }
    assert_eq!(next_page(&asked, &answer("X", "y")), Ok(None));
}

#[test]
fn a_prefix_or_name_cannot_lead_elsewhere() {
    for (prefix, name) in [
        ("/..", "a"),
        ("", "a/../../b"),
        ("", "a?x=1"),
        ("", "a#b"),
        ("//evil.example", "a"),
        ("@evil.example", "a"),
        ("", "a b"),
        ("", ""),
    ] {
        assert!(matches!(Place::new(site(), prefix, name), Err(WireError::Path { .. })), "{prefix} {name}");
    }
    for tag in ["..", "a/b", "", "a:b", "a?b"] {
        assert!(ManifestName::tag(tag).is_err(), "{tag}");
    }
    assert_eq!(ManifestName::of(&Selector::Only), Err(WireError::Nameless));
}
