//! Images that a web server holds as files, through the binary.
//!
//! Two real servers: Python's `http.server`, which knows no ranges, and docker-registry, which gives a blob like any
//! file, under TLS and in ranges.

use std::path::Path;
use testkit::authority::Authority;
use testkit::registry::{Guard, Registry, Wire};
use testkit::slow_link::{Link, Loss, SlowLink};
use testkit::web::Web;
use testkit::{Command, Scratch, orlop, proof, scratch};

/// A folder on the web.
struct Server {
    web: Web,
    authority: Authority,
}

impl Server {
    fn of(folder: &Path) -> Option<Self> {
        let authority = Authority::new()?;
        Some(Self { web: Web::of(folder, &authority)?, authority })
    }

    fn at(&self, path: &str) -> String {
        self.web.at(path)
    }

    fn run(&self, it: &Scratch, words: &[&str]) -> Command {
        orlop().args(words).current_dir(it.root()).env("SSL_CERT_FILE", self.authority.path("root.pem"))
    }
}

/// A tree, an image of it, and the image in every form that a file has.
fn forms() -> Scratch {
    let it = scratch();
    it.folder("tree/sub");
    it.file("tree/sub/a", "content");
    it.file("tree/b", vec![7; 300_000]);
    it.folder("www");
    let run = |words: &[&str]| orlop().args(words).current_dir(it.root()).ok();
    run(&["build", "tree", "oci:www/layout:1", "--progress=none"]);
    for form in ["oci-archive:www/a.oci:1", "docker-archive:www/a.docker:app:1"] {
        run(&["copy", "oci:www/layout:1", form, "--progress=none"]);
    }
    let shell = |line: &str| Command::new("sh").args(["-c", line]).current_dir(it.root()).ok();
    shell(
        "gzip -k www/a.oci && tar --format=posix --owner=0 --group=0 -C tree -cf www/tree.tar . && gzip -k www/tree.tar",
    );
    it
}

fn sha256(file: &Path) -> String {
    let told = Command::new("sha256sum").arg(file).ok().out();
    told.split(' ').next().expect("a digest").to_owned()
}

#[test]
fn archives_and_tars_of_the_web_are_what_they_are_as_files() {
    const PROOF: &str = "web: files of a server without ranges";
    let it = forms();
    let Some(server) = Server::of(&it.path("www")) else {
        return proof::skipped(PROOF, "python3 or openssl is missing");
    };
    let digest = server.run(&it, &["digest", "oci:www/layout:1"]).ok().out();
    let mut cases = 0;
    for (file, tag) in [("a.oci", "#1"), ("a.oci.gz", "#1"), ("a.docker", "#app:1"), ("a.oci", "")] {
        let place = format!("{}{tag}", server.at(file));
        assert_eq!(server.run(&it, &["digest", &place]).ok().out(), digest, "{place}");
        for verb in ["inspect", "ls", "files", "du", "validate"] {
            server.run(&it, &[verb, &place]).ok();
        }
        let pin = format!("--sha256={}", sha256(&it.path("www").join(file)));
        for place in [server.at(file), it.path(&format!("www/{file}")).display().to_string()] {
            let told = server.run(&it, &["digest", "--file", &place]).ok().out();
            assert_eq!(told.trim(), format!("sha256:{}", sha256(&it.path("www").join(file))));
        }
        let target = format!("oci:copied:{cases}");
        server.run(&it, &["copy", &place, &target, &pin, "--progress=none"]).ok();
        assert_eq!(server.run(&it, &["digest", &target]).ok().out(), digest);
        let folder = format!("root{cases}");
        server.run(&it, &["unpack", &place, &folder, "--progress=none"]).ok();
        assert!(it.path(&folder).join("sub/a").exists());
        cases += 1;
    }
    let pinned = format!("{}@{}", server.at("a.oci"), digest.trim());
    assert_eq!(server.run(&it, &["digest", &pinned]).ok().out(), digest);
    for file in ["tree.tar", "tree.tar.gz"] {
        let target = format!("oci:built:{file}");
        server.run(&it, &["build", &server.at(file), &target, "--progress=none"]).ok();
        let same = server.run(&it, &["diff", &target, "oci:www/layout:1"]).run();
        assert!(same.success(), "{}", same.out());
        cases += 1;
    }
    proof::ran(PROOF, cases);
}

#[test]
fn a_layout_of_the_web_is_read_as_one_in_a_folder() {
    const PROOF: &str = "web: a layout of static files";
    let it = forms();
    let Some(server) = Server::of(&it.path("www")) else {
        return proof::skipped(PROOF, "python3 or openssl is missing");
    };
    let place = format!("oci:{}#1", server.at("layout"));
    let digest = server.run(&it, &["digest", "oci:www/layout:1"]).ok().out();
    assert_eq!(server.run(&it, &["digest", &place]).ok().out(), digest);
    server.run(&it, &["validate", &place]).ok();
    server.run(&it, &["copy", &place, "oci:copied:1", "--progress=none"]).ok();
    assert_eq!(server.run(&it, &["digest", "oci:copied:1"]).ok().out(), digest);
    server.run(&it, &["unpack", &place, "root", "--progress=none"]).ok();
    assert!(it.path("root/sub/a").exists());
    let absent = server.run(&it, &["digest", &format!("oci:{}#2", server.at("layout"))]).run();
    assert_eq!(absent.code(), Some(2), "{}", absent.err());
    let nowhere = server.run(&it, &["digest", &format!("oci:{}", server.at("nothing"))]).run();
    assert_eq!(nowhere.code(), Some(5), "{}", nowhere.err());

    server.run(&it, &["lock", &place, "--output=it.lock"]).ok();
    server.run(&it, &["build", "www", "oci:www/layout:1", "--progress=none"]).ok();
    assert_ne!(server.run(&it, &["digest", &place]).ok().out(), digest, "the tag has moved");
    server.run(&it, &["pull", &place, "oci:locked:1", "--locked=it.lock", "--progress=none"]).ok();
    assert_eq!(server.run(&it, &["digest", "oci:locked:1"]).ok().out(), digest);
    proof::ran(PROOF, 7);
}

