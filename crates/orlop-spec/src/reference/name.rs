//! The grammar of names in a layout's `index.json` (image-spec, `annotations.md`, `org.opencontainers.image.ref.name`).

/// Whether `name` may be written as a tag of a layout.
///
/// ```text
/// ref       ::= ["_"] component ("/" component)*
/// component ::= alphanum (separator alphanum)*
/// alphanum  ::= [A-Za-z0-9]+
/// separator ::= [-._:@+] | "--"
/// ```
///
/// The first `_` is not in the specification of layouts, which recommends: it is in that of registries, and such a tag has a
/// meaning to clients (`_deltaindex`).
pub fn is_ref_name(name: &str) -> bool {
    name.strip_prefix('_').unwrap_or(name).split('/').all(is_component)
}

fn is_component(part: &str) -> bool {
    let mut runs = part.split(|character: char| character.is_ascii_alphanumeric()).peekable();
    let starts = part.starts_with(|first: char| first.is_ascii_alphanumeric());
    let ends = part.ends_with(|last: char| last.is_ascii_alphanumeric());
    starts && ends && runs.all(|run| matches!(run, "" | "-" | "." | "_" | ":" | "@" | "+" | "--"))
}

#[cfg(test)]
mod tests {
    use super::is_ref_name;

    #[test]
    fn item_5_the_grammar_of_ref_names() {
        for good in
            ["v1", "docker.io/library/busybox:1.36", "a--b", "a@b", "A+b", "stable-release", "_deltaindex"]
        {
            assert!(is_ref_name(good), "{good}");
        }
        for bad in [
            "",
            "_",
            "__a",
            "a/_b",
            "/",
            "a/",
            "/a",
            "a b",
            "a---b",
            "a..b",
            "-a",
            "a-",
            "a\nb",
            "caf\u{e9}",
            "a;b",
        ] {
            assert!(!is_ref_name(bad), "{bad}");
        }
    }
}
