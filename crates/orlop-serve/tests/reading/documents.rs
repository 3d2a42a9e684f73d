//! Manifests, blobs and lists.

use super::*;
use crate::ailing::{Ailing, Ails};

#[test]
fn item_103_a_manifest_is_had_by_tag_and_by_digest() {
    with_images(|address, images| {
        let document = &images.manifest;
        let digest = document.descriptor().digest.to_string();
        for name in ["1", &digest] {
            let path = format!("/v2/team/app/manifests/{name}");
            let got = get(address, &path);
            assert_eq!((got.status, got.body.as_slice()), (200, &document.raw()[..]), "{name}");
            assert_eq!(got.header("Docker-Content-Digest"), digest);
            assert_eq!(got.header("Content-Type"), OCI_MANIFEST, "item 102: without parameters");
            let head = ask(address, "HEAD", &path, "");
            assert_eq!(head.status, 200);
            assert_eq!(head.headers, got.headers, "item 105: a HEAD says what a GET says");
            assert_eq!(head.header("Content-Length"), document.raw().len().to_string());
        }
        let index = get(address, "/v2/team/app/manifests/many");
        assert_eq!(
            (index.body.as_slice(), index.header("Content-Type")),
            (&images.index.raw()[..], OCI_INDEX)
        );
    });
}

#[test]
fn item_103_what_is_not_there_is_said_in_the_shape_of_errors() {
    let missing = format!("sha256:{}", "0".repeat(64));
    let warned = with_images(|address, images| {
        let layer = &images.layer.digest;
        for (path, status, code) in [
            ("/v2/team/app/manifests/2".to_owned(), 404, "MANIFEST_UNKNOWN"),
            (format!("/v2/team/app/manifests/{missing}"), 404, "MANIFEST_UNKNOWN"),
            // A layer is no manifest, though it is a blob.
            (format!("/v2/team/app/manifests/{layer}"), 404, "MANIFEST_UNKNOWN"),
            (format!("/v2/team/app/blobs/{missing}"), 404, "BLOB_UNKNOWN"),
            // What one repository has, another has not.
            (format!("/v2/empty/blobs/{layer}"), 404, "NAME_UNKNOWN"),
            ("/v2/other/manifests/1".to_owned(), 404, "NAME_UNKNOWN"),
            ("/v2/Team/manifests/1".to_owned(), 400, "NAME_INVALID"),
            (format!("/v2/team/app/manifests/{}", "a".repeat(129)), 400, "TAG_INVALID"),
            ("/v2/team/app/manifests/sha256:ab".to_owned(), 400, "DIGEST_INVALID"),
            ("/v2/team/app/blobs/1".to_owned(), 400, "DIGEST_INVALID"),
            ("/v2/team/app/things/1".to_owned(), 404, "UNSUPPORTED"),
            ("/".to_owned(), 404, "UNSUPPORTED"),
        ] {
            let got = get(address, &path);
            assert_eq!((got.status, got.code().as_str()), (status, code), "item 101, 123: {path}");
            assert_eq!(ask(address, "HEAD", &path, "").status, status, "{path}");
        }
    });
    assert_eq!(warned, Vec::<String>::new());
}

#[test]
fn item_101_the_ends_of_the_interface() {
    with_images(|address, _| {
        let ping = get(address, "/v2/");
        assert_eq!((ping.status, ping.body.as_slice()), (200, &b"{}"[..]));
        assert_eq!(ping.header("Docker-Distribution-API-Version"), "registry/2.0");
        for (method, path) in [
            ("POST", "/v2/team/app/blobs/uploads/"),
            ("GET", "/v2/team/app/blobs/uploads/7"),
            ("PUT", "/v2/team/app/manifests/1"),
            ("DELETE", "/v2/team/app/manifests/1"),
            ("PATCH", "/index/static"),
            ("OPTIONS", "/v2/"),
        ] {
            let got = ask(address, method, path, "");
            assert_eq!((got.status, got.code().as_str()), (405, "UNSUPPORTED"), "item 122: {method} {path}");
            assert_eq!(got.header("Allow"), "GET, HEAD");
        }
    });
}

