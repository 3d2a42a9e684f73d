//! Images that are files: of the project, of the disk, and of the web; and what is refused.

use crate::{cases, listing, project, run, write};
use std::fs;
use testkit::authority::Authority;
use testkit::image::sha256;
use testkit::web::Web;
use testkit::{Scratch, proof};

/// One image in every form that a file has, below `folder`.
fn forms(it: &Scratch, folder: &str) {
    cases::machine("x").write(&it.path(&format!("{folder}/layout")));
    for (transport, file) in [("oci-archive", "a.oci"), ("docker-archive", "a.docker")] {
        let target = format!("{transport}:{folder}/{file}:img:v1");
        let target = if transport == "oci-archive" { target.replace(":img:v1", ":v1") } else { target };
        run(it, &["copy", &format!("oci:{folder}/layout:latest"), &target, "--progress=none"]);
    }
}

fn digest_of(it: &Scratch, file: &str) -> String {
    sha256(&fs::read(it.path(file)).expect("a file"))
}

#[test]
fn s3_layouts_and_archives_of_the_project_the_disk_and_the_web_are_built_offline() {
    const PROOF: &str = "buildstream: forms of files";
    let Some(authority) = Authority::new() else { return proof::skipped(PROOF, "openssl is missing") };
    let Some(project) = project(PROOF, "") else { return };
    let project = project.with("SSL_CERT_FILE", &authority.path("root.pem").display().to_string());
    let it = project.folder();
    forms(it, "project/files");
    forms(it, "www");
    cases::foreign().layout.write(&it.path("project/files/foreign"));
    let Some(web) = Web::of(&it.path("www"), &authority) else {
        return proof::skipped(PROOF, "python3 is missing");
    };
    let aliases =
        format!("aliases: {{web: '{}', disk: 'file://{}/'}}\n", web.at(""), it.path("www").display());
    project.write("project.conf", &(project.read("project.conf") + &aliases));
    let image = run(it, &["digest", "oci:www/layout:latest"]);
    let bare = digest_of(it, "www/a.docker").replace("sha256:", "");
    let sources = [
        ("layout", "path: files/layout".to_owned()),
        ("pinned", format!("path: files/layout, ref: '{image}'")),
        ("archive", "path: files/a.oci".to_owned()),
        ("docker", "path: files/a.docker, track: 'img:v1'".to_owned()),
        ("foreign", "path: files/foreign".to_owned()),
        ("web", "url: 'web:a.oci#v1'".to_owned()),
        ("web-docker", format!("url: 'web:a.docker', ref: '{bare}'")),
        ("disk", "url: 'disk:a.oci'".to_owned()),
    ];
    let line = |(name, source): &(&str, String)| {
        format!("- {{kind: oci, {source}, directory: {name}, platform: linux/amd64}}\n")
    };
    let sources_text: String = sources.iter().map(line).collect();
    write(&project, "all.bst", &format!("kind: import\nsources:\n{sources_text}"));
    project.ok(&["source", "track", "all.bst"]);
    let tracked = project.read("elements/all.bst");
    for file in ["www/a.oci", "www/a.docker"] {
        assert!(tracked.contains(digest_of(it, file).trim_start_matches("sha256:")), "{file}: {tracked}");
    }
    project.ok(&["source", "fetch", "all.bst"]);
    drop(web);
    fs::remove_dir_all(it.path("www")).expect("it was ours");
    project.forget_staged();
    project.ok(&["build", "all.bst"]);
    let made = project.artifact("all.bst", "made");
    for (name, _) in &sources {
        let expected = if *name == "foreign" { "a 1" } else { "machine x" };
        assert_eq!(listing(&made.join(name)), [expected], "{name}");
    }
    proof::ran(PROOF, sources.len());
}

#[test]
fn a_path_without_a_ref_follows_what_it_holds_and_one_with_a_ref_does_not() {
    const PROOF: &str = "buildstream: paths that change";
    let Some(project) = project(PROOF, "") else { return };
    let it = project.folder();
    cases::machine("x").write(&it.path("project/img"));
    let digest = run(it, &["digest", "oci:project/img:latest"]);
    let element = |more: &str| {
        format!("kind: import\nsources:\n- {{kind: oci, path: img, platform: linux/amd64{more}}}\n")
    };
    let pin = format!(", ref: '{digest}'");
    let key = |more: &str| {
        write(&project, "img.bst", &element(more));
        project.show("%{full-key}", &["img.bst"])
    };
    let before = key("");
    assert_eq!(key(&pin), before, "the same image has the same key");
    fs::remove_dir_all(it.path("project/img")).expect("it was ours");
    cases::machine("y").write(&it.path("project/img"));
    assert_eq!(key(&pin), before);
    let failed = project.bst(&["source", "fetch", "img.bst"]);
    assert!(!failed.success() && failed.err().contains(&digest), "{failed}");
    assert_ne!(key(""), before);
    assert_eq!(listing(&project.sources("img.bst", "free", &[])), ["machine y"]);
    proof::ran(PROOF, 2);
}

