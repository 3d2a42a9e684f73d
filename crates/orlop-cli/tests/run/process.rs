//! What a caller says of the process.

use crate::world::{Caller, worlds};
use std::fs;
use testkit::proof;

#[test]
fn user_environment_folder_and_command_are_what_the_caller_says() {
    const PROOF: &str = "run: user by name, environment, folder, command, input";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let seen = world.sh(&[], "id -u; pwd; echo $OF $KEPT $HOME $PATH; test -t 0 || echo none");
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(seen.out(), format!("0\n/srv\nimage yes /root {path}\nnone\n"), "{world}: {seen}");

        let flags = ["-e", "OF=caller", "-e", "HERE", "-e", "NOT_HERE", "-w", "/tmp"];
        let command =
            world.command(&flags, &["box", "sh", "-c", "pwd; echo $OF $KEPT $HERE ${NOT_HERE-unset}"]);
        let seen = command.env("HERE", "a b").run();
        assert_eq!(seen.out(), "/tmp\ncaller yes a b unset\n", "{world}: {seen}");

        if world.caller == Caller::UserAlone {
            let refused = world.run(&["-u", "app"], &["id"]);
            assert_eq!(refused.code(), Some(125), "{world}");
            assert!(refused.err().contains("subordinate ids"), "{world}: {refused}");
        } else {
            let seen =
                world.sh(&["-u", "app"], "id -u; id -g; echo $HOME; touch /no 2>/dev/null || echo refused");
            assert!(seen.out().starts_with("1000\n1001\n/home/app\n"), "{world}: {} {seen}", seen.out());
            // bwrap knows one user, which so is the owner of everything.
            assert!(world.is_bwrap() || seen.out().ends_with("refused\n"), "{world}: {}", seen.out());
        }
        let entrypoint = world.run(&["--entrypoint", "/bin/echo", "--entrypoint", "of"], &["--", "-n", "x"]);
        assert_eq!(entrypoint.out(), "of -n x\n", "{world}: {entrypoint}");
        let input = world.command(&[], &["box", "cat"]).input("typed\n").run();
        assert_eq!(input.out(), "typed\n", "{world}: {input}");
        let stuck = world.command(&[], &["box", "true"]).input(vec![b'x'; 1 << 20]).run();
        assert!(stuck.success(), "{world}: a process that does not read: {stuck}");
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}

#[test]
fn volumes_show_what_the_caller_names_and_nothing_else() {
    const PROOF: &str = "run: volumes";
    let worlds = worlds(PROOF);
    for world in &worlds {
        let folder = world.scratch.folder("data");
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
        world.scratch.file("data/file", "here\n");
        world.scratch.file("one", "alone\n");
        let flags = ["-v", "./data:/srv/data", "-v", "./one:/etc/motd:ro"];
        let seen = world.sh(
            &flags,
            "cat data/file /etc/motd; echo new >data/new; echo x 2>/dev/null >/etc/motd || echo refused",
        );
        assert_eq!(seen.out(), "here\nalone\nrefused\n", "{world}: {seen}");
        assert_eq!(fs::read(folder.join("new")).expect("written"), b"new\n", "{world}");
        let seen = world.sh(&["-v", "./data:/srv/data:ro"], "touch data/x 2>/dev/null || echo refused");
        assert_eq!(seen.out(), "refused\n", "{world}: {seen}");
        for bad in ["./none:/x", "data:/x", "./data:x", "./data:/", "./data:/a/../../x"] {
            let done = world.run(&["-v", bad], &["true"]);
            assert_eq!(done.code(), Some(125), "{world} {bad}: {done}");
        }
    }
    if !worlds.is_empty() {
        proof::ran(PROOF, worlds.len());
    }
}
