//! What other tools' users type: every row of `docs/reference/spellings.md` is run, and so is skopeo where it is
//! installed.
//!
//! ```text
//! registries   HOST in the clear, GUARDED with a password, STRANGER under TLS: app:1 app:2 several:1
//! a folder     images/ lean/ shared/ app.tar tree.tar auth.json policy.json certs/     anew for every line
//! a line       new, old: repositories of its own; HOME and what is below it
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use testkit::command::orlop_path;
use testkit::image::sha256;
use testkit::registry::{Guard, Registry, Wire};
use testkit::{Command, Finished, Scratch, peer, proof, scratch};

/// The two columns of every row of a section.
fn rows(section: &str) -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/spellings.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let section = page.split("\n## ").find(|it| it.starts_with(section)).expect("the section is there");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |"));
    rows.map(|row| row.split_once("` | `").expect("two columns")).map(|(a, b)| (a.into(), b.into())).collect()
}

/// What rows speak of.
struct World {
    open: Registry,
    guarded: Registry,
    stranger: Registry,
    scratch: Scratch,
}

/// A folder and repositories for one line.
struct Place<'w> {
    world: &'w World,
    name: String,
    folder: PathBuf,
}

impl World {
    fn new() -> Option<Self> {
        let world = Self {
            open: Registry::plain()?,
            guarded: Registry::start(Wire::Clear, Guard::Password)?,
            stranger: Registry::start(Wire::Tls, Guard::Open)?,
            scratch: scratch(),
        };
        world.fill();
        Some(world)
    }

    /// Images in a folder that is copied for every line, and in the registries.
    fn fill(&self) {
        let start = self.place("start");
        for name in ["1", "2", "arm", "plain"] {
            fs::create_dir(start.folder.join(name)).expect("new");
            fs::write(start.folder.join(name).join("file"), name).expect("written");
        }
        start.ok("orlop build 1 oci:images:1 --progress=none --env A=b --entrypoint /file");
        start.ok("orlop build 2 oci:images:2 --progress=none");
        start.ok("orlop build --compress none plain oci:images:plain --progress=none");
        let platforms = "--platform host=1 --platform linux/arm64=2 --platform linux/arm/v7=arm";
        start.ok(&format!("orlop build {platforms} oci:images:several --progress=none --label a=b"));
        start.ok("orlop copy oci:images:1 docker-archive:app.tar:app:1");
        start.ok("orlop copy oci:images:1 tar:tree.tar");
        fs::create_dir(start.folder.join("shared")).expect("new");
        start.ok("orlop copy --shared-blobs shared oci:images:1 oci:lean:1");
        fs::write(start.folder.join("policy.json"), POLICY).expect("written");
        start.ok("orlop login --authfile auth.json GUARDED -u USER -p PASSWORD");
        for (host, flags) in
            [("HOST", ""), ("GUARDED", "--authfile auth.json"), ("STRANGER", "--insecure STRANGER")]
        {
            for (tag, name) in [("1", "app:1"), ("2", "app:2"), ("several", "several:1")] {
                start.ok(&format!("orlop copy {flags} oci:images:{tag} docker://{host}/{name}"));
            }
        }
    }

    /// A place where nobody was.
    fn place(&self, name: &str) -> Place<'_> {
        let folder = self.scratch.folder(&format!("{name}/work"));
        self.scratch.folder(&format!("{name}/home/.config/containers"));
        self.scratch.file(&format!("{name}/home/.config/containers/policy.json"), POLICY);
        Place { world: self, name: name.into(), folder }
    }

    /// A place as every line finds it, and where the line speaks of them, images to remove.
    fn ready(&self, name: &str, line: &str) -> Place<'_> {
        let place = self.place(name);
        Command::new("cp").arg("-rT").args([&self.scratch.path("start/work"), &place.folder]).ok();
        for (host, flags) in [("HOST", ""), ("STRANGER", "--insecure STRANGER")] {
            if line.contains(&format!("{host}/old")) {
                place.ok(&format!("orlop copy {flags} oci:images:1 docker://{host}/old:1"));
            }
        }
        place
    }

    /// What words of rows stand for.
    fn words(&self, name: &str) -> Vec<(&'static str, String)> {
        let creds = self.guarded.creds();
        let (user, password) = creds.split_once(':').expect("two words");
        vec![
            ("GUARDED/new", format!("GUARDED/new-{name}")),
            ("STRANGER/new", format!("STRANGER/new-{name}")),
            ("STRANGER/old", format!("STRANGER/old-{name}")),
            ("HOST/new", format!("HOST/new-{name}")),
            ("HOST/old", format!("HOST/old-{name}")),
            ("GUARDED", self.guarded.host()),
            ("STRANGER", self.stranger.host()),
            ("HOST", self.open.host()),
            // For a shell; there is a space in the password.
            ("USER:PASSWORD", format!("'{user}:{password}'")),
            ("PASSWORD", format!("'{password}'")),
            ("USER", user.into()),
        ]
    }
}

