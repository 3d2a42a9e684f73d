//! Which images may be used, through the binary.

use testkit::image::{Image, Packing};
use testkit::scratch::scratch;
use testkit::{Finished, Scratch, orlop};

struct It {
    scratch: Scratch,
}

impl It {
    fn new() -> Self {
        let scratch = scratch();
        Image::of(&[Vec::from([0; 1024])], Packing::Plain).layout().write(&scratch.path("image"));
        scratch.folder("home/.config/containers");
        Self { scratch }
    }

    fn policy(&self, path: &str, default: &str) -> String {
        let text = format!(r#"{{"default":[{{"type":"{default}"}}]}}"#);
        self.scratch.file(path, text).to_str().expect("text").into()
    }

    fn copy(&self, flags: &[&str]) -> Finished {
        let (from, to) = (self.scratch.path("image"), self.scratch.path("copy"));
        let words = [format!("oci:{}", from.display()), format!("oci:{}", to.display())];
        orlop().env("HOME", self.scratch.path("home")).arg("copy").args(flags).args(words).run()
    }
}

#[test]
fn a_policy_that_rejects_ends_with_exit_code_4_and_a_way_out() {
    let it = It::new();
    it.policy("home/.config/containers/policy.json", "reject");
    let done = it.copy(&[]);
    assert_eq!(done.code(), Some(4), "{done}");
    assert!(done.err().contains("policy.json") && done.err().contains("--insecure-policy"), "{done}");
    assert!(!it.scratch.path("copy").exists(), "nothing was begun");
    assert_eq!(it.copy(&["--insecure-policy"]).code(), Some(0));
}

#[test]
fn a_policy_that_was_named_hides_the_others() {
    let it = It::new();
    it.policy("home/.config/containers/policy.json", "insecureAcceptAnything");
    assert_eq!(it.copy(&["--policy", &it.policy("reject.json", "reject")]).code(), Some(4));
    assert_eq!(it.copy(&["--policy", "/nowhere/policy.json"]).code(), Some(2));
    assert_eq!(it.copy(&["--policy", "x", "--insecure-policy"]).code(), Some(64));
    assert_eq!(it.copy(&[]).code(), Some(0));
}

#[test]
fn a_signature_that_is_asked_for_and_a_damaged_policy_refuse() {
    let it = It::new();
    for kind in ["signedBy", "sigstoreSigned", "no-such-kind"] {
        it.policy("home/.config/containers/policy.json", kind);
        let done = it.copy(&[]);
        assert_eq!(done.code(), Some(4), "{kind}: {done}");
    }
}

const LOOKING: &str = "policy: who looks is not asked, as by skopeo";

/// skopeo asks its policy when it copies, and not when it inspects: whoever writes a policy must see what is there.
#[test]
fn names_and_documents_are_looked_at_whatever_a_policy_says() {
    let it = It::new();
    let policy = it.policy("reject.json", "reject");
    let image = format!("oci:{}", it.scratch.path("image").display());
    let run = |verb: &[&str]| orlop().args(verb).args([&image, "--policy", &policy]).run();
    let verbs: [&[&str]; 6] =
        [&["inspect"], &["inspect", "--raw"], &["inspect", "--config"], &["ls"], &["digest"], &["tree"]];
    for verb in verbs {
        let done = run(verb);
        assert_eq!(done.code(), Some(0), "{verb:?}: {done}");
    }
    for verb in ["files", "du", "validate"] {
        assert_eq!(run(&[verb]).code(), Some(4), "{verb} reads layers");
    }
    let Some(skopeo) = testkit::peer("skopeo") else {
        return testkit::proof::skipped(LOOKING, "skopeo is missing");
    };
    let skopeo = |words: &[&str]| skopeo.command().args(["--policy", &policy]).args(words).run().success();
    let copy = format!("dir:{}", it.scratch.path("copy").display());
    let of_skopeo = [&["inspect", &image][..], &["inspect", "--raw", &image], &["copy", &image, &copy]];
    assert_eq!(of_skopeo.map(skopeo), [true, true, false]);
    testkit::proof::ran(LOOKING, 9);
}
