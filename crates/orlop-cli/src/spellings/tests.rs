use super::*;
use std::fs;
use std::path::Path;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn read(line: &str) -> Option<String> {
    let told = translated(&words(line))?;
    Some(told.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}

const PAGE: &str = include_str!("../../../../docs/reference/spellings.md");

/// Rows of the page that begin with another tool's line.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let row = |line: &'static str| line.strip_prefix("| `")?.strip_suffix("` |")?.split_once("` | `");
    PAGE.lines().filter_map(row)
}

#[test]
fn every_word_of_the_tables_stands_in_a_row_of_the_page() {
    let is_typed = |wanted: &dyn Fn(&Head<'_>) -> bool| {
        rows().any(|(typed, _)| Head::of(&words(typed)[1..]).is_some_and(|head| wanted(&head)))
    };
    let has = |head: &Head<'_>, flag: &str| {
        head.before.iter().chain(head.rest).any(|word| flag_name(word) == Some(flag))
    };
    for verb in VERBS {
        assert!(is_typed(&|head| head.typed == verb.theirs.join(" ")), "{:?}", verb.theirs);
    }
    for (flag, _) in BEFORE {
        assert!(is_typed(&|head| has(head, flag)), "{flag}");
    }
    for flag in FLAGS {
        for name in flag.names {
            assert!(is_typed(&|head| head.is_one_of(flag.verbs) && has(head, name)), "{name}");
        }
    }
    for it in INSTEAD {
        let (start, _) = it.hint.split_once(", or ").unwrap_or((it.hint, ""));
        assert!(
            is_typed(&|head| head.is_one_of(it.verbs)
                && (it.words.is_empty() || it.words.iter().any(|flag| has(head, flag)))),
            "{start}"
        );
    }
}

/// The flags of a row's two lines, in any order: that the lines do the same, they are run for.
#[test]
fn a_row_of_the_page_is_what_is_made_of_its_line() {
    let (_, section) = PAGE.split_once("\n## What is understood").expect("the section is there");
    let (section, _) = section.split_once("\n## ").expect("another section follows");
    let plain = |line: &str| {
        let line = ["HOST", "STRANGER", "GUARDED"].iter().fold(line.to_owned(), |line, host| {
            line.replace(host, &format!("{}.example", host.to_lowercase()))
        });
        let (_, rest) = line.split_once(' ').expect("a program");
        format!("orlop {rest}")
    };
    let mut count = 0;
    for (typed, meant) in rows().filter(|(typed, _)| section.contains(&format!("| `{typed}` |"))) {
        let Some(told) = read(&plain(typed)) else { continue };
        let sorted = |line: &str| {
            let line = line.replace('=', " ").replace("oci:new", "ocidir://new");
            let mut words: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
            words.sort();
            words.dedup();
            words
        };
        assert_eq!(sorted(&told), sorted(&plain(meant)), "{typed}");
        count += 1;
    }
    assert!(count > 30, "only {count} rows are translated");
}

/// Every line of ours in the documents, none of which this module may touch.
fn examples(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            examples(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            let text = fs::read_to_string(&path).expect("text");
            let lines = text.lines().flat_map(|line| line.split('`')).filter(|it| it.starts_with("orlop "));
            found.extend(lines.map(|line| {
                line.split(['|', '#', '&', '<', '>', ';']).next().unwrap_or_default().to_owned()
            }));
        }
    }
}

#[test]
fn no_line_of_our_own_in_any_document_becomes_another() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["docs", "contrib"] {
        examples(&root.join(folder), &mut found);
    }
    let readme = fs::read_to_string(root.join("README.md")).expect("text");
    found.extend(
        readme
            .lines()
            .filter(|line| line.starts_with("orlop "))
            .map(|line| line.split(['|', '#', '&']).next().unwrap_or_default().to_owned()),
    );
    found.extend(rows().map(|(_, meant)| meant.to_owned()).filter(|it| it.starts_with("orlop ")));
    assert!(found.len() > 60, "only {} lines were found", found.len());
    for line in found {
        assert_eq!(read(&line), None, "{line}");
    }
}

#[test]
fn our_own_definition_hides_no_flag_that_completions_would_show() {
    let definition = cli::definition();
    for verb in definition.get_subcommands() {
        assert_eq!(verb.get_all_aliases().count(), 0, "{}", verb.get_name());
        assert!(
            verb.get_arguments().all(|it| !it.is_hide_set() && it.get_all_aliases().is_none()),
            "{}",
            verb.get_name()
        );
    }
}

#[test]
fn what_is_behind_two_dashes_is_no_flag() {
    assert_eq!(read("orlop copy -q -- -a b"), Some("orlop copy --progress none -- -a b".into()));
    assert_eq!(read("orlop copy -- -q b"), None);
}

#[test]
fn a_value_of_ours_is_no_flag_of_theirs() {
    assert_eq!(read("orlop cp --policy -q a b"), Some("orlop copy --policy -q a b".into()));
    assert_eq!(
        read("orlop cp --policy=x -q a b").as_deref(),
        Some("orlop copy --policy=x --progress none a b")
    );
}

#[test]
fn a_side_without_a_registry_has_no_certificates_to_check() {
    assert_eq!(read("orlop copy --src-tls-verify=false oci:a:1 docker://h.example/b"), None);
    assert_eq!(read("orlop copy --dest-authfile f docker://h.example/a oci:b:1"), None);
    assert_eq!(
        read("orlop copy --dest-tls-verify=false oci:a:1 docker://h:5000/b").as_deref(),
        Some("orlop copy --insecure h:5000 oci:a:1 docker://h:5000/b")
    );
}

/// `--insecure` is about a host: where both sides have it, both must allow it.
#[test]
fn n1_what_one_side_allows_does_not_hold_for_the_other() {
    let line = |flags: &str| read(&format!("orlop copy {flags} docker://h.example/a docker://h.example/b"));
    assert_eq!(line("--src-tls-verify=false"), None);
    assert!(line("--src-tls-verify=false --dest-tls-verify=false").is_some());
    assert!(
        read("orlop copy --src-tls-verify=false docker://g.example/a docker://h.example/b")
            .is_some_and(|it| !it.contains("--insecure h.example"))
    );
}

#[test]
fn words_that_are_no_text_stay_as_they_are() {
    let odd = OsStr::from_bytes(b"oci:\xff:1").to_os_string();
    let line = [words("orlop cp"), vec![odd.clone(), "oci:b:1".into()]].concat();
    assert_eq!(translated(&line).expect("a verb")[2], odd);
}
