//! Images leave as they came, and have their layers once.

use crate::world::*;
use orlop_host::ostree::escape::IMAGES;
use orlop_host::ostree::kept::{Kept, KeptSink};
use orlop_host::ostree::layers::known::Known;
use orlop_host::ostree::repo::{Mode, Repo};
use orlop_layer::Codec;
use orlop_spec::digest::{Algorithm, DiffId, Digest};
use orlop_spec::media_type::{MediaType, OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST};
use orlop_spec::port::{Catalog, Depth, Name, Put, Result, Sink, Source};
use orlop_spec::{Descriptor, Index, Kind, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use testkit::suites::{self, Again, Holds, Place, describe, read};
use testkit::tarball::{Member, tar};
use testkit::{Scratch, proof, scratch};

struct InRepo(Scratch, Mode);

impl Place for InRepo {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(KeptSink::new(repo(&self.0.path("r"), self.1), NAME, cx())?))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(Kept::open(Repo::open(&self.0.path("r"), &LIMITS)?, NAME, ONE)?))
    }

    fn holds(&self) -> Holds {
        Holds::One
    }

    fn again(&self) -> Again {
        Again::Replaces
    }
}

#[test]
fn kept_images_keep_the_laws_of_the_ports() {
    let mut laws = 0;
    for mode in [Mode::Archive, Mode::BareUserOnly] {
        let fresh = || -> Box<dyn Place> { Box::new(InRepo(scratch(), mode)) };
        laws += suites::source(&fresh) + suites::sink(&fresh);
    }
    proof::ran("ports: image kept by OSTree", laws);
}

/// Whoever says what a layer is by another algorithm says nothing that was proven.
#[test]
fn a_kept_layer_is_known_by_an_id_of_its_own_algorithm_alone() {
    let (place, layer) = (scratch(), base());
    let image = image(&[&layer], Codec::GZIP);
    image.keep(sink(&place.path("r"), Mode::Archive, NAME));
    let repo = Repo::open(&place.path("r"), &LIMITS).expect("there");
    for (algorithm, known) in [(Algorithm::Sha256, 1), (Algorithm::Sha512, 0)] {
        for bytes in [&layer[..], b"another"] {
            let said = [(image.blobs[0].0.digest.clone(), DiffId(Digest::of(algorithm, bytes)))];
            match Known::of(&repo, &said, &cx()) {
                Ok(mut found) => assert_eq!(found.take_trees().len(), known, "{algorithm:?}"),
                Err(fault) => assert_eq!((known, fault.kind(), bytes), (1, Kind::Integrity, &b"another"[..])),
            }
        }
    }
}

#[test]
fn an_image_leaves_with_the_digests_that_it_came_with() {
    let layers = [&base()[..], &upper()[..]];
    let by_others = layers.map(|layer| {
        let blob = testkit::image::gzip(layer);
        (describe(OCI_LAYER_GZIP, Algorithm::Sha256, &blob), blob)
    });
    for mode in modes() {
        for image in
            [image(&layers, Codec::None), image(&layers, Codec::GZIP), of_blobs(&layers, by_others.to_vec())]
        {
            let place = scratch();
            image.keep(sink(&place.path("r"), mode, NAME));
            image.comes_back(&kept(&place.path("r"), NAME));
        }
    }
}

#[test]
fn what_our_codec_made_is_not_kept_twice() {
    let layers = [&base()[..]];
    let whole = |image: &Image| {
        let place = scratch();
        image.keep(sink(&place.path("r"), Mode::Archive, NAME));
        refs(&place.path("r")).into_iter().filter(|name| name.starts_with("orlop/blob/")).count()
    };
    assert_eq!(whole(&image(&layers, Codec::None)), 0);
    assert_eq!(whole(&image(&layers, Codec::GZIP)), 0);
    let foreign = testkit::image::gzip(layers[0]);
    let blob = describe(OCI_LAYER_GZIP, Algorithm::Sha256, &foreign);
    assert_eq!(whole(&of_blobs(&layers, vec![(blob, foreign)])), 1);
}

#[test]
fn layers_of_a_base_are_kept_once_whatever_their_compression() {
    let (place, base, upper) = (scratch(), base(), upper());
    let r = place.path("r");
    let first = image(&[&base], Codec::None).keep(sink(&r, Mode::Archive, "a:1"));
    assert_eq!(first[0], Put::Copied);
    let second = image(&[&base, &upper], Codec::None);
    assert_eq!(second.keep(sink(&r, Mode::Archive, "b:1"))[..2], [Put::Held, Put::Copied]);
    let before = objects(&r);
    let packed = image(&[&base], Codec::GZIP);
    assert_eq!(packed.keep(sink(&r, Mode::Archive, "c:1"))[0], Put::Copied);
    // The note of the blob, and the commit of the image.
    assert_eq!(objects(&r), before + 2);
    packed.comes_back(&kept(&r, "c:1"));
    second.comes_back(&kept(&r, "b:1"));
}

fn objects(repo: &Path) -> usize {
    let folders = repo.join("objects").read_dir().expect("a folder").flatten();
    folders.map(|folder| folder.path().read_dir().expect("a folder").count()).sum()
}

