//! What is made of answers that are wrong, strange or late.

use crate::ports::{Near, World};
use orlop_remote::Resolve;
use orlop_spec::network::Serves;
use orlop_spec::port::{Catalog as _, Hints, Name, Selector, Sink as _, Source as _};
use orlop_spec::{Diagnose as _, Digest, Kind, Limits};
use std::io::Read as _;
use testkit::http::{Asked, Reply};
use testkit::shelf_server::ShelfServer;
use testkit::suites::{Sample, describe, read};

/// Puts an image under `app:1.0`.
fn with_image(world: &World, server: &ShelfServer) -> Sample {
    let sample = Sample::new("an image");
    let sink = world.create(&server.app());
    sample.put(&sink);
    Box::new(sink).finish(&[(Name::Tag("1.0".into()), sample.root.clone())]).expect("a whole image");
    server.asked();
    sample
}

fn tagged(tag: &str) -> Selector {
    Selector::Tag(tag.into())
}

fn is_list(asked: &Asked) -> bool {
    asked.path().ends_with("/tags/list")
}

/// The kind of the error of asking for `app:1.0` by both ways.
fn kinds(world: &World, server: &ShelfServer) -> [Option<Kind>; 2] {
    [Resolve::Fetch, Resolve::Look].map(|resolve| {
        let remote = world.open_to(&server.app(), resolve);
        remote.resolve(&tagged("1.0")).err().map(|fault| fault.kind())
    })
}

#[test]
fn a_pull_asks_once_for_the_manifest_and_a_look_never_fetches_it() {
    let (world, server) = (World::default(), ShelfServer::right());
    let sample = with_image(&world, &server);
    let remote = world.open(&server.app());
    let [root] = &remote.resolve(&tagged("1.0")).expect("it is there")[..] else { panic!("one root") };
    assert_eq!(read(&remote, root).expect("it was kept"), sample.blobs[3].1);
    assert_eq!(server.asked(), ["GET /v2/app/manifests/1.0"]);
    let remote = world.open_to(&server.app(), Resolve::Look);
    assert_eq!(remote.resolve(&tagged("1.0")).expect("it is there"), [sample.root]);
    assert_eq!(server.asked(), ["HEAD /v2/app/manifests/1.0"]);
}

#[test]
fn a_head_that_tells_too_little_is_followed_by_a_get() {
    for header in ["Docker-Content-Digest", "Content-Type"] {
        let world = World::default();
        let server = ShelfServer::that(
            move |asked, reply| {
                if asked.method == "HEAD" { reply.without(header) } else { reply }
            },
        );
        let sample = with_image(&world, &server);
        let remote = world.open_to(&server.app(), Resolve::Look);
        assert_eq!(remote.resolve(&tagged("1.0")).expect(header), [sample.root]);
        assert_eq!(server.asked(), ["HEAD /v2/app/manifests/1.0", "GET /v2/app/manifests/1.0"]);
    }
}

#[test]
fn item_202_a_document_that_says_to_be_of_another_type_is_refused() {
    for (said, kind) in [
        ("application/vnd.oci.image.index.v1+json", Some(Kind::Integrity)),
        ("application/vnd.docker.distribution.manifest.v2+json", Some(Kind::Integrity)),
        ("application/json", None),
        ("application/vnd.oci.image.manifest.v1+json; charset=utf-8", None),
    ] {
        let server = ShelfServer::that(move |asked, reply| match asked.method.as_str() {
            "GET" => reply.with("Content-Type", said),
            _ => reply,
        });
        let world = World::default();
        with_image(&world, &server);
        assert_eq!(kinds(&world, &server)[0], kind, "{said}");
    }
}

#[test]
fn item_203_a_document_that_is_not_what_was_asked_for_is_refused() {
    let server = ShelfServer::that(|asked, reply| match asked.method.as_str() {
        "GET" => {
            let body = [reply.body.clone(), b" ".to_vec()].concat();
            reply.without("Docker-Content-Digest").without("Content-Length").body(body)
        }
        _ => reply,
    });
    let world = World::default();
    let sample = with_image(&world, &server);
    let remote = world.open(&server.app());
    let found = remote.resolve(&Selector::Digest(sample.root.digest.clone()));
    assert_eq!(found.map_err(|fault| fault.kind()), Err(Kind::Integrity));
    assert!(read(&remote, &sample.root).is_err());
}

