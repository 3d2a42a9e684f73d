//! P1 to P12: paths, links, whiteouts.

use super::{Cases, Expected, Form, Verb, Who, refused, refused_as, tree, tree_or_refused};
use crate::image::{Image, Packing};
use crate::tarball::{Member, NAME, PREFIX, tar};
use orlop_spec::Kind;
use serde_json::json;

pub(super) fn add(cases: &mut Cases<'_>) {
    climbing_names(cases);
    roots_that_are_no_folders(cases);
    metadata_through_links(cases);
    hard_link_targets(cases);
    links_of_lower_layers(cases);
    whiteout_names(cases);
    good_replacements(cases);
    bundles(cases);
    folding_names(cases);
    special_files(cases);
    attributes(cases);
}

fn file(name: impl AsRef<[u8]>, content: &str) -> Member {
    Member::file(name, content)
}

fn climbing_names(cases: &mut Cases<'_>) {
    for (name, path) in [
        ("parent", "../file"),
        ("parent folder", "../"),
        ("only dots", ".."),
        ("back to the root", "a/.."),
        ("through a child", "a/../../file"),
        ("deep", "a/b/c/../../../../file"),
        ("absolute climb", "/../file"),
        ("dot and climb", "./../file"),
        ("doubled slashes", "a//..//..//file"),
        ("far", "../../../../../../../../../../tmp/file"),
    ] {
        cases.layers("P1", name, &[tar([file(path, "pwned")])], &refused());
        cases.layers(
            "P1",
            &format!("{name} in pax"),
            &[tar([pax_path(path), file("x", "pwned")])],
            &refused(),
        );
        let long = [Member::long_name(path.as_bytes()), file("x", "pwned")];
        cases.layers("P1", &format!("{name} in a long name"), &[tar(long)], &refused());
    }
    let split = Member::file("x", "pwned").set(NAME, "../file").set(PREFIX, "a/..");
    cases.layers("P1", "in the prefix", &[tar([split])], &refused());
    let inside = format!("{}/file", cases.canary);
    let mut lines: Vec<String> = Vec::new();
    let mut path = String::new();
    for part in inside.trim_start_matches('/').split('/') {
        path = if path.is_empty() { part.to_owned() } else { format!("{path}/{part}") };
        lines.push(if path.len() + 1 == inside.len() { format!("{path}=in") } else { format!("{path}/") });
    }
    cases.layers(
        "P1",
        "an absolute path stays inside",
        &[tar([file(&inside, "in")])],
        &Expected::Tree(lines),
    );
    let spelled = ["./a", "b//c", "d/./e", "/f", "....", "g../..h"].map(|path| file(path, "1"));
    let lines = ["....=1", "a=1", "b/", "b/c=1", "d/", "d/e=1", "f=1", "g../", "g../..h=1"];
    cases.layers("P1", "odd but honest", &[tar(spelled)], &tree(&lines));
}

fn pax_path(path: &str) -> Member {
    Member::pax(&[(b"path", path.as_bytes())])
}

/// CVE-2021-29136: a layer that makes the root a link to elsewhere.
fn roots_that_are_no_folders(cases: &mut Cases<'_>) {
    for (name, path) in [("dot", "."), ("dot slash", "./"), ("slash", "/")] {
        let link = Member::symlink(path, cases.canary);
        cases.layers(
            "P1",
            &format!("{name} as a link"),
            &[tar([link.clone(), file("file", "pwned")])],
            &refused(),
        );
        cases.layers(
            "P1",
            &format!("{name} as a link above"),
            &[tar([file("a", "1")]), tar([link])],
            &refused(),
        );
        cases.layers("P1", &format!("{name} as a file"), &[tar([file(path, "x")])], &tree_or_refused(&[]));
        cases.layers("P1", &format!("{name} as a fifo"), &[tar([Member::fifo(path)])], &refused());
        let hard = Member::hard_link(path, "a");
        cases.layers("P1", &format!("{name} as a hard link"), &[tar([file("a", "1"), hard])], &refused());
    }
    cases.layers(
        "P1",
        "a whiteout of the root",
        &[tar([file("a", "1")]), tar([file("./.wh..", "")])],
        &refused(),
    );
}

