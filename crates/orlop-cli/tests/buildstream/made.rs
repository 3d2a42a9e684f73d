//! Sandboxes of images, and images of artifacts.

use crate::{busybox, listing, project, run, write};
use serde_json::{Value, json};
use testkit::buildstream::Project;
use testkit::{peer, proof};

/// Writes an element of local files.
fn files(project: &Project, name: &str, files: &[(&str, &str)]) {
    for (path, content) in files {
        project.write(&format!("files/{name}/{path}"), content);
    }
    write(
        project,
        &format!("{name}.bst"),
        &format!("kind: import\nsources:\n- {{kind: local, path: files/{name}}}\n"),
    );
}

#[test]
fn s5_commands_run_inside_an_image() {
    const PROOF: &str = "buildstream: a sandbox of an image";
    let Some(project) = project(PROOF, "") else { return };
    let it = project.folder();
    if !busybox(it, &["sh", "mkdir", "cat"]) {
        return proof::skipped(PROOF, "a static busybox is missing");
    }
    it.folder("tree/etc");
    it.file("tree/etc/marker", "from inside");
    run(it, &["build", "tree", "oci:project/img:v1", "--platform=linux/amd64"]);
    let source = "kind: import\nsources:\n- {kind: oci, path: img, platform: linux/amd64}\n";
    write(&project, "sysroot.bst", source);
    let script = "kind: script\nbuild-depends: [sysroot.bst]\nvariables: {install-root: /out}\nconfig:\n  commands:\n  - mkdir -p /out && cat /etc/marker >/out/said\n";
    write(&project, "inside.bst", script);
    project.ok(&["build", "inside.bst"]);
    assert_eq!(listing(&project.artifact("inside.bst", "made")), ["said from inside"]);
    proof::ran(PROOF, 1);
}

const CONFIG: &str = "
  platform: linux/amd64
  tag: v1
  entrypoint: [/bin/app, '--']
  cmd: ['two  words', '$HOME']
  env: {A: 'b c', EMPTY: ''}
  labels: {.title: 'A=B', k: v}
  annotations: {.version: '1'}
  user: '7:8'
  workdir: /srv
  expose: ['80', 53/udp]
  volumes: [/data]
  stop-signal: SIGINT
  healthcheck: CMD /bin/app check
  author: Somebody
  created: '2020-01-02T03:04:05Z'
  changes: ['ONBUILD RUN x']
  modes: {/bin/app: '4755', /tmp: '1777'}
  owners: {/bin/app: '7:8'}
";