#[test]
fn item_204_a_digest_in_a_header_is_true_or_refused() {
    let other = Digest::of(orlop_spec::Algorithm::Sha256, b"other").to_string();
    for (said, by_tag) in [(other, Kind::Integrity), ("sha256:../..".into(), Kind::Integrity)] {
        let shown = said.clone();
        let server = ShelfServer::that(move |asked, reply| match asked.method.as_str() {
            "GET" | "HEAD" if asked.path().contains("/manifests/") => {
                reply.with("Docker-Content-Digest", said.clone())
            }
            _ => reply,
        });
        let world = World::default();
        let sample = with_image(&world, &server);
        assert_eq!(kinds(&world, &server)[0], Some(by_tag), "{shown}");
        let remote = world.open_to(&server.app(), Resolve::Look);
        let looked = remote.resolve(&Selector::Digest(sample.root.digest.clone()));
        assert_eq!(looked.map_err(|fault| fault.kind()), Err(by_tag), "{shown}");
    }
}

#[test]
fn an_image_of_schema_one_is_refused_by_name() {
    const TYPE: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let server = ShelfServer::that(|asked, reply| match asked.method.as_str() {
        "GET" | "HEAD" => reply.with("Content-Type", TYPE),
        _ => reply,
    });
    let world = World::default();
    with_image(&world, &server);
    for resolve in [Resolve::Fetch, Resolve::Look] {
        let refused = world.open_to(&server.app(), resolve).resolve(&tagged("1.0")).expect_err("schema 1");
        assert!(refused.to_string().contains("schema 1") && refused.hint().is_some(), "{refused}");
    }
}

/// Networks that want one to log in answer everything with a page, and 200.
#[test]
fn a_web_page_is_no_image() {
    let page = |reply: Reply| {
        let reply = reply.without("Docker-Content-Digest").without("Content-Length");
        reply.with("Content-Type", "text/html").body("<html>log in</html>")
    };
    let server = ShelfServer::that(move |asked, reply| match asked.method.as_str() {
        "GET" | "HEAD" => page(reply),
        _ => reply,
    });
    let world = World::default();
    with_image(&world, &server);
    for resolve in [Resolve::Fetch, Resolve::Look] {
        let refused = world.open_to(&server.app(), resolve).resolve(&tagged("1.0")).expect_err("no image");
        assert!(refused.to_string().contains("no document of an image"), "{refused}");
    }
}