/// CVE-2026-33056, CVE-2021-32760: owner, mode and times set through a link.
fn metadata_through_links(cases: &mut Cases<'_>) {
    let canary = cases.canary.to_owned();
    let folder = || Member::symlink("l", &canary);
    let target = format!("{canary}/file");
    let leaf = || Member::symlink("l", &target);
    let shown = format!("l -> {target}");
    for (name, members, lines) in [
        ("a folder over a link", vec![folder(), Member::folder("l/").mode(0o777)], ["l/"].as_slice()),
        ("a file over a link", vec![leaf(), file("l", "new").mode(0o666)], &["l=new"]),
        ("a fifo over a link", vec![leaf(), Member::fifo("l").mode(0o666)], &["l|"]),
        ("a link over a link", vec![leaf(), Member::symlink("l", "inside")], &["l -> inside"]),
        ("a hard link of a link", vec![leaf(), Member::hard_link("m", "l").mode(0o777)], &[&shown, "m == l"]),
    ] {
        cases.layers("P2", &format!("{name}, one layer"), &[tar(members.clone())], &tree_or_refused(lines));
        let (lower, upper) = members.split_at(1);
        let layers = [tar(lower.to_vec()), tar(upper.to_vec())];
        cases.layers("P2", &format!("{name}, two layers"), &layers, &tree(lines));
    }
    let attribute = Member::pax(&[(b"SCHILY.xattr.user.pwned", b"1")]);
    let members = [leaf(), attribute, Member::symlink("l", &target)];
    cases.layers("P2", "an attribute through a link", &[tar(members)], &Expected::Safe);
}

/// CVE-2018-20990, CVE-2021-38511.
fn hard_link_targets(cases: &mut Cases<'_>) {
    let canary = cases.canary.to_owned();
    for (name, target) in [
        ("absolute", format!("{canary}/file")),
        ("climbing", "../canary/file".into()),
        ("climbing far", format!("../../../../../../..{canary}/file")),
        ("missing", "nothing".into()),
        ("the root", ".".into()),
        ("empty", String::new()),
    ] {
        cases.layers("P3", &format!("target {name}"), &[tar([Member::hard_link("h", &target)])], &refused());
        let upper = [tar([file("a", "1")]), tar([Member::hard_link("h", &target)])];
        cases.layers("P3", &format!("target {name}, above"), &upper, &refused());
    }
    let through = [Member::symlink("d", &canary), Member::hard_link("h", "d/file")];
    cases.layers("P3", "through a link to elsewhere", &[tar(through.clone())], &refused());
    let [link, hard] = through;
    cases.layers("P3", "through a lower link to elsewhere", &[tar([link]), tar([hard])], &refused());
    let folder = [Member::folder("d/"), Member::hard_link("h", "d")];
    cases.layers("P3", "to a folder", &[tar(folder)], &refused());
    let itself = [Member::hard_link("h", "h")];
    cases.layers("P3", "to itself", &[tar(itself)], &refused());
    let symlink = [Member::symlink("s", "x"), Member::hard_link("h", "s")];
    cases.layers("P3", "to a symbolic link is kept", &[tar(symlink)], &tree(&["h -> x", "s == h"]));
    let chain = [file("a", "1"), Member::hard_link("b", "a"), Member::hard_link("c", "b")];
    cases.layers("P3", "a chain is one file", &[tar(chain)], &tree(&["a=1", "b == a", "c == a"]));
    let lower = [tar([file("a", "1")]), tar([Member::hard_link("b", "a")])];
    cases.layers("P3", "to a lower layer", &lower, &tree(&["a=1", "b == a"]));
    let dots = [file("a", "1"), Member::hard_link("b", "./a"), Member::hard_link("c", "/a")];
    cases.layers("P3", "odd spellings", &[tar(dots)], &tree(&["a=1", "b == a", "c == a"]));
}

