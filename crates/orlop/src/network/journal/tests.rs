use super::*;
use orlop_spec::wire::Scheme;

fn user() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc"))
}

fn journal(scratch: &testkit::Scratch) -> Folder {
    Folder::new(Some(scratch.path("state/journal")), user())
}

fn site(name: &str) -> Site {
    Site::parse(Scheme::Https, name).expect(name)
}

fn blob(content: &str) -> AnyDigest {
    Digest::of(Algorithm::Sha256, content.as_bytes()).into()
}

fn key(content: &str) -> UploadKey {
    UploadKey { site: site("reg.example"), repository: "app".into(), blob: blob(content) }
}

fn upload(acknowledged: u64) -> Upload {
    let location = Address::parse("https://reg.example/v2/app/blobs/uploads/7?state=x").expect("an address");
    Upload { location, acknowledged, sent: acknowledged + 3 }
}

fn files(scratch: &testkit::Scratch) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scratch.path("state/journal")).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn an_upload_is_remembered_until_it_is_forgotten() {
    let scratch = testkit::scratch();
    journal(&scratch).note_upload(&key("a"), Some(&upload(0)));
    journal(&scratch).note_upload(&key("a"), Some(&upload(7)));
    assert_eq!(journal(&scratch).upload(&key("a")), Some(upload(7)));
    assert_eq!(journal(&scratch).upload(&key("b")), None);
    assert_eq!(journal(&scratch).upload(&UploadKey { repository: "other".into(), ..key("a") }), None);
    let more = Upload { sent: 1 << 40, ..upload(7) };
    let one = journal(&scratch);
    for upload in [upload(7), more.clone(), upload(7), more.clone()] {
        one.note_upload(&key("a"), Some(&upload));
        assert_eq!(journal(&scratch).upload(&key("a")), Some(upload), "written whole, and in place");
    }
    journal(&scratch).note_upload(&key("a"), None);
    assert_eq!(journal(&scratch).upload(&key("a")), None);
    assert!(files(&scratch).is_empty());
}

#[test]
fn only_so_many_uploads_are_remembered() {
    let scratch = testkit::scratch();
    let journal = journal(&scratch);
    for number in 0..MOST_UPLOADS + 20 {
        // The first that is told of an upload is what its first chunk left.
        journal.note_upload(&key(&number.to_string()), Some(&upload(1 << 26)));
        journal.note_upload(&key(&number.to_string()), Some(&upload(2 << 26)));
    }
    assert_eq!(files(&scratch).len(), MOST_UPLOADS);
    assert!(journal.upload(&key(&(MOST_UPLOADS + 19).to_string())).is_some());
}

#[test]
fn the_newest_holders_are_named_first() {
    let scratch = testkit::scratch();
    let first = journal(&scratch);
    for repository in ["a", "b", "c", "d", "e", "a"] {
        first.note_holder(&site("reg.example"), &blob("x"), repository);
    }
    first.note_holder(&site("reg.example"), &blob("y"), "y");
    drop(first);
    let second = journal(&scratch);
    assert_eq!(second.holders(&site("reg.example"), &blob("x")), ["a", "e", "d", "c"].map(Box::from));
    assert_eq!(second.holders(&site("reg.example"), &blob("z")).len(), 0);
    assert_eq!(second.holders(&site("reg.example:5000"), &blob("x")).len(), 0);
}

#[test]
fn runs_at_once_do_not_lose_each_others_holders() {
    let scratch = testkit::scratch();
    let (one, two) = (journal(&scratch), journal(&scratch));
    one.note_holder(&site("reg.example"), &blob("x"), "one");
    two.note_holder(&site("reg.example"), &blob("x"), "two");
    drop(one);
    drop(two);
    assert_eq!(journal(&scratch).holders(&site("reg.example"), &blob("x")), ["two", "one"].map(Box::from));
}

#[test]
fn only_so_many_holders_are_kept_and_the_newest() {
    let scratch = testkit::scratch();
    let first = journal(&scratch);
    for number in 0..MOST_HOLDERS + 100 {
        first.note_holder(&site("reg.example"), &blob(&number.to_string()), "app");
    }
    drop(first);
    let second = journal(&scratch);
    assert!(second.holders(&site("reg.example"), &blob("99")).is_empty());
    assert_eq!(second.holders(&site("reg.example"), &blob("100")).len(), 1);
    let text = std::fs::read_to_string(&files(&scratch)[0]).expect("lines");
    assert_eq!(text.lines().count(), 1 + MOST_HOLDERS);
}

#[test]
fn damaged_files_are_as_if_they_were_not_there() {
    let scratch = testkit::scratch();
    let first = journal(&scratch);
    first.note_upload(&key("a"), Some(&upload(1)));
    first.note_holder(&site("reg.example"), &blob("x"), "app");
    drop(first);
    let whole: Vec<_> =
        files(&scratch).into_iter().map(|path| (std::fs::read(&path).expect("read"), path)).collect();
    for (bytes, path) in &whole {
        let torn = &bytes[..bytes.len() / 2];
        for content in [torn, b"", b"\xff\xfe", b"{\"version\":2}", b"orlop holders 9 x\nx y\n"] {
            std::fs::write(path, content).expect("written");
            let journal = journal(&scratch);
            let (upload, holders) =
                (journal.upload(&key("a")), journal.holders(&site("reg.example"), &blob("x")));
            assert!(upload.is_none() || holders.is_empty(), "{content:?}");
            journal.note_holder(&site("reg.example"), &blob("z"), "new");
        }
        std::fs::write(path, bytes).expect("written");
    }
    let header = holders_header(&site("reg.example"));
    let lines = format!("{header}\n../../etc passwd\n{} ../x\n{} app\nnonsense\n", blob("x"), blob("x"));
    std::fs::write(scratch.path("state/journal").join(holders_name(&site("reg.example"))), lines)
        .expect("written");
    assert_eq!(journal(&scratch).holders(&site("reg.example"), &blob("x")), ["app".into()]);
}

#[test]
fn where_nothing_can_be_written_nothing_is_remembered() {
    let scratch = testkit::scratch();
    let file = scratch.file("file", "");
    for path in [None, Some(file.join("journal"))] {
        let journal = Folder::new(path, user());
        journal.note_upload(&key("a"), Some(&upload(0)));
        journal.note_holder(&site("reg.example"), &blob("x"), "app");
        assert_eq!(journal.upload(&key("a")), None);
        assert_eq!(
            journal.holders(&site("reg.example"), &blob("x")),
            ["app".into()],
            "within the run it is known"
        );
    }
}