#[test]
fn a_tag_that_is_not_there_is_answered_with_near_ones() {
    let (world, server) = (World::default(), ShelfServer::right());
    with_image(&world, &server);
    let absent = world.open(&server.app()).resolve(&tagged("1.1")).expect_err("it is not there");
    assert_eq!(absent.kind(), Kind::NotFound);
    assert_eq!(absent.hint().as_deref(), Some(r#"it has "1.0""#));
}

/// N4.
#[test]
fn item_214_pages_stay_at_their_site_and_end() {
    let elsewhere = ShelfServer::right();
    let foreign = format!("<http://{}/v2/app/tags/list?last=b>; rel=\"next\"", elsewhere.host());
    for (link, kind) in [
        (foreign, Kind::Policy),
        ("</v2/app/tags/list?n=1000>; rel=\"next\"".into(), Kind::Limit),
        ("</v2/app/tags/list?last=z>; rel=\"next\"".into(), Kind::Limit),
    ] {
        let (shown, world) = (link.clone(), World::default());
        let server = ShelfServer::that(
            move |asked, reply| {
                if is_list(asked) { reply.with("Link", link.clone()) } else { reply }
            },
        );
        with_image(&world, &server);
        let listed = world.open(&server.app()).list().map_err(|fault| fault.kind());
        assert_eq!(listed, Err(kind), "{shown}");
        assert!(server.asked().len() < 4, "{shown}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn item_214_a_page_longer_than_any_document_is_not_read() {
    let server =
        ShelfServer::that(
            |asked, reply| {
                if is_list(asked) { Reply::new(200).body(vec![b' '; 64 << 10]) } else { reply }
            },
        );
    let limits = Limits { document: 16 << 10, ..Limits::default() };
    let world = World { limits, ..World::default() };
    with_image(&world, &server);
    let listed = world.open(&server.app()).list().map_err(|fault| fault.kind());
    assert_eq!(listed, Err(Kind::Limit));
}

#[test]
fn what_is_no_tag_is_not_listed() {
    let server = ShelfServer::that(|asked, reply| {
        if is_list(asked) {
            Reply::new(200).body(r#"{"name":"app","tags":["b","../../x","a","","b"]}"#)
        } else {
            reply
        }
    });
    let world = World::default();
    let listed = world.open(&server.app()).list().expect("a list");
    assert_eq!(listed, ["a", "b"].map(|tag| (Name::Tag(tag.into()), None)));
}

#[test]
fn n9_other_places_that_a_manifest_names_are_never_asked() {
    let (trap, server, world) = (ShelfServer::right(), ShelfServer::right(), World::default());
    with_image(&world, &server);
    let mut layer = describe(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        orlop_spec::Algorithm::Sha256,
        b"x",
    );
    layer.urls = vec![format!("http://{}/x", trap.host()).into()];
    let absent = read(&world.open(&server.app()), &layer).expect_err("it is elsewhere");
    assert!(absent.is_absence(), "{absent}");
    assert_eq!(trap.connections(), 0);
}

#[test]
fn n10_of_a_blob_one_byte_more_than_its_size_is_read_and_no_more() {
    let server = ShelfServer::that(|asked, reply| {
        if !asked.path().contains("/blobs/") || asked.method != "GET" {
            return reply;
        }
        let body = [reply.body.clone(), vec![0; 1 << 20]].concat();
        reply.without("Content-Length").body(body)
    });
    let world = World::default();
    let sample = with_image(&world, &server);
    let remote = world.open(&server.app());
    let (layer, content) = &sample.blobs[1];
    assert_eq!(read(&remote, layer).expect("bytes").len(), content.len() + 1);
}

#[test]
fn a_part_that_is_not_the_one_that_was_asked_for_is_refused_and_a_whole_is_cut() {
    for (lies, expected) in [(true, Err(Kind::Integrity)), (false, Ok(b"image".to_vec()))] {
        let server = ShelfServer::that(move |asked, reply| match asked.header("Range") {
            Some(_) if lies => reply.with("Content-Range", "bytes 1-7/8"),
            Some(_) => Reply::new(200).body("an image"),
            None => reply,
        });
        let world = World::default();
        let sample = with_image(&world, &server);
        let remote = world.open(&server.app());
        let origin = remote.origin(&sample.blobs[1].0).expect("costs nothing");
        let mut bytes = Vec::new();
        let read = origin.open(3).map(|mut part| part.read_to_end(&mut bytes).map(|_| bytes));
        let read = read.map_err(|fault| fault.kind()).map(|bytes| bytes.expect("bytes"));
        assert_eq!(read, expected);
    }
}

#[test]
fn mirrors_come_first_and_only_for_what_they_serve() {
    let (mirror, home, gone) = (ShelfServer::right(), ShelfServer::right(), ShelfServer::right());
    let mut world = World::default();
    let sample = with_image(&world, &home);
    let (blob, content) = sample.blobs[0].clone();
    world.create(&mirror.app()).put(&blob, &content, &Hints::default()).expect("a right blob");
    mirror.asked();
    let nobody = gone.host();
    drop(gone);
    world.near =
        Near { mirrors: vec![(nobody, Serves::All), (mirror.host(), Serves::Digests)], ..Near::default() };
    let remote = world.open(&home.app());
    remote.resolve(&tagged("1.0")).expect("home has it");
    sample.check(&remote);
    assert_eq!(home.asked()[0], "GET /v2/app/manifests/1.0");
    let of_mirror = mirror.asked();
    assert!(of_mirror.iter().all(|asked| !asked.ends_with("/1.0")), "{of_mirror:?}");
    assert!(of_mirror.iter().any(|asked| asked.starts_with("GET /v2/app/blobs/")), "{of_mirror:?}");
}

#[test]
fn a_host_that_speaks_no_tls_is_spoken_to_in_the_clear_where_that_is_allowed() {
    let server = ShelfServer::right();
    let sample = with_image(&World::default(), &server);
    let near = Near { under_tls: true, ..Near::default() };
    let world = World { near, ..World::default() };
    let remote = world.open(&server.app());
    assert_eq!(remote.resolve(&tagged("1.0")).expect("it is there"), std::slice::from_ref(&sample.root));
    sample.check(&remote);
}

#[test]
fn item_208_a_tag_of_referrers_that_is_no_index_lists_none() {
    let server = ShelfServer::instead(|asked| asked.path().contains("/referrers/").then(|| Reply::new(404)));
    let world = World::default();
    let sample = with_image(&world, &server);
    let remote = world.open(&server.app());
    assert_eq!(remote.referrers(&sample.root.digest).expect("none is an answer"), []);
    let sink = world.create(&server.app());
    sample.put(&sink);
    let tag = sample.root.digest.to_string().replace(':', "-");
    Box::new(sink).finish(&[(Name::Tag(tag.into()), sample.root.clone())]).expect("a whole image");
    assert_eq!(remote.referrers(&sample.root.digest).expect("none is an answer"), []);
}