fn links_of_lower_layers(cases: &mut Cases<'_>) {
    let canary = cases.canary.to_owned();
    for (name, target) in
        [("absolute", canary.clone()), ("climbing", format!("../../../../../../../..{canary}"))]
    {
        let lower = Member::symlink("d", &target);
        let upper = file("d/planted", "pwned");
        cases.layers(
            "P4",
            &format!("{name}, above"),
            &[tar([lower.clone()]), tar([upper.clone()])],
            &Expected::Safe,
        );
        cases.layers("P4", &format!("{name}, same layer"), &[tar([lower.clone(), upper])], &Expected::Safe);
        let replaced = [tar([lower.clone()]), tar([Member::folder("d/"), file("d/f", "1")])];
        cases.layers("P4", &format!("{name}, replaced by a folder"), &replaced, &tree(&["d/", "d/f=1"]));
        let removed = [tar([lower]), tar([file(".wh.d", "")]), tar([file("d/f", "1")])];
        cases.layers("P4", &format!("{name}, removed first"), &removed, &tree(&["d/", "d/f=1"]));
    }
    let usr = [Member::folder("usr/"), Member::folder("usr/lib/"), Member::symlink("lib", "usr/lib")];
    let lines = ["lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x=1"];
    cases.layers(
        "P4",
        "a link inside the root is followed",
        &[tar(usr), tar([file("lib/x", "1")])],
        &tree(&lines),
    );
    let round = [Member::symlink("a", "b"), Member::symlink("b", "a")];
    cases.layers("P4", "a round of links", &[tar(round), tar([file("a/x", "1")])], &refused());
    let chain: Vec<_> = (0..60).map(|n| Member::symlink(format!("l{n}"), format!("l{}", n + 1))).collect();
    let end = [Member::folder("l60/")];
    let layers = [tar(chain.into_iter().chain(end)), tar([file("l0/x", "1")])];
    cases.layers("P4", "sixty links", &layers, &refused_as(&[Kind::Integrity, Kind::Limit]));
    let through_file = [tar([file("a", "1")]), tar([file("a/x", "2")])];
    cases.layers("P4", "a file as a parent", &through_file, &tree_or_refused(&["a/", "a/x=2"]));
}

fn whiteout_names(cases: &mut Cases<'_>) {
    let lower = || tar([Member::folder("d/"), file("d/f", "1"), file("g", "2")]);
    for (name, path) in [
        ("nothing", ".wh."),
        ("dot", ".wh.."),
        ("dots", ".wh..."),
        ("nothing below", "d/.wh."),
        ("dots below", "d/.wh..."),
    ] {
        cases.layers("P5", name, &[lower(), tar([file(path, "")])], &refused());
    }
    cases.layers("P5", "a whiteout as a parent", &[lower(), tar([file(".wh.d/f", "x")])], &refused());
    for (name, path) in
        [("reserved", ".wh..wh.x"), ("aufs", ".wh..wh.plnk"), ("opaque below reserved", ".wh..wh..opq/x")]
    {
        cases.layers("P5", name, &[lower(), tar([file(path, "")])], &Expected::Safe);
    }
    let canary = cases.canary.to_owned();
    let link = || tar([Member::symlink("d", &canary)]);
    cases.layers("P5", "through a link", &[link(), tar([file("d/.wh.file", "")])], &Expected::Safe);
    cases.layers(
        "P5",
        "opaque through a link",
        &[link(), tar([file("d/.wh..wh..opq", "")])],
        &Expected::Safe,
    );
    cases.layers("P5", "of a link", &[link(), tar([file(".wh.d", "")])], &tree(&[]));
    for (name, member) in [
        ("as a folder", Member::folder(".wh.g/")),
        ("as a link", Member::symlink(".wh.g", &canary)),
        ("as a fifo", Member::fifo(".wh.g")),
        ("with content", file(".wh.g", "content")),
    ] {
        cases.layers("P5", name, &[lower(), tar([member])], &tree_or_refused(&["d/", "d/f=1"]));
    }
    cases.layers(
        "P5",
        "a hard link to a whiteout",
        &[lower(), tar([file(".wh.g", ""), Member::hard_link("h", ".wh.g")])],
        &refused(),
    );
    let doubled = tar([file(".wh.g", ""), file(".wh.g", "")]);
    cases.layers("P5", "twice", &[lower(), doubled], &tree(&["d/", "d/f=1"]));
}