const POLICY: &str = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;

impl Place<'_> {
    /// A line as it stands in a row, with another program in place of its first word.
    fn run(&self, line: &str, program: &str) -> Finished {
        let rest = line.split_once(' ').expect("a program and its words").1;
        let mut line = format!("{program} {rest}");
        for (word, meant) in self.world.words(&self.name) {
            line = line.replace(word, &meant);
        }
        let home = self.folder.parent().expect("a folder above").join("home");
        let path = std::env::var("PATH").unwrap_or_default();
        let beside = orlop_path().parent().expect("a folder").display().to_string();
        Command::new("sh")
            .args(["-c", &line])
            .current_dir(&self.folder)
            .env("PATH", format!("{beside}:{path}"))
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .run()
    }

    fn orlop(&self, line: &str) -> Finished {
        self.run(line, "orlop")
    }

    #[track_caller]
    fn ok(&self, line: &str) -> Finished {
        let done = self.orlop(line);
        assert!(done.success(), "{done}");
        done
    }

    /// The same line with skopeo, which asks for TLS on loopback too unless it is told.
    fn skopeo(&self, line: &str) -> Finished {
        let clear = [&self.world.open, &self.world.guarded];
        let entry = |it: &Registry| format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", it.host());
        let settings = self.folder.join("../home/.config/containers/registries.conf");
        fs::write(settings, clear.map(entry).concat()).expect("written");
        self.run(line, "skopeo")
    }

    /// What is said, in words that are the same in every place.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(&self.folder.display().to_string(), "FOLDER");
        text.replace(&format!("new-{}", self.name), "new").replace(&format!("old-{}", self.name), "old")
    }

    /// Every file of the folder, and what the repositories of the line hold.
    fn left(&self) -> BTreeMap<String, String> {
        let mut left = self.images();
        let list = "find . -type f -exec sha256sum {} +";
        let files = Command::new("sh").args(["-c", list]).current_dir(&self.folder).ok().out();
        for line in files.lines() {
            let (sum, path) = line.split_once("  ").expect("a sum and a path");
            left.insert(path.into(), sum.into());
        }
        left
    }

    /// The digests of all images that a line may have made or left, from the files that hold them.
    fn images(&self) -> BTreeMap<String, String> {
        let mut images = BTreeMap::new();
        let mut note = |place: String, file: PathBuf, digest: fn(Vec<u8>) -> String| {
            if let Ok(bytes) = fs::read(file) {
                images.insert(place, digest(bytes));
            }
        };
        let registries = [
            ("HOST", &self.world.open),
            ("GUARDED", &self.world.guarded),
            ("STRANGER", &self.world.stranger),
        ];
        for (host, registry) in registries {
            for (repository, tag) in [("new", "1"), ("new", "2"), ("old", "1")] {
                let link = format!("{repository}-{}/_manifests/tags/{tag}/current/link", self.name);
                let link = registry.storage().join("docker/registry/v2/repositories").join(link);
                note(format!("{host}/{repository}:{tag}"), link, |link| {
                    String::from_utf8_lossy(&link).into()
                });
            }
        }
        note("oci:new".into(), self.folder.join("new/index.json"), |index| {
            let index: serde_json::Value = serde_json::from_slice(&index).expect("JSON");
            format!(
                "{} {}",
                index["manifests"][0]["digest"],
                index["manifests"].as_array().map_or(0, Vec::len)
            )
        });
        note("dir:exploded".into(), self.folder.join("exploded/manifest.json"), |bytes| sha256(&bytes));
        images
    }
}

const UNDERSTOOD: &str = "spellings: every row that is understood is the row beside it";
const JUDGED: &str = "spellings: skopeo leaves the images that orlop leaves for the same words";

#[test]
fn every_line_that_is_understood_does_what_the_line_beside_it_does() {
    let Some(world) = World::new() else {
        return proof::skipped(UNDERSTOOD, "docker-registry or openssl is missing");
    };
    let rows = rows("What is understood");
    assert!(rows.len() > 40, "only {} rows were found", rows.len());
    // Most of the time of a line is waiting.
    thread::scope(|scope| {
        for lane in 0..LANES {
            let lines = rows.iter().enumerate().skip(lane).step_by(LANES);
            let world = &world;
            scope.spawn(move || lines.for_each(|(at, (typed, meant))| compare(world, at, typed, meant)));
        }
    });
    proof::ran(UNDERSTOOD, rows.len());
    match peer("skopeo") {
        Some(_) => proof::ran(JUDGED, rows.iter().filter(|(typed, _)| typed.starts_with("skopeo ")).count()),
        None => proof::skipped(JUDGED, "skopeo is missing"),
    }
}