#[test]
fn item_104_a_part_of_a_blob_is_a_range() {
    with_images(|address, images| {
        let path = format!("/v2/team/app/blobs/{}", images.layer.digest);
        let whole = get(address, &path);
        assert_eq!((whole.status, whole.body.as_slice()), (200, LAYER));
        assert_eq!(whole.header("Accept-Ranges"), "bytes");
        assert_eq!(whole.header("Content-Type"), "application/octet-stream");
        assert_eq!(ask(address, "HEAD", &path, "").headers, whole.headers, "item 105");
        for (range, part, says) in [
            ("bytes=2-4", &b"234"[..], "bytes 2-4/10"),
            ("bytes=7-", b"789", "bytes 7-9/10"),
            ("bytes=-1", b"9", "bytes 9-9/10"),
            ("bytes=8-99", b"89", "bytes 8-9/10"),
        ] {
            let got = ask(address, "GET", &path, &format!("Range: {range}\r\n"));
            assert_eq!((got.status, got.body.as_slice()), (206, part), "{range}");
            assert_eq!(got.header("Content-Range"), says);
        }
        for range in ["bytes=0-1,4-5", "bytes=4-2", "lines=0-1"] {
            let got = ask(address, "GET", &path, &format!("Range: {range}\r\n"));
            assert_eq!((got.status, got.body.as_slice()), (200, LAYER), "{range}");
        }
        let beyond = ask(address, "GET", &path, "Range: bytes=10-\r\n");
        assert_eq!((beyond.status, beyond.header("Content-Range")), (416, "bytes */10"));
        let known = format!("Range: bytes=10-\r\nIf-None-Match: {}\r\n", whole.header("ETag"));
        assert_eq!(ask(address, "GET", &path, &known).status, 304, "it has all of it");
        let head = ask(address, "HEAD", &path, "Range: bytes=2-4\r\n");
        assert_eq!((head.status, head.headers), (200, whole.headers.clone()), "only a GET has parts");
        for (range, status) in [
            ("bytes=0-0", 206),
            ("bytes=-0", 416),
            ("bytes=18446744073709551615-", 416),
            ("bytes=0-18446744073709551615", 206),
        ] {
            let got = ask(address, "GET", &path, &format!("Range: {range}\r\n"));
            assert_eq!(got.status, status, "{range}");
        }
        let stale = ask(address, "GET", &path, "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n");
        assert_eq!((stale.status, stale.body.as_slice()), (200, LAYER));
    });
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    with_images(|address, images| {
        for path in ["manifests/1".to_owned(), format!("blobs/{}", images.layer.digest)] {
            let path = format!("/v2/team/app/{path}");
            let tag = get(address, &path).header("ETag").to_owned();
            let same = ask(address, "GET", &path, &format!("If-None-Match: \"x\", {tag}\r\n"));
            assert_eq!((same.status, same.body.len(), same.header("ETag")), (304, 0, tag.as_str()));
            assert!(!same.headers.contains_key("Content-Length"));
            assert_eq!(ask(address, "GET", &path, "If-None-Match: \"x\"\r\n").status, 200);
        }
        assert_eq!(get(address, "/v2/team/app/manifests/1").header("Cache-Control"), "no-cache");
    });
}