fn good_replacements(cases: &mut Cases<'_>) {
    let kinds: [(&str, Vec<Member>, &[&str]); 4] = [
        ("file", vec![file("x", "1")], &["x=1"]),
        ("folder", vec![Member::folder("x/"), file("x/in", "2")], &["x/", "x/in=2"]),
        ("link", vec![Member::symlink("x", "/nowhere")], &["x -> /nowhere"]),
        ("fifo", vec![Member::fifo("x")], &["x|"]),
    ];
    for (old, lower, _) in &kinds {
        for (new, upper, lines) in kinds.iter().filter(|(new, ..)| new != old) {
            let layers = [tar(lower.clone()), tar(upper.clone())];
            cases.layers("P6", &format!("{old} becomes {new}"), &layers, &tree(lines));
        }
    }
}

/// P7, P8, J6: files and fields that a bundle reads.
fn bundles(cases: &mut Cases<'_>) {
    let canary = cases.canary.to_owned();
    let user = |name: &str| {
        let name = name.to_owned();
        move |mut config: serde_json::Value| {
            config["config"]["User"] = json!(name);
            config
        }
    };
    for (name, passwd) in [
        ("a link out", Member::symlink("etc/passwd", format!("{canary}/passwd"))),
        ("a climbing link", Member::symlink("etc/passwd", format!("../../../../../..{canary}/passwd"))),
        ("an endless device", Member::symlink("etc/passwd", "/dev/zero")),
        ("a fifo", Member::fifo("etc/passwd")),
        ("a folder", Member::folder("etc/passwd/")),
        ("missing", Member::folder("etc/")),
        ("very long", Member::file("etc/passwd", vec![b'x'; 40 << 20])),
    ] {
        let image = Image::of(&[tar([passwd])], Packing::Gzip).config(user("app"));
        let kinds = [Kind::Other, Kind::NotFound, Kind::Integrity, Kind::Limit];
        let form = Form::Layout(image.layout());
        cases.push("P7", name, Verb::Bundle, form, &refused_as(&kinds), Who::Anyone);
    }
    for id in
        ["4294967296", "-1", "0x0", " 0", "2147483648", "0:4294967295", "1:-1", "99999999999999999999", "0 "]
    {
        let form = Form::Layout(Image::of(&[tar([file("a", "1")])], Packing::Gzip).config(user(id)).layout());
        let kinds = [Kind::Other, Kind::NotFound, Kind::Integrity, Kind::Limit, Kind::Policy];
        cases.push("J6", &format!("user {id:?}"), Verb::Bundle, form, &refused_as(&kinds), Who::Anyone);
    }
    for (number, path) in
        ["../../../../x", "/../../x", "/l/x", "/proc/self/fd/7", "//", "a\0b", ""].into_iter().enumerate()
    {
        let layers = [tar([Member::symlink("l", &canary)])];
        let image = Image::of(&layers, Packing::Gzip).config(move |mut config| {
            config["config"]["Volumes"] = json!({ path: {} });
            config["config"]["WorkingDir"] = json!(path);
            config
        });
        cases.push(
            "P8",
            &format!("path {number}"),
            Verb::Bundle,
            Form::Layout(image.layout()),
            &Expected::Safe,
            Who::Anyone,
        );
    }
}

