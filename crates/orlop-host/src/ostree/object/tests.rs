//! Laws of objects.

use super::*;
use crate::ostree::variant::{Dict, Variant, nul_ended};
use proptest::prelude::*;

fn id(byte: u8) -> ObjectId {
    ObjectId([byte; 32])
}

fn xattrs(pairs: &[(&str, &[u8])]) -> Xattrs {
    pairs.iter().map(|(name, value)| (name.as_bytes().into(), (*value).into())).collect()
}

/// The ids of an empty folder and of its owner, as every repository of OSTree has them.
#[test]
fn an_empty_folder_has_the_id_that_it_has_everywhere() {
    let meta = DirMeta { uid: 0, gid: 0, mode: FOLDER | 0o755, xattrs: Xattrs::new() };
    assert_eq!(
        DirTree::default().id().to_string(),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    assert_eq!(meta.id().to_string(), "446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488");
}

#[test]
fn names_are_plain_sorted_and_come_once() {
    let tree = |files: &[&str], folders: &[&str]| {
        let files = files.iter().map(|name| ((*name).into(), id(1))).collect();
        let folders = folders.iter().map(|name| ((*name).into(), id(2), id(3))).collect();
        DirTree::parse(&DirTree { files, folders }.to_bytes()).map(drop)
    };
    assert_eq!(tree(&["a", "b"], &["aa", "c"]), Ok(()));
    for name in ["", ".", "..", "a/b", "/"] {
        assert_eq!(tree(&[name], &[]), Err(Malformed::Name(name.into())));
        assert_eq!(tree(&[], &[name]), Err(Malformed::Name(name.into())));
    }
    for (files, folders) in
        [(&["b", "a"][..], &[][..]), (&["a", "a"], &[]), (&[], &["b", "a"]), (&["x", "y"], &["a", "y"])]
    {
        assert!(matches!(tree(files, folders), Err(Malformed::Order(_))), "{files:?} {folders:?}");
    }
}

#[test]
fn references_have_32_bytes() {
    let short = Writer::new("(a(say)a(sayay))")
        .push(
            &Writer::new("a(say)").push(&Writer::new("(say)").push(b"a\0").push(&[1; 31]).finish()).finish(),
        )
        .push(&[])
        .finish();
    assert_eq!(DirTree::parse(&short), Err(Malformed::Reference(31)));
}

#[test]
fn modes_say_what_lies_there() {
    let meta = |mode| DirMeta { uid: 0, gid: 0, mode, xattrs: Xattrs::new() };
    assert!(DirMeta::parse(&meta(FOLDER | 0o7777).to_bytes()).is_ok());
    for mode in [REGULAR | 0o755, 0o755, FOLDER | 0o1_000_755] {
        assert_eq!(DirMeta::parse(&meta(mode).to_bytes()), Err(Malformed::Mode(mode)));
    }
    let file = |mode, target: &str| FileHeader {
        uid: 0,
        gid: 0,
        mode,
        target: target.into(),
        xattrs: Xattrs::new(),
    };
    assert!(FileHeader::parse(&file(REGULAR | 0o644, "").to_bytes()).is_ok());
    assert!(FileHeader::parse(&file(LINK | 0o777, "t").to_bytes()).is_ok());
    assert_eq!(FileHeader::parse(&file(FOLDER, "").to_bytes()), Err(Malformed::Mode(FOLDER)));
    assert_eq!(FileHeader::parse(&file(LINK | 0o777, "").to_bytes()), Err(Malformed::Target));
    assert_eq!(FileHeader::parse(&file(REGULAR, "t").to_bytes()), Err(Malformed::Target));
    let linked = &file(LINK | 0o777, "t").to_archived(1)[8..];
    assert_eq!(FileHeader::parse_archived(linked), Err(Malformed::Target));
}

#[test]
fn a_device_is_refused() {
    let number = |value: u32| value.to_be_bytes();
    let device = Writer::new("(uuuusa(ayay))")
        .push(&number(0))
        .push(&number(0))
        .push(&number(REGULAR | 0o644))
        .push(&number(7))
        .push(&nul_ended(""))
        .push(&[])
        .finish();
    assert_eq!(FileHeader::parse(&device), Err(Malformed::Device));
}

#[test]
fn p12_attributes_have_names_and_an_order() {
    let printed = |names: &[&[u8]]| {
        let mut array = Writer::new("a(ayay)");
        for name in names {
            array.push(&Writer::new("(ayay)").push(name).push(b"value").finish());
        }
        let zero = 0u32.to_be_bytes();
        let mode = (FOLDER | 0o755).to_be_bytes();
        DirMeta::parse(
            &Writer::new("(uuua(ayay))").push(&zero).push(&zero).push(&mode).push(&array.finish()).finish(),
        )
    };
    assert!(printed(&[b"user.a\0", b"user.b\0"]).is_ok());
    for wrong in [&[&b"user.b\0"[..], b"user.a\0"][..], &[b"a\0", b"a\0"], &[b"a"], &[b"\0"], &[b"a\0b\0"]] {
        assert_eq!(printed(wrong), Err(Malformed::Xattrs), "{wrong:?}");
    }
}

#[test]
fn a_file_is_hashed_as_it_passes() {
    let header = FileHeader {
        uid: 1,
        gid: 2,
        mode: REGULAR | 0o644,
        target: "".into(),
        xattrs: xattrs(&[("user.a", b"v")]),
    };
    let mut hasher = FileHasher::new(&header);
    hasher.update(b"con");
    hasher.update(b"tent");
    assert_eq!(hasher.finish(), ObjectId::of(&[&header.to_hashed()[..], b"content"].concat()));
    assert_eq!(FileHeader::parse(&header.to_hashed()[8..]).as_ref(), Ok(&header));
    assert_eq!(FileHeader::parse_bare_user(&header.to_bare_user()).as_ref(), Ok(&header));
    assert_eq!(FileHeader::parse_archived(&header.to_archived(7)[8..]), Ok((header, 7)));
}

fn any_xattrs() -> impl Strategy<Value = Xattrs> {
    let value = prop::collection::vec(any::<u8>(), 0..300).prop_map(Box::from);
    prop::collection::btree_map("user\\.[a-z]{1,40}".prop_map(|name| Box::from(name.as_bytes())), value, 0..5)
}

fn any_id() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 32]>().prop_map(ObjectId)
}

