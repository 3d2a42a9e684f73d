use super::*;

fn parse(text: &str) -> Registries {
    Registries::parse(text.as_bytes()).expect(text)
}

fn read(settings: &Registries, name: &str) -> String {
    told(settings, name, Access::Read)
}

/// `place place!`: in order, an exclamation mark where it may be insecure, `@` or `:` where it serves only those.
fn told(settings: &Registries, name: &str, access: Access) -> String {
    let repository = Repository::parse(name).expect(name);
    match settings.find(&repository, access) {
        Ok(None) => "-".into(),
        Ok(Some(Verdict::Blocked(prefix))) => format!("blocked by {prefix}"),
        Err(_) => "!".into(),
        Ok(Some(Verdict::Places(places))) => {
            let mark = |place: &Place| match (place.insecure, place.serves) {
                (true, _) => "!",
                (_, Serves::Digests) => "@",
                (_, Serves::Tags) => ":",
                _ => "",
            };
            let words: Vec<_> =
                places.iter().map(|place| format!("{}{}", place.repository, mark(place))).collect();
            words.join(" ")
        }
    }
}

const FILE: &str = r#"
unqualified-search-registries = ["one.example", "two.example:5000"]

[aliases]
tool = "quay.example/team/tool"

[[registry]]
prefix = "example.com/foo"
location = "inside.example/bar"
[[registry.mirror]]
location = "mirror-0.example/for-foo"
[[registry.mirror]]
location = "mirror-1.example/mirrors/foo"
insecure = true

[[registry]]
location = "registry.example"
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"

[[registry]]
location = "registry.example/closed"
blocked = true

[[registry]]
prefix = "*.wild.example"
insecure = true

[[registry]]
prefix = "a.wild.example"
location = "a.wild.example"

[[registry]]
prefix = "docker.io/library"
location = "hub.example/library"
mirror-by-digest-only = true
[[registry.mirror]]
location = "behind.example/hub"

[[registry]]
location = "host.example:5000"
blocked = true

[[registry]]
prefix = "one.image.example/x:tag"
location = "other.example/x"
"#;

#[test]
fn the_longest_prefix_alone_speaks() {
    let settings = parse(FILE);
    for (name, places) in [
        (
            "example.com/foo/image",
            "mirror-0.example/for-foo/image mirror-1.example/mirrors/foo/image! inside.example/bar/image",
        ),
        ("example.com/foo", "mirror-0.example/for-foo mirror-1.example/mirrors/foo! inside.example/bar"),
        ("example.com/foobar", "-"),
        ("example.com:5000/foo/image", "-"),
        ("registry.example/x", "tags.example/x: digests.example/x@ registry.example/x"),
        ("registry.example/closed/x", "blocked by registry.example/closed"),
        ("x.y.wild.example/i", "x.y.wild.example/i!"),
        ("a.wild.example/i", "a.wild.example/i"),
        ("wild.example/i", "-"),
        ("busybox", "behind.example/hub/busybox@ hub.example/library/busybox"),
        ("me/app", "-"),
        ("host.example:5000/x", "blocked by host.example:5000"),
        ("host.example/x", "-"),
        ("one.image.example/x", "!"),
        ("one.image.example/xy", "-"),
    ] {
        assert_eq!(read(&settings, name), places, "{name}");
    }
}

#[test]
fn writing_goes_to_the_repository_itself() {
    let settings = parse(FILE);
    for (name, places) in [
        ("example.com/foo/image", "example.com/foo/image"),
        ("x.wild.example/i", "x.wild.example/i!"),
        ("registry.example/closed/x", "blocked by registry.example/closed"),
    ] {
        assert_eq!(told(&settings, name, Access::Write), places, "{name}");
    }
}

#[test]
fn a_wildcard_with_a_location_moves_what_is_behind_the_host() {
    let settings = parse("[[registry]]\nprefix = \"*.old.example\"\nlocation = \"new.example/all\"\n");
    assert_eq!(read(&settings, "a.b.old.example/x/y"), "new.example/all/x/y");
}