#[test]
fn an_index_is_kept_with_what_is_here_of_it() {
    let other = tar([Member::file("other", "of another machine")]);
    let (one, two) = (image(&[&base()], Codec::GZIP), image(&[&other], Codec::None));
    let absent = describe(OCI_MANIFEST, Algorithm::Sha256, b"{\"of\":\"another machine\"}");
    let index = json::print(&Index::new(vec![one.root.clone(), absent.clone(), two.root.clone()]));
    let root = describe(OCI_INDEX, Algorithm::Sha256, &index);
    let mut blobs = [one.blobs, two.blobs].concat();
    blobs.push((root.clone(), index));
    let all = Image { root, blobs };
    let place = scratch();
    all.keep(sink(&place.path("r"), Mode::Archive, NAME));
    let kept = kept(&place.path("r"), NAME);
    all.comes_back(&kept);
    assert!(read(&kept, &absent).is_err());
    let tree = Repo::open(&place.path("r"), &LIMITS).expect("there");
    let commit = tree.commit(
        &tree.resolve("ostree/container/image/docker_3A__2F__2F_h_2E_example/a__b/c_3A_1").expect("a ref"),
    );
    let folders = tree.dirtree(&commit.expect("a commit").tree).expect("a tree").folders;
    let mut names = [one.root, two.root].map(|root| root.digest.encoded());
    names.sort();
    assert_eq!(folders.iter().map(|(name, ..)| &**name).collect::<Vec<_>>(), names);
}

/// What was left out before is not taken for there.
#[test]
fn an_index_that_was_kept_in_part_is_not_held() {
    let other = tar([Member::file("other", "of another machine")]);
    let (one, two) = (image(&[&base()], Codec::None), image(&[&other], Codec::None));
    let index = json::print(&Index::new(vec![one.root.clone(), two.root.clone()]));
    let root = describe(OCI_INDEX, Algorithm::Sha256, &index);
    let place = scratch();
    let r = place.path("r");
    let has = || {
        let sink = sink(&r, Mode::Archive, NAME);
        sink.has(&Name::Untagged, &root, Depth::default()).expect("readable")
    };
    let part = Image { root: root.clone(), blobs: [one.blobs, vec![(root.clone(), index.clone())]].concat() };
    part.keep(sink(&r, Mode::Archive, NAME));
    assert!(!has());
    let all = Image { root: root.clone(), blobs: [part.blobs, two.blobs].concat() };
    all.keep(sink(&r, Mode::Archive, NAME));
    assert!(has());
}

#[test]
fn an_image_is_found_by_its_digest_whichever_ref_leads_to_it() {
    let place = scratch();
    let (r, image) = (place.path("r"), image(&[&base()], Codec::GZIP));
    image.keep(sink(&r, Mode::Archive, NAME));
    let repo = Repo::open(&r, &LIMITS).expect("there");
    let by_name =
        repo.refs().expect("readable").into_iter().find(|(spec, _)| spec.name.beneath(IMAGES).is_some());
    let (spec, commit) = by_name.expect("kept");
    let transaction = repo.begin(&cx()).expect("it begins");
    transaction.set_ref(&"os/stable".parse().expect("a ref"), Some(&commit));
    transaction.set_ref(&spec, None);
    transaction.finish().expect("it ends");
    image.comes_back(&kept(&r, &image.root.digest.to_string()));
    let other = Digest::of(Algorithm::Sha256, b"another").to_string();
    assert_eq!(Kept::open(repo, &other, ONE).map(drop).map_err(|fault| fault.kind()), Err(Kind::NotFound));
}

/// It is said before anything is fetched.
#[test]
fn a_name_that_another_one_needs_as_a_folder_is_refused_at_once() {
    let place = scratch();
    let r = place.path("r");
    image(&[&base()], Codec::None).keep(sink(&r, Mode::Archive, "docker://h.example/a/b:1"));
    let refused = KeptSink::new(repo(&r, Mode::Archive), "docker://h.example/a", cx()).map(drop);
    assert!(refused.expect_err("a folder").to_string().contains("h_2E_example/a/b_3A_1"));
}

#[test]
fn a_config_that_names_another_layer_is_refused() {
    let layer = tar([Member::file("a", "content")]);
    let blob = describe(OCI_LAYER, Algorithm::Sha256, &layer);
    let image = of_blobs(&[b"another layer"], vec![(blob, layer)]);
    let place = scratch();
    let sink = sink(&place.path("r"), Mode::Archive, NAME);
    image.put(&sink);
    let finished = Box::new(sink).finish(&[(Name::Untagged, image.root.clone())]);
    assert_eq!(finished.map_err(|fault| fault.kind()), Err(Kind::Integrity));
    assert!(refs(&place.path("r")).iter().all(|name| !name.starts_with("ostree/container/image")));
}

