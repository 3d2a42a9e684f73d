//! Every file operation of a pull is the last one once (SIGKILL), or fails (EIO), or meets a full disk (ENOSPC). No
//! blob has a name that it does not deserve, the image is absent or right, and the next pull makes it right.

use std::fs;
use std::path::{Path, PathBuf};
use testkit::fault_server::{FaultServer, Guard};
use testkit::image::{Image, Layout, Packing, sha256};
use testkit::scratch::{remove, scratch_in_memory};
use testkit::tarball::{Member, tar};
use testkit::{Command, Finished, Scratch, full, noise, orlop, proof};

const PROOF: &str = "crash: kill, EIO and ENOSPC at the file seam of a pull";

/// A registry with an image, and a folder for what is pulled.
struct Stage {
    server: FaultServer,
    layout: Layout,
    folder: Scratch,
}

impl Stage {
    /// One layer is kept as a part while it comes, one is too small for that.
    fn new() -> Self {
        let layers = [3 << 19, 10_000].map(|size| tar([Member::file("noise", noise(1, size))]));
        let layout = Image::of(&layers, Packing::Plain).layout();
        let server = FaultServer::start(None, Guard::Open);
        server.shelf().put_layout("app", "1", &layout);
        Self { server, layout, folder: scratch_in_memory() }
    }

    fn target(&self) -> PathBuf {
        self.folder.path("home/target")
    }

    fn pull(&self) -> Command {
        let (from, home) = (format!("docker://{}/app:1", self.server.host()), self.folder.folder("home"));
        let to = format!("oci:{}:1", self.target().display());
        let command = orlop().args(["pull", &from, &to]).env("HOME", &home);
        command.env("XDG_STATE_HOME", home.join("state")).env("XDG_CACHE_HOME", home.join("cache"))
    }

    /// Nothing is left of earlier runs.
    fn clear(&self) {
        remove(&self.folder.path("home"));
    }

    fn disturbed(&self, fault: &str, point: usize) -> Finished {
        self.clear();
        self.pull().env("ORLOP_FAULT", format!("{fault}:{point}")).run()
    }

    /// File operations of a pull: the first point at which a kill no longer hits.
    fn count(&self) -> usize {
        let is_hit = |point: usize| self.disturbed("kill", point).signal() == Some(9);
        let (mut low, mut high) = (0, 1);
        while is_hit(high) {
            (low, high) = (high, 2 * high);
        }
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            if is_hit(middle) { low = middle } else { high = middle }
        }
        low
    }

    /// Every blob that has a name deserves it.
    fn check_names(&self, what: &str) {
        for entry in fs::read_dir(self.target().join("blobs/sha256")).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_right = || fs::read(entry.path()).is_ok_and(|it| sha256(&it) == format!("sha256:{name}"));
            assert!(name.starts_with('.') || is_right(), "{name} is something else: {what}");
        }
    }

    /// The layout holds the image, and after a sweep nothing else.
    fn check_whole(&self, what: &str) {
        let place = format!("oci:{}", self.target().display());
        orlop().args(["gc", "--grace=0s", &place]).ok();
        let names = |folder: &Path| fs::read_dir(folder).expect("a layout").count();
        let blobs = self.layout.files.iter().filter(|(path, _)| path.starts_with("blobs/"));
        for (path, bytes) in blobs.clone() {
            let held = fs::read(self.target().join(path));
            assert!(held.is_ok_and(|held| held == *bytes), "{path} is missing or wrong: {what}");
        }
        assert_eq!(names(&self.target().join("blobs/sha256")), blobs.count(), "{what}");
    }
}

#[test]
fn every_file_operation_of_a_pull_may_be_the_last() {
    let stage = Stage::new();
    let last = stage.count();
    assert!(last >= 20, "{last} operations; is ORLOP_FAULT compiled in?");
    let points: Vec<usize> = (1..=last).filter(|point| full() || point % 4 == 1).collect();
    for point in &points {
        for fault in ["kill", "eio", "enospc"] {
            let broken = stage.disturbed(fault, *point);
            let what = format!("{fault}:{point} of {last}: {broken}");
            assert!(fault == "kill" || broken.code().is_some_and(|code| code != 101), "{what}");
            stage.check_names(&what);
            if broken.success() {
                stage.check_whole(&what);
            }
            stage.pull().ok();
            stage.check_whole(&what);
        }
    }
    proof::ran(PROOF, 3 * points.len());
}
