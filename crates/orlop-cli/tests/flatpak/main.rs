//! What flatpak's own client makes of what orlop lists and serves.

mod appstream;
mod deltas;
mod labels;
mod places;
mod remote;
mod site;
mod tokens;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use testkit::command::orlop_path;
use testkit::flatpak::Client;
use testkit::{Command, Scratch, orlop};

/// A running `orlop flatpak serve`; it is ended when it is dropped.
struct Serving {
    program: Child,
    /// `http://127.0.0.1:PORT`
    address: String,
}

impl Serving {
    fn start(it: &Scratch, words: &[&str]) -> Self {
        let mut program = std::process::Command::new(orlop_path())
            .args(["flatpak", "serve"])
            .args(words)
            .current_dir(it.root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(it.path("served")).expect("a file"))
            .spawn()
            .expect("it starts");
        let mut address = String::new();
        let mut out = BufReader::new(program.stdout.take().expect("piped"));
        out.read_line(&mut address).expect("an address");
        assert!(address.starts_with("http://127.0.0.1:"), "{}", said(it));
        Self { program, address: address.trim().to_owned() }
    }

    /// `127.0.0.1:PORT`, as references name it.
    fn host(&self) -> &str {
        self.address.strip_prefix("http://").expect("an address")
    }

    /// Ends it as a service manager does, and gives its exit code.
    fn end(mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.program.id().to_string()]).ok();
        self.program.wait().expect("our own child").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.program.kill();
        let _status = self.program.wait();
    }
}

/// What the server said.
fn said(it: &Scratch) -> String {
    std::fs::read_to_string(it.path("served")).unwrap_or_default()
}

fn run(client: &Client, words: &[&str]) -> Command {
    orlop().args(words).current_dir(client.folder().root())
}
