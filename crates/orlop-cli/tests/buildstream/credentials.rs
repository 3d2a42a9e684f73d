//! Who asks: passwords and tokens from where BuildStream keeps them, and registries that are slow or forget a token.

use crate::{cases, listing, project, run, write};
use testkit::buildstream::Project;
use testkit::fault_server::{self, FaultServer, faults};
use testkit::image::{Image, Packing};
use testkit::proof;
use testkit::registry::{Guard, Registry, Wire};
use testkit::tarball::{Member, tar};
use testkit::token_server::{PASSWORD, USER};

const ELEMENT: &str =
    "kind: import\nsources:\n- {kind: oci, url: 'reg:app/img', track: v1, platform: linux/amd64}\n";

/// What a registry does to whoever fetches.
const FAULTS: [&str; 2] = ["tokens of a slow clock", "reset in the body"];

/// Tracks and stages the image as somebody who is known, and before that as nobody.
fn walk(project: &Project, host: &str) {
    write(project, "img.bst", ELEMENT);
    let refused = project.bst(&["source", "track", "img.bst"]);
    assert!(!refused.success() && refused.err().contains("oci"), "{refused}");
    project.knows(host.split(':').next().expect("a host"), (USER, PASSWORD));
    project.ok(&["source", "track", "img.bst"]);
    assert_eq!(listing(&project.sources("img.bst", "staged", &[])), ["machine x"]);
    let logs = testkit::Command::new("grep")
        .args(["-r", PASSWORD])
        .arg(project.folder().path("cache/buildstream"))
        .run();
    assert_eq!(logs.code(), Some(1), "no log holds the password: {}", logs.out());
}

#[test]
fn s7_netrc_opens_registries_with_passwords_and_with_tokens() {
    const PROOF: &str = "buildstream: credentials of netrc";
    for guard in [Guard::Password, Guard::Token] {
        let Some(registry) = Registry::start(Wire::Clear, guard) else {
            return proof::skipped(PROOF, "docker-registry or openssl is missing");
        };
        let more = format!("aliases: {{reg: 'docker://{}/'}}\n", registry.host());
        let Some(project) = project(PROOF, &more) else { return };
        cases::machine("x").write(&project.folder().path("img"));
        let target = format!("docker://{}/app/img:v1", registry.host());
        run(
            project.folder(),
            &["copy", "oci:img:latest", &target, "--creds", &registry.creds(), "--progress=none"],
        );
        walk(&project, &registry.host());
    }
    proof::ran(PROOF, 2);
}

/// Challenges with a comma within quotes, tokens that end in the middle, and answers that come slowly or break off.
#[test]
fn s7_a_registry_that_forgets_a_token_or_breaks_off_is_gone_on_with() {
    const PROOF: &str = "buildstream: registries that break";
    let found: Vec<_> = faults::all().filter(|fault| FAULTS.contains(&fault.name)).collect();
    assert_eq!(found.len(), FAULTS.len());
    // Only large blobs are struck.
    let large = "x".repeat(1 << 16);
    let layout = Image::of(&[tar([Member::file("large", &large)])], Packing::Plain).layout();
    for fault in found {
        let server = FaultServer::start(Some(fault), fault_server::Guard::Token);
        let more = format!("aliases: {{reg: 'docker://{}/'}}\n", server.host());
        let Some(project) = project(PROOF, &more) else { return };
        server.shelf().put_layout("app/img", "v1", &layout);
        write(&project, "img.bst", ELEMENT);
        project.knows("127.0.0.1", (USER, PASSWORD));
        project.ok(&["source", "track", "img.bst"]);
        let staged = listing(&project.sources("img.bst", "staged", &[]));
        assert!(staged == [format!("large {large}")], "{}", fault.name);
        // Tokens do not strike: they are what they are.
        assert!(server.strikes() > 0 || fault.name.contains("tokens"), "{} struck", fault.name);
    }
    proof::ran(PROOF, FAULTS.len());
}