fn any_commit() -> impl Strategy<Value = Commit> {
    let metadata =
        prop::collection::vec(("[a-z.]{1,20}", "\\PC{0,300}".prop_map(|text| Variant::string(&text))), 0..6);
    let said = ("\\PC{0,80}", "\\PC{0,300}", any::<u64>());
    (metadata, prop::option::of(any_id()), said, any_id(), any_id()).prop_map(
        |(metadata, parent, (subject, body, time), tree, meta)| {
            let metadata = metadata.into_iter().collect::<Dict>();
            Commit { metadata, parent, related: Vec::new(), subject, body, time, tree, meta }
        },
    )
}

proptest! {
    #[test]
    fn commits_come_back(commit in any_commit()) {
        prop_assert_eq!(Commit::parse(&commit.to_bytes()), Ok(commit));
    }

    #[test]
    fn folders_come_back(
        files in prop::collection::btree_map("[a-m]{1,12}", any_id(), 0..40),
        folders in prop::collection::btree_map("[n-z]{1,12}", (any_id(), any_id()), 0..40),
    ) {
        let files = files.into_iter().map(|(name, id)| (name.into(), id)).collect();
        let folders = folders.into_iter().map(|(name, (tree, meta))| (name.into(), tree, meta)).collect();
        let tree = DirTree { files, folders };
        prop_assert_eq!(DirTree::parse(&tree.to_bytes()), Ok(tree));
    }

    #[test]
    fn headers_come_back(uid: u32, gid: u32, bits in 0u32..=0o7777, xattrs in any_xattrs(), target in "\\PC{1,40}") {
        let file = FileHeader { uid, gid, mode: REGULAR | bits, target: "".into(), xattrs: xattrs.clone() };
        prop_assert_eq!(FileHeader::parse(&file.to_bytes()), Ok(file));
        let link = FileHeader { uid, gid, mode: LINK | bits, target: target.into(), xattrs: xattrs.clone() };
        prop_assert_eq!(FileHeader::parse(&link.to_bytes()), Ok(link));
        let folder = DirMeta { uid, gid, mode: FOLDER | bits, xattrs };
        prop_assert_eq!(DirMeta::parse(&folder.to_bytes()), Ok(folder));
    }

    /// Whatever is changed: what is still an object is printed as it stands.
    #[test]
    fn t6_a_changed_commit_is_refused_or_prints_to_its_bytes(commit in any_commit(), at: prop::sample::Index, to: u8) {
        let mut bytes = commit.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(changed) = Commit::parse(&bytes) {
            prop_assert_eq!(changed.to_bytes(), bytes);
        }
    }
}