#[test]
fn a_later_file_replaces_entries_of_its_prefixes() {
    let mut settings = parse(FILE);
    settings.overlay(parse(
        "[aliases]\ntool = \"\"\n[[registry]]\nlocation = \"registry.example\"\n[[registry]]\nlocation = \"new.example\"\ninsecure = true\n",
    ));
    assert_eq!(read(&settings, "registry.example/x"), "registry.example/x");
    assert_eq!(read(&settings, "new.example/x"), "new.example/x!");
    assert_eq!(read(&settings, "registry.example/closed/x"), "blocked by registry.example/closed");
    let meant = |name: &str| {
        let list = settings.qualify(name).expect(name);
        list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(meant("tool"), "one.example/tool two.example:5000/tool");
    settings.overlay(parse("unqualified-search-registries = [\"three.example\"]"));
    assert_eq!(settings.qualify("a/b").expect("a name").len(), 1);
}

#[test]
fn short_names_have_aliases_and_places_to_search() {
    let settings = parse(FILE);
    assert_eq!(settings.qualify("tool").expect("an alias")[0].to_string(), "quay.example/team/tool");
    assert_eq!(settings.qualify("x").expect("hosts").len(), 2);
    assert!(Registries::default().qualify("x").expect("nothing").is_empty());
}

#[test]
fn the_mode_of_short_names_says_whether_hosts_are_tried() {
    for (word, may) in [("enforcing", false), ("permissive", true), ("disabled", true), ("", true)] {
        assert_eq!(parse(&format!("short-name-mode = \"{word}\"")).may_try_hosts(), may, "{word}");
    }
    assert!(Registries::default().may_try_hosts());
    assert!(Registries::parse(b"short-name-mode = \"sometimes\"").is_err());
    let mut settings = parse("short-name-mode = \"enforcing\"");
    settings.overlay(parse("[aliases]"));
    assert!(!settings.may_try_hosts(), "a file that does not speak of it changes nothing");
    settings.overlay(parse("short-name-mode = \"permissive\""));
    assert!(settings.may_try_hosts());
}

#[test]
fn the_first_version_is_three_lists() {
    let settings = parse(
        "[registries.search]\nregistries = ['a.example']\n[registries.insecure]\nregistries = ['b.example']\n[registries.block]\nregistries = ['c.example']\n",
    );
    assert_eq!(read(&settings, "b.example/x"), "b.example/x!");
    assert_eq!(read(&settings, "c.example/x"), "blocked by c.example");
    assert_eq!(settings.qualify("x").expect("a host")[0].to_string(), "a.example/x");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for text in [
        "[[registry]]\n",
        "[[registry]]\nprefix = \"a.example\"\n",
        "[[registry]]\nlocation = \"https://a.example\"\n",
        "[[registry]]\nprefix = \"*.a.example/x\"\n",
        "[[registry]]\nprefix = \"*.a.*.example\"\n",
        "[[registry]]\nlocation = \"a.example\"\ninsecure = \"yes\"\n",
        "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\n",
        "[[registry]]\nlocation = \"a.example\"\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"x\"\n",
        "[[registry]]\nlocation = \"a.example\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"b\"\npull-from-mirror = \"all\"\n",
        "[[registry]]\nlocation = \"a.example\"\ninsecure = true\n[[registry]]\nprefix = \"b.example\"\nlocation = \"a.example\"\n",
        "[[registry]]\nlocation = \"a.example\"\n[registries.block]\nregistries = []\n",
        "unqualified-search-registries = [\"a.example/b\"]\n",
        "[aliases]\n\"a.example/b\" = \"c.example/d\"\n",
        "[aliases]\nb = \"d\"\n",
        "[[registry]\n",
        "\u{feff}[[registry]]\nlocation = \"a\\u0007b\"\n",
    ] {
        assert!(Registries::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Registries::parse(b"a = \"\xff\"").is_err());
    let settings = parse("[[registry]]\nprefix = \"a.example\"\nlocation = \"lone\"\n");
    assert_eq!(read(&settings, "a.example/x"), "!");
}

/// Found by fuzzing: the first entry allowed what the last one forbade, and laying files over each other chose the last.
#[test]
fn a_prefix_has_one_entry() {
    let text = "[[registry]]\nprefix = \"a.example\"\nlocation = \"b.example\"\n\
        [[registry]]\nprefix = \"a.example/\"\nlocation = \"c.example\"\nblocked = true\n";
    assert!(
        matches!(Registries::parse(text.as_bytes()), Err(SettingsError::Twice(prefix)) if &*prefix == "a.example")
    );
}

#[test]
fn an_error_tells_the_line() {
    let error = Registries::parse(b"# one\n\n[[registry]]\nlocation = 7\n").expect_err("no text");
    assert!(error.to_string().starts_with("line 4: "), "{error}");
}