fn listing(root: &Path) -> Vec<(PathBuf, String)> {
    let (mut found, mut next) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = next.pop() {
        for entry in folder.read_dir().expect("a folder").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("known"));
            let what = match kind {
                kind if kind.is_dir() => "folder".into(),
                kind if kind.is_symlink() => format!("-> {}", path.read_link().expect("a link").display()),
                _ => Digest::of(Algorithm::Sha256, &std::fs::read(&path).expect("a file")).to_string(),
            };
            if kind.is_dir() {
                next.push(path.clone());
            }
            found.push((path.strip_prefix(root).expect("beneath").into(), what));
        }
    }
    found.sort();
    found
}

#[test]
fn a12_the_real_tool_merges_the_layers_to_the_tree_of_the_image() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: kept layers", "ostree is missing");
    };
    for mode in modes() {
        let place = scratch();
        let image = image(&[&base(), &upper()], Codec::None);
        image.keep(sink(&place.path("r"), mode, NAME));
        ran(&ostree, place.root(), &["fsck", "--repo=r"]);
        for (blob, _) in &image.blobs[..2] {
            let layer = format!("ostree/container/blob/sha256_3A_{}", blob.digest.encoded());
            ran(
                &ostree,
                place.root(),
                &["checkout", "--repo=r", "-U", "--union", "--whiteouts", &layer, "merged"],
            );
        }
        let whole = "ostree/container/image/docker_3A__2F__2F_h_2E_example/a__b/c_3A_1";
        ran(&ostree, place.root(), &["checkout", "--repo=r", "-U", whole, "image"]);
        let (mut merged, image) = (listing(&place.path("merged")), listing(&place.path("image")));
        // A layer by itself has no content for a link to a file below.
        merged.insert(
            0,
            (
                "again".into(),
                merged.iter().find(|(path, _)| path == Path::new("long")).expect("there").1.clone(),
            ),
        );
        assert_eq!(merged, image, "{mode}");
        assert!(image.iter().any(|(path, _)| path == Path::new("d/y")));
        assert!(image.iter().all(|(path, _)| path != Path::new("d/x") && path != Path::new("gone")));
    }
    proof::ran("ostree: kept layers", modes().count());
}

#[test]
fn what_the_real_tool_prunes_is_kept_as_long_as_a_ref_needs_it() {
    let Some(ostree) = testkit::peer("ostree") else {
        return proof::skipped("ostree: prune beside kept layers", "ostree is missing");
    };
    let place = scratch();
    let image = image(&[&base(), &upper()], Codec::GZIP);
    image.keep(sink(&place.path("r"), Mode::Archive, NAME));
    ran(&ostree, place.root(), &["prune", "--repo=r", "--refs-only", "--depth=0"]);
    image.comes_back(&kept(&place.path("r"), NAME));
    proof::ran("ostree: prune beside kept layers", image.blobs.len());
}

#[test]
fn a17_a_flipped_bit_is_named_and_nothing_is_believed() {
    let place = scratch();
    let image = image(&[&base()], Codec::GZIP);
    image.keep(sink(&place.path("r"), Mode::BareUserOnly, NAME));
    let mut flipped = 0;
    for folder in place.path("r/objects").read_dir().expect("a folder").flatten() {
        for object in folder.path().read_dir().expect("a folder").flatten() {
            let path = object.path();
            let is_link = path.symlink_metadata().expect("there").is_symlink();
            let is_used = path.extension().is_some_and(|kind| kind == "file");
            let bytes = if is_link || !is_used { Vec::new() } else { std::fs::read(&path).expect("a file") };
            if bytes.is_empty() {
                continue;
            }
            let mut other = bytes.clone();
            other[bytes.len() / 2] ^= 4;
            write(&path, &other);
            let kept = kept(&place.path("r"), NAME);
            let mut out = Vec::new();
            let layer = &image.blobs[0].0;
            let came = kept.origin(layer).and_then(|origin| {
                origin.open(0)?.read_to_end(&mut out).map_err(|error| orlop_spec::Fault::io("read", error))
            });
            let kind = came.map_err(|fault| fault.kind());
            assert_eq!(kind, Err(Kind::Integrity), "{}", path.display());
            write(&path, &bytes);
            flipped += 1;
        }
    }
    assert!(flipped > 4, "only {flipped} objects were tried");
    image.comes_back(&kept(&place.path("r"), NAME));
}

fn write(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = path.metadata().expect("there").permissions();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    std::fs::write(path, bytes).expect("ours");
    std::fs::set_permissions(path, mode).expect("ours");
}

#[test]
fn a_layer_is_known_by_its_diff_id() {
    let (place, layer) = (scratch(), base());
    image(&[&layer], Codec::GZIP).keep(sink(&place.path("r"), Mode::Archive, NAME));
    let repo = Repo::open(&place.path("r"), &LIMITS).expect("there");
    let diff_id = DiffId(Digest::of(Algorithm::Sha256, &layer));
    let mut out = Vec::new();
    repo.layer_export(&diff_id, &CANCEL).expect("kept").read_to_end(&mut out).expect("whole");
    assert!(out == layer);
    let plain = Descriptor::new(MediaType::new(OCI_LAYER), diff_id.0, layer.len() as u64);
    assert!(!repo.keeps(&plain).expect("readable"), "its blob has another digest");
}