#[test]
fn what_makes_another_tree_makes_another_key_and_nothing_else_does() {
    const PROOF: &str = "buildstream: keys";
    let Some(project) = project(PROOF, "aliases: {reg: 'docker://127.0.0.1:1/'}\n") else { return };
    let digest = "a".repeat(64);
    let key = |words: &str| {
        write(
            &project,
            "x.bst",
            &format!("kind: import\nsources:\n- {{kind: oci, url: 'reg:img', {words}}}\n"),
        );
        project.show("%{full-key}", &["x.bst"])
    };
    let plain = key(&format!("platform: linux/amd64, ref: '{digest}'"));
    for same in [
        format!("platform: linux/amd64, ref: 'sha256:{digest}'"),
        format!("platform: linux/amd64, ref: '{digest}', track: v1"),
    ] {
        assert_eq!(key(&same), plain, "{same}");
    }
    for other in [
        "platform: linux/arm64",
        "platform: linux/amd64, subdir: /usr",
        "platform: linux/amd64, version: '1'",
    ] {
        assert_ne!(key(&format!("{other}, ref: '{digest}'")), plain, "{other}");
    }
    assert_ne!(key(&format!("platform: linux/amd64, ref: '{}'", "b".repeat(64))), plain);
    proof::ran(PROOF, 6);
}

#[test]
fn what_no_source_can_mean_is_refused_with_its_place_in_the_file() {
    const PROOF: &str = "buildstream: refusals";
    let Some(project) = project(PROOF, "aliases: {reg: 'docker://127.0.0.1:1/', bad: 'ftp://x/'}\n") else {
        return;
    };
    project.write("img/oci-layout", "{}");
    project.write("folder/file", "");
    for name in ["x", "y"] {
        cases::machine(name).write(&project.folder().path(name));
        run(
            project.folder(),
            &["copy", &format!("oci:{name}:latest"), &format!("oci:project/two:{name}"), "--progress=none"],
        );
    }
    let cases = [
        ("url: 'reg:img', path: img", "exactly one of"),
        ("track: v1", "exactly one of"),
        ("url: 'reg:img', ref: v1", "is no digest"),
        ("url: 'reg:img:v1'", "the value of 'track'"),
        ("url: 'bad:img'", "names no place"),
        ("url: 'reg:img', registry-url: x", "registry-url"),
        ("path: nowhere", "nowhere"),
        ("path: folder", "no OCI layout"),
        ("path: two", "none was chosen"),
    ];
    for (words, told) in cases {
        write(&project, "x.bst", &format!("kind: import\nsources:\n- {{kind: oci, {words}}}\n"));
        let failed = project.bst(&["show", "x.bst"]);
        assert!(!failed.success(), "{words}: {failed}");
        assert!(failed.err().contains(told) && failed.err().contains("x.bst"), "{words}: {failed}");
        assert!(!failed.err().contains("BUG"), "{words}: {failed}");
    }
    proof::ran(PROOF, cases.len());
}

#[test]
fn only_the_folder_that_is_wanted_is_staged() {
    const PROOF: &str = "buildstream: a folder of an image";
    let Some(project) = project(PROOF, "") else { return };
    let it = project.folder();
    it.folder("tree/usr/share");
    it.file("tree/usr/share/a", "1");
    it.file("tree/b", "2");
    run(it, &["build", "tree", "oci:project/img:v1", "--platform=linux/amd64"]);
    let element = "kind: import\nsources:\n- {kind: oci, path: img, subdir: /usr, directory: in, platform: linux/amd64}\n";
    write(&project, "x.bst", element);
    assert_eq!(listing(&project.sources("x.bst", "staged", &[])), ["in/", "in/share/", "in/share/a 1"]);
    proof::ran(PROOF, 1);
}