#[test]
fn a_file_that_is_another_one_is_refused_and_leaves_nothing() {
    const PROOF: &str = "web: bad files are refused";
    let it = forms();
    it.file("www/noise", vec![b'x'; 100_000]);
    // Looks like a wrapped archive, and is damaged soon: that it is another file is what is said.
    let wrapped = std::fs::read(it.path("www/a.oci.gz")).expect("a file");
    let mut damaged = wrapped.clone();
    damaged[200..400].fill(0xff);
    it.file("www/damaged.gz", damaged);
    it.file("www/longer.gz", [&wrapped[..], b"more"].concat());
    let Some(server) = Server::of(&it.path("www")) else {
        return proof::skipped(PROOF, "python3 or openssl is missing");
    };
    let other = format!("--sha256={}", "0".repeat(64));
    for (file, words, code) in [
        ("a.oci", &[&*other][..], 5),
        ("a.oci.gz", &[&other], 5),
        ("damaged.gz", &[&other], 5),
        ("longer.gz", &[&other], 5),
        ("noise", &[&other], 5),
        ("noise", &[], 5),
        ("tree.tar#1", &[], 64),
        ("missing", &[], 2),
    ] {
        let place = server.at(file);
        let told = server.run(&it, &["copy", &place, "oci:new:1", "--progress=none"]).args(words).run();
        assert_eq!(told.code(), Some(code), "{file} {words:?}: {}", told.err());
        let is_named = || told.err().contains(&sha256(&it.path("www").join(file)));
        assert!(words.is_empty() || is_named(), "{file}: {}", told.err());
        assert!(!it.path("new/index.json").exists(), "{file}");
    }
    let told = server.run(&it, &["digest", "oci:www/layout:1", &other]).run();
    assert_eq!(told.code(), Some(64), "{}", told.err());
    let told = server.run(&it, &["digest", "--file", "oci:www/layout:1"]).run();
    assert_eq!(told.code(), Some(64), "a layout is no file: {}", told.err());
    let stranger = orlop().args(["digest", &server.at("a.oci")]).run();
    assert_eq!(stranger.code(), Some(4), "nobody vouches for it: {}", stranger.err());
    proof::ran(PROOF, 11);
}

/// The connection breaks in the middle of the file: the rest is asked for, and every byte comes once.
#[test]
fn a_file_that_breaks_off_is_gone_on_with() {
    const PROOF: &str = "web: a file is gone on with by its range";
    let Some(registry) = Registry::start(Wire::Tls, Guard::Open) else {
        return proof::skipped(PROOF, "docker-registry or openssl is missing");
    };
    let it = scratch();
    it.folder("tree");
    let mut noise = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (noise >> 56) as u8
    })
    .take(12 << 20)
    .collect();
    it.file("tree/noise", bytes);
    let root = registry.root_file().expect("a certificate");
    let run = |words: &[&str]| orlop().args(words).current_dir(it.root()).env("SSL_CERT_FILE", &root);
    run(&["build", "tree", "oci-archive:a.oci:1", "--progress=none"]).ok();
    // The archive itself is a layer, and so a blob of the registry: a file of the web with ranges.
    run(&["build", "--compress=none", "tree", "oci:l:1", "--progress=none"]).ok();
    run(&["push", "oci:l:1", &format!("docker://{}/files:1", registry.host()), "--progress=none"]).ok();
    let layers = run(&["inspect", "--raw", "oci:l:1"]).ok().out();
    let manifest: serde_json::Value = serde_json::from_str(&layers).expect("JSON");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();

    // Slow enough that little is on its way, and lost with it, when the way breaks.
    let bandwidth = Some(16 << 20);
    let loss = Link { bandwidth, loss: Some((10 << 20, Loss::Reset)), losses: 1, ..Link::default() };
    let link = SlowLink::to(&registry.host(), loss);
    let place = format!("https://{}/v2/files/blobs/{digest}", link.host());
    let pin = format!("--sha256={digest}");
    let told = run(&["build", &place, "oci:built:1", &pin, "--progress=json"]).ok();
    assert!(told.err().contains("\"event\":\"retried\""), "{}", told.err());
    let same = run(&["diff", "oci:built:1", "oci:l:1"]).run();
    assert!(same.success(), "{}", same.out());
    // Begun anew, it would be nearly twice as much.
    let whole = 12_u64 << 20;
    assert!(link.carried() > whole && link.carried() < whole + whole / 2, "{} of {whole}", link.carried());
    proof::ran(PROOF, 1);
}