#[test]
fn an_image_of_artifacts_has_every_key_of_its_config_and_the_layers_that_were_asked_for() {
    const PROOF: &str = "buildstream: images of artifacts";
    let (Some(skopeo), Some(project)) = (peer("skopeo"), project(PROOF, "")) else {
        return proof::skipped(PROOF, "skopeo or bst is missing");
    };
    let it = project.folder();
    files(&project, "base", &[("etc/base", "1"), ("tmp/x", "")]);
    files(&project, "app", &[("bin/app", "2")]);
    write(&project, "app.bst", &(project.read("elements/app.bst") + "runtime-depends: [base.bst]\n"));
    for (element, form) in
        [("archive", ""), ("layout", "  form: layout\n"), ("docker", "  form: docker-archive\n")]
    {
        let config =
            if element == "docker" { CONFIG.replace("tag: v1", "tag: 'app:v1'") } else { CONFIG.into() };
        write(
            &project,
            &format!("{element}.bst"),
            &format!(
                "kind: oci_image\nbuild-depends:\n- {{filename: base.bst, config: {{layer: base}}}}\n- {{filename: app.bst, config: {{layer: app}}}}\nconfig:{config}{form}"
            ),
        );
    }
    project.ok(&["build", "archive.bst", "layout.bst", "docker.bst"]);
    let forms = ["archive", "layout", "docker"].map(|form| project.artifact(&format!("{form}.bst"), form));
    let references =
        ["oci-archive:archive/image.tar:v1", "oci:layout:v1", "docker-archive:docker/image.tar:app:v1"];
    assert_eq!(forms.len(), references.len());
    let configs = references.map(|reference| {
        let said = skopeo.command().args(["inspect", "--config", reference]).current_dir(it.root()).ok();
        serde_json::from_str::<Value>(&said.out()).expect("a config")
    });
    for image in &configs {
        let config = &image["config"];
        assert_eq!(config["Entrypoint"], json!(["/bin/app", "--"]));
        assert_eq!(config["Cmd"], json!(["two  words", "$HOME"]));
        assert_eq!(config["Env"], json!(["A=b c", "EMPTY="]));
        assert_eq!(config["Labels"], json!({"org.opencontainers.image.title": "A=B", "k": "v"}));
        assert_eq!((&config["User"], &config["WorkingDir"]), (&json!("7:8"), &json!("/srv")));
        assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}, "53/udp": {}}));
        assert_eq!((&config["Volumes"], &config["StopSignal"]), (&json!({"/data": {}}), &json!("SIGINT")));
        assert_eq!(
            (&image["author"], &image["created"]),
            (&json!("Somebody"), &json!("2020-01-02T03:04:05Z"))
        );
        assert_eq!(image["architecture"], "amd64");
    }
    let whole: Value =
        serde_json::from_str(&run(it, &["inspect", "--format=json", "oci:layout:v1"])).expect("JSON");
    assert_eq!(whole["manifest"]["annotations"]["org.opencontainers.image.version"], "1");
    assert_eq!(whole["config"]["config"]["OnBuild"], json!(["RUN x"]));
    assert_eq!(whole["config"]["config"]["Healthcheck"]["Test"], json!(["CMD-SHELL", "/bin/app check"]));
    let layers: Vec<String> = whole["manifest"]["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|layer| {
            let digest = layer["digest"].as_str().expect("a digest").replace(':', "/");
            let listed = testkit::Command::new("tar")
                .args(["--numeric-owner", "-tvzf"])
                .arg(it.path("layout/blobs").join(digest))
                .ok();
            let columns = |line: &str| {
                let words: Vec<_> = line.split_whitespace().collect();
                format!("{} {} {}", words[0], words[1], words[5])
            };
            listed.out().lines().map(columns).collect::<Vec<_>>().join("\n")
        })
        .collect();
    let base = "drwxr-xr-x 0/0 etc/\n-rw-r--r-- 0/0 etc/base\ndrwxrwxrwt 0/0 tmp/\n-rw-r--r-- 0/0 tmp/x";
    let app = "drwxr-xr-x 0/0 bin/\n-rwsr-xr-x 7/8 bin/app";
    assert_eq!(layers, [base, app], "what is in a layer below is not repeated");
    proof::ran(PROOF, references.len());
}

#[test]
fn the_same_artifacts_give_the_same_image_and_a_base_stays_as_it_is() {
    const PROOF: &str = "buildstream: images are reproducible";
    let Some(mut project) = project(PROOF, "") else { return };
    files(&project, "base", &[("a", "1")]);
    files(&project, "app", &[("b", "2")]);
    write(
        &project,
        "lower.bst",
        "kind: oci_image\nbuild-depends: [base.bst]\nconfig: {platform: linux/amd64, form: layout, labels: {k: v}}\n",
    );
    write(
        &project,
        "upper.bst",
        "kind: oci_image\nbuild-depends:\n- {filename: lower.bst, config: {base: /}}\n- app.bst\nconfig: {platform: linux/amd64, form: layout}\n",
    );
    let mut digests = Vec::new();
    for (round, epoch) in [("one", "1"), ("two", "2")] {
        project = project.with("SOURCE_DATE_EPOCH", epoch);
        project.ok(&["build", "upper.bst"]);
        for element in ["lower", "upper"] {
            project.artifact(&format!("{element}.bst"), &format!("{round}-{element}"));
        }
        let place = |element: &str| format!("oci:{round}-{element}:latest");
        digests.push(["lower", "upper"].map(|element| run(project.folder(), &["digest", &place(element)])));
        let layers = |element: &str| {
            let text = run(project.folder(), &["inspect", "--format=json", &place(element)]);
            let image: Value = serde_json::from_str(&text).expect("JSON");
            (
                image["manifest"]["layers"].as_array().expect("layers").clone(),
                image["config"]["config"]["Labels"].clone(),
            )
        };
        let ((lower, _), (upper, labels)) = (layers("lower"), layers("upper"));
        assert_eq!((lower.len(), upper.len(), &upper[..1]), (1, 2, &lower[..]));
        assert_eq!(labels, json!({"k": "v"}), "the base's config is gone on with");
        testkit::scratch::remove(&project.folder().path("cache"));
    }
    assert_eq!(digests[0], digests[1]);
    proof::ran(PROOF, 2);
}
