//! What is shown while something moves: bars on a terminal, lines without control bytes elsewhere, events for programs,
//! and at the end an account.

use serde_json::Value;
use testkit::registry::Registry;
use testkit::{Command, Scratch, orlop, peer, proof, scratch};

/// An image of a large layer and a small one.
fn fixture() -> Scratch {
    let it = scratch();
    it.folder("large");
    it.folder("small");
    it.file("large/file", vec![7; 3 << 20]);
    it.file("small/file", "content");
    command(&it, &["build", "large", "small", "oci:img:1", "--compress=none", "--progress=none"]).ok();
    it
}

fn command(it: &Scratch, words: &[&str]) -> Command {
    orlop().args(words).current_dir(it.root())
}

#[test]
fn plain_lines_tell_each_part_and_an_account_without_a_control_byte() {
    let it = fixture();
    for flags in [&[][..], &["--progress=plain"], &["--progress=auto"]] {
        let done = command(&it, &[&["copy", "oci:img:1", "tar:out.tar"][..], flags].concat()).ok();
        assert!(done.stderr.iter().all(|byte| *byte == b'\n' || (b' '..0x7f).contains(byte)), "{done}");
        let said = done.err();
        let parts: Vec<&str> = said.lines().filter(|line| line.starts_with("read: ")).collect();
        assert_eq!(parts.len(), 3, "two layers, and their sum: {said}");
        assert!(parts.iter().any(|line| line.ends_with(": 3.1 MB")), "{said}");
        let account = said.lines().last().expect("an account");
        assert!(
            account.contains(" in 2 (") && account.contains("/s)") && account.ends_with(" s in all"),
            "{said}"
        );
        assert!(!said.contains("fetched"), "nothing came from anywhere: {said}");
    }
    let quiet = command(&it, &["copy", "oci:img:1", "oci:to:1", "--progress=none"]).ok();
    assert_eq!(quiet.err(), "");
    let reading = command(&it, &["du", "oci:img:1", "--progress=plain"]).ok();
    assert_eq!(reading.err(), "", "the result is the account");
}

#[test]
fn what_went_over_the_wire_is_told_apart_from_what_was_there() {
    const PROOF: &str = "progress: the account of a registry";
    let Some(registry) = Registry::plain() else {
        return proof::skipped(PROOF, "docker-registry is missing");
    };
    let it = fixture();
    let place = |name: &str| format!("docker://{}/{name}:1", registry.host());
    let home = it.folder("home");
    let account = |words: &[&str]| -> Value {
        let told = command(&it, words).env("XDG_STATE_HOME", &home).arg("--progress=json").ok().err();
        let events: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(events.iter().any(|it| it["event"] == "planned") || events.len() <= 3, "{told}");
        events.last().expect("an account").clone()
    };
    let size = 3 << 20;
    let bytes = |value: &Value| value.as_u64().expect("bytes");
    let pushed = account(&["push", "oci:img:1", &place("a")]);
    assert!(bytes(&pushed["sent"]) > size && bytes(&pushed["fetched"]) < 10_000, "{pushed}");
    let mounted = account(&["copy", &place("a"), &place("b")]);
    assert!(
        bytes(&mounted["sent"]) < 10_000 && bytes(&mounted["reused"]["mounted"]["bytes"]) > size,
        "{mounted}"
    );
    let pulled = account(&["pull", &place("a"), "oci:to:1"]);
    assert!(bytes(&pulled["fetched"]) > size && bytes(&pulled["sent"]) == 0, "{pulled}");
    assert!(bytes(&pulled["phases"][0]["rate"]) > 0, "{pulled}");
    let again = account(&["pull", &place("a"), "oci:to:2"]);
    assert!(
        bytes(&again["fetched"]) < 10_000 && bytes(&again["reused"]["reused"]["bytes"]) > size,
        "{again}"
    );
    let text = command(&it, &["pull", &place("a"), "oci:new:1"]).ok().err();
    assert!(text.contains("; fetched: 3.1 MB; ") && !text.contains("sent"), "{text}");
    proof::ran(PROOF, 5);
}

/// Runs a command on a terminal of 80 columns, and prints all that was written there.
const ON_A_TERMINAL: &str = "
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        said = os.read(terminal, 65536)
    except OSError:
        break
    if not said:
        break
    os.write(1, said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

#[test]
fn bars_on_a_terminal_show_parts_and_the_whole_and_leave_nothing_behind() {
    const PROOF: &str = "progress: bars on a terminal";
    let (Some(python), Some(registry)) = (peer("python3"), Registry::plain()) else {
        return proof::skipped(PROOF, "python3 or docker-registry is missing");
    };
    let it = fixture();
    let place = format!("docker://{}/app:1", registry.host());
    command(&it, &["push", "oci:img:1", &place, "--progress=none"]).ok();
    let orlop = testkit::command::orlop_path();
    let shown = python
        .command()
        .args(["-c", ON_A_TERMINAL])
        .arg(orlop)
        .args(["pull", &place, "oci:to:1", "--limit-rate=2M"])
        .env("TERM", "xterm")
        .env("HOME", it.root())
        .current_dir(it.root())
        .ok()
        .out();
    let digest = command(&it, &["inspect", "--raw", "oci:img:1"]).ok().out();
    let layer: Value = serde_json::from_str(&digest).expect("JSON");
    let layer = layer["layers"][0]["digest"].as_str().expect("a digest")["sha256:".len()..][..12].to_owned();
    assert!(shown.contains(&format!("copy {layer}    [")), "a bar of the layer: {shown:?}");
    assert!(shown.contains("copy 1 of 4") && shown.contains("copy 3 of 4"), "a bar of all: {shown:?}");
    assert!(shown.contains("MB/s") && shown.contains(" s"), "a rate, and the time left: {shown:?}");
    let bars: Vec<String> = shown.split('\u{1b}').flat_map(bars).collect();
    assert!(bars.len() > 20 && bars.iter().all(|bar| bar.len() <= 80), "{bars:?}");
    let (_, rest) = shown.rsplit_once("\u{1b}[2K").expect("the last bar is taken away");
    assert!(rest.starts_with("copy: ") && !rest.contains("[="), "no bar is left: {rest:?}");
    assert!(rest.contains("fetched: 3.1 MB") && rest.contains("@sha256:"), "{rest:?}");
    proof::ran(PROOF, 1);
}

/// The bars in a piece of what was written, without the blanks that fill a line.
fn bars(piece: &str) -> Vec<String> {
    let starts: Vec<usize> = piece.match_indices("copy ").map(|(at, _)| at).chain([piece.len()]).collect();
    starts.windows(2).map(|pair| piece[pair[0]..pair[1]].trim_end().to_owned()).collect()
}