#[test]
fn item_121_n11_tags_come_in_pages() {
    with_images(|address, _| {
        let tags = |query: &str| get(address, &format!("/v2/team/app/tags/list{query}"));
        let all = tags("");
        assert_eq!(
            all.body, br#"{"name":"team/app","tags":["1","many"]}"#,
            "a tag that a registry cannot have is left out"
        );
        let first = tags("?n=1");
        assert_eq!(first.body, br#"{"name":"team/app","tags":["1"]}"#);
        assert_eq!(first.header("Link"), "</v2/team/app/tags/list?n=1&last=1>; rel=\"next\"");
        let second = tags("?n=1&last=1");
        assert_eq!(
            (second.body.as_slice(), second.header("Link")),
            (&br#"{"name":"team/app","tags":["many"]}"#[..], "")
        );
        let none = tags("?n=0");
        assert_eq!(
            (none.body.as_slice(), none.header("Link")),
            (&br#"{"name":"team/app","tags":[]}"#[..], "")
        );
        assert_eq!(tags("?n=2147483648").body, all.body);
        assert_eq!(tags("?n=99999999999999999999999").body, all.body);
        assert_eq!(tags("?n=-1").code(), "PAGINATION_NUMBER_INVALID");
        let catalog = get(address, "/v2/_catalog");
        assert_eq!(catalog.body, br#"{"repositories":["team/app"]}"#);
    });
}

#[test]
fn item_118_referrers_are_an_index_even_of_none() {
    with_images(|address, images| {
        let referrers = |digest: &str, query: &str| {
            let got = get(address, &format!("/v2/team/app/referrers/{digest}{query}"));
            assert_eq!((got.status, got.header("Content-Type")), (200, OCI_INDEX));
            let index: Index = json::parse(&got.body).expect("an index");
            (index.manifests, got.header("OCI-Filters-Applied").to_owned())
        };
        let subject = images.manifest.descriptor().digest.to_string();
        let (all, filters) = referrers(&subject, "");
        assert_eq!((all.len(), filters.as_str()), (1, ""));
        assert_eq!(all[0].digest, images.signature.descriptor().digest);
        assert_eq!(all[0].artifact_type.as_ref().map(MediaType::as_str), Some(OCI_CONFIG));
        let (some, filters) = referrers(&subject, "?artifactType=a/b");
        assert_eq!((some.len(), filters.as_str()), (0, "artifactType"), "item 119");
        assert!(referrers(&sha256(b"nobody"), "").0.is_empty());
        assert_eq!(get(address, "/v2/team/app/referrers/1").status, 400);
    });
}

#[test]
fn what_changes_at_a_place_shows_at_once() {
    with_images(|address, images| {
        assert_eq!(get(address, "/v2/team/app/manifests/2").status, 404);
        let second = (Name::Tag("2".into()), images.manifest.descriptor().clone());
        Box::new(images.memory.clone()).finish(&[second]).expect("named");
        assert_eq!(get(address, "/v2/team/app/manifests/2").status, 200);
    });
}

type Places = Vec<(Box<str>, Box<dyn Catalog>)>;

fn ailing(images: &Images, which: &Descriptor, how: Ails) -> (Places, Ailing) {
    let place = Ailing::new(&images.memory, which, how);
    (vec![("app".into(), Box::new(place.clone()))], place)
}

/// Everything that comes back until the connection ends.
fn all_of(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = connect(address);
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).expect("it reads");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an end");
    all
}

#[test]
fn item_12_a_damaged_blob_never_arrives_whole_and_is_told() {
    let images = Images::new();
    for how in [Ails::Damaged, Ails::Cut] {
        let (offer, _) = ailing(&images, &images.layer, how);
        let which = &images.layer.digest;
        let warned = serving(&offer, None, &Options::default(), |address| {
            let all = all_of(address, &format!("/v2/app/blobs/{which}"));
            assert!(all.starts_with(b"HTTP/1.1 200") && all.ends_with(b"\r\n\r\n"), "no byte of it: {all:?}");
        });
        assert!(warned.len() == 1 && warned[0].contains(&which.to_string()), "{how:?}: {warned:?}");
    }
}

#[test]
fn item_103_a_blob_that_is_gone_is_not_promised() {
    let images = Images::new();
    let (offer, _) = ailing(&images, &images.layer, Ails::Missing);
    let warned = serving(&offer, None, &Options::default(), |address| {
        let path = format!("/v2/app/blobs/{}", images.layer.digest);
        let mut stream = connect(address);
        for (method, fields) in [("GET", ""), ("HEAD", ""), ("GET", "Range: bytes=2-4\r\n")] {
            let got = ask_on(&mut stream, method, &path, fields);
            assert_eq!((got.status, got.header("ETag")), (404, ""), "{method} {fields}");
            if method == "GET" {
                assert_eq!(got.code(), "BLOB_UNKNOWN");
            }
        }
        assert_eq!(
            ask_on(&mut stream, "GET", "/v2/app/manifests/1", "").status,
            200,
            "the connection goes on"
        );
    });
    assert_eq!(warned, Vec::<String>::new());
    let (offer, _) = ailing(&images, &images.layer, Ails::Unreadable);
    let warned = serving(&offer, None, &Options::default(), |address| {
        let all = all_of(address, &format!("/v2/app/blobs/{}", images.layer.digest));
        assert!(all.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&all));
    });
    assert_eq!(warned.len(), 1, "{warned:?}");
}

#[test]
fn a_damaged_manifest_is_not_offered_and_the_rest_is() {
    let images = Images::new();
    let (offer, _) = ailing(&images, images.index.descriptor(), Ails::Damaged);
    let warned = serving(&offer, None, &Options::default(), |address| {
        assert_eq!(get(address, "/v2/app/manifests/many").status, 404);
        assert_eq!(get(address, "/v2/app/manifests/1").status, 200);
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(get(address, "/v2/app/manifests/many").status, 404);
    });
    assert!(warned.len() == 1 && warned[0].contains("damaged"), "told once: {warned:?}");
}

#[test]
fn what_was_not_there_is_looked_for_again() {
    for how in [Ails::Missing, Ails::Damaged, Ails::Unreadable] {
        let images = Images::new();
        let (offer, place) = ailing(&images, images.manifest.descriptor(), how);
        serving(&offer, None, &Options::default(), |address| {
            assert_eq!(get(address, "/v2/app/manifests/many").status, 200);
            let path = format!("/v2/app/manifests/{}", images.manifest.descriptor().digest);
            assert_eq!(get(address, &path).status, 404, "{how:?}");
            place.mend();
            let end = std::time::Instant::now() + Duration::from_secs(10);
            while get(address, &path).status != 200 {
                assert!(std::time::Instant::now() < end, "{how:?}: it is there by now");
                std::thread::sleep(Duration::from_millis(50));
            }
        });
    }
}