fn folding_names(cases: &mut Cases<'_>) {
    let both = tar([file("A", "1"), file("a", "2"), file("e\u{301}", "3"), file("\u{e9}", "4")]);
    let lines = ["A=1", "a=2", r"e\xcc\x81=3", r"\xc3\xa9=4"];
    cases.layers("P9", "names that fold stay apart", &[both], &tree(&lines));
    let layers = [tar([file("A", "1")]), tar([file(".wh.a", "")])];
    cases.layers("P9", "a whiteout does not fold", &layers, &tree(&["A=1"]));
}

fn special_files(cases: &mut Cases<'_>) {
    let over = |lower: Member| [tar([lower]), tar([file("x", "new")])];
    cases.layers("P10", "a file over a fifo", &over(Member::fifo("x")), &tree(&["x=new"]));
    cases.layers(
        "P10",
        "a file over a fifo, one layer",
        &[tar([Member::fifo("x"), file("x", "new")])],
        &tree_or_refused(&["x=new"]),
    );
    cases.layers("P10", "a file over a device", &over(Member::device(b'3', "x", 1, 8)), &tree(&["x=new"]));
    cases.layers("P10", "a device", &[tar([Member::device(b'4', "x", 8, 0)])], &Expected::Safe);
    let device = [Member::device(b'3', "c", 1, 3), Member::device(b'4', "b", 7, 0), file("f", "1")];
    cases.root_layers("P10", "devices are made by root", &[tar(device)], &tree(&["b b", "c c", "f=1"]));
    let large = Member::device(b'3', "c", 0, 0).base256(crate::tarball::MAJOR, 1 << 40);
    cases.layers("P10", "a device number beyond 32 bits", &[tar([large])], &refused());
    let setuid = file("s", "1").mode(0o6755).owner(1000, 1000);
    cases.root_layers("P10", "setuid survives the change of owner", &[tar([setuid])], &tree(&["s=1 6000"]));
}

fn attributes(cases: &mut Cases<'_>) {
    let with = |name: &str, value: &[u8]| {
        let key = format!("SCHILY.xattr.{name}");
        tar([Member::pax(&[(key.as_bytes(), value)]), file("f", "1")])
    };
    for name in [
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "trusted.overlay.metacopy",
        "trusted.overlay.origin",
        "user.overlay.opaque",
        "user.overlay.redirect",
        "user.overlay.whiteout",
        "trusted.overlay.overlay.opaque",
    ] {
        cases.layers("P11", name, &[with(name, b"y")], &tree_or_refused(&["f=1"]));
    }
    for (name, value) in [
        ("empty", b"".as_slice()),
        ("short", b"\0\0\0"),
        ("unknown revision", b"\0\0\0\x09aaaaaaaaaaaaaaaa"),
        ("too long", &[2_u8; 200]),
    ] {
        cases.layers("P12", &format!("capability {name}"), &[with("security.capability", value)], &refused());
    }
    cases.layers("P12", "64 KiB", &[with("user.big", &vec![b'v'; 65536])], &Expected::Safe);
    cases.layers("P12", "beyond 64 KiB", &[with("user.big", &vec![b'v'; 65537])], &Expected::Safe);
    cases.layers(
        "P12",
        "a name of 300 bytes",
        &[with(&format!("user.{}", "n".repeat(295)), b"v")],
        &Expected::Safe,
    );
    cases.layers("P12", "no name", &[with("", b"v")], &Expected::Safe);
    cases.layers("P12", "an unknown space", &[with("made.up", b"v")], &Expected::Safe);
    let many: Vec<_> = (0..2000).map(|n| (format!("SCHILY.xattr.user.{n}"), b"v")).collect();
    let records: Vec<_> = many.iter().map(|(key, value)| (key.as_bytes(), value.as_slice())).collect();
    cases.layers("P12", "two thousand", &[tar([Member::pax(&records), file("f", "1")])], &Expected::Safe);
    cases.layers("P12", "one honest", &[with("user.a", b"b")], &tree(&["f=1 user.a=b"]));
}