const LANES: usize = 4;

/// Runs a row's two lines, and skopeo.
fn compare(world: &World, at: usize, typed: &str, meant: &str) {
    let [one, other] = ["t", "m"].map(|kind| world.ready(&format!("{kind}{at}"), typed));
    let before = one.left();
    let (done, wanted) = (one.orlop(typed), other.orlop(meant));
    assert!(done.success() && wanted.success(), "{typed}\n{done}\n{wanted}");
    assert_eq!(one.plain(&done.out()), other.plain(&wanted.out()), "{typed}");
    assert_eq!(done.err().is_empty(), wanted.err().is_empty(), "{typed}\n{done}\n{wanted}");
    let left = one.left();
    assert_eq!(differing(&left, &other.left()), [""; 0], "{typed}");
    assert!(before != left || !done.out().is_empty(), "{typed} did nothing");
    if typed.starts_with("skopeo ") && peer("skopeo").is_some() {
        judge(&world.ready(&format!("s{at}"), typed), &one, typed, &done);
    }
}

/// skopeo runs the line in a place of its own; what it leaves and tells is compared.
fn judge(place: &Place<'_>, ours: &Place<'_>, typed: &str, done: &Finished) {
    let theirs = place.skopeo(typed);
    assert!(theirs.success(), "{typed}\n{theirs}");
    assert_eq!(place.images(), ours.images(), "{typed}");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    if typed.contains("inspect") && typed.contains("--raw") {
        assert_eq!(theirs.out(), done.out(), "{typed}");
    } else if typed.contains("inspect") {
        assert_eq!(json(&theirs.out()), json(&done.out()), "{typed}");
    } else if typed.contains("list-tags") {
        let mut tags: Vec<_> =
            json(&theirs.out())["Tags"].as_array().expect("a list").iter().map(ToString::to_string).collect();
        tags.sort();
        let ours: Vec<_> = done.out().lines().skip(1).map(|tag| format!("{tag:?}")).collect();
        assert_eq!(tags, ours, "{typed}");
    }
}

/// The places in which two lines left something else.
fn differing(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let places = one.keys().chain(other.keys());
    places.filter(|place| one.get(*place) != other.get(*place)).cloned().collect()
}

const INSTEAD: &str = "spellings: what is not understood is refused with what to type";

#[test]
fn every_other_line_is_refused_and_says_what_to_type_instead() {
    let Some(world) = World::new() else {
        return proof::skipped(INSTEAD, "docker-registry or openssl is missing");
    };
    let place = world.ready("x", "HOST/old");
    let before = place.left();
    let rows = rows("Type this instead");
    assert!(rows.len() > 30, "only {} rows were found", rows.len());
    for (typed, hint) in &rows {
        let done = place.orlop(typed);
        assert_eq!((done.code(), done.out().as_str()), (Some(64), ""), "{typed}\n{done}");
        let said = done.err();
        let said = said.lines().find_map(|line| line.strip_prefix("  hint: "));
        assert!(said.is_some_and(|said| said.contains(hint.as_str())), "{typed}\n{done}");
        let done = place.orlop(&format!("{typed} --format=json"));
        assert!(typed.contains("--format") || done.err().contains("\"hint\":"), "{typed}\n{done}");
    }
    assert_eq!(place.left(), before, "a refused line changes nothing");
    proof::ran(INSTEAD, rows.len());
}

const OTHERWISE: &str =
    "spellings: where the same words give another result, the page says which line gives skopeo's";

#[test]
fn where_the_same_words_give_another_result_the_line_beside_gives_that_of_skopeo() {
    let (Some(world), Some(_)) = (World::new(), peer("skopeo")) else {
        return proof::skipped(OTHERWISE, "docker-registry, openssl or skopeo is missing");
    };
    let rows = rows("The same words");
    assert!(!rows.is_empty());
    for (at, (typed, meant)) in rows.iter().enumerate() {
        let places = ["a", "b", "c"].map(|it| world.ready(&format!("{it}{at}"), typed));
        let [ours, beside, theirs] = &places;
        let done = [ours.orlop(typed), beside.orlop(meant), theirs.skopeo(typed)];
        assert!(done.iter().all(Finished::success), "{typed}\n{}\n{}\n{}", done[0], done[1], done[2]);
        let new = |place: &Place<'_>| place.images()["oci:new"].clone();
        assert_eq!(new(beside), new(theirs), "{typed}");
        assert_ne!(new(ours), new(theirs), "{typed}: there is no difference to tell");
    }
    proof::ran(OTHERWISE, rows.len());
}
