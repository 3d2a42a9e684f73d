//! Files of settings: whatever they hold, no panic, no long work, and what is said about a repository is lawful.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_spec::network::{
    Access, AuthFile, AuthForm, Credential, Found, NoProxy, Policy, Registries, Verdict, parse_hosts,
    scopes_of_path, scopes_of_repository,
};
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Scheme, Site};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, text)) = bytes.split_first() else { return };
    let repositories = ["docker.io/library/busybox", "a.example/b/c", "x.a.example:5000/b"];
    let repositories = repositories.map(|name| Repository::parse(name).expect("a repository"));
    match kind % 5 {
        0 => auth_file(text, &repositories),
        1 => registries(text, &repositories),
        2 => hosts(text),
        3 => policy(text, &repositories),
        _ => no_proxy(text),
    }
});

/// A secret that is set is found; one that is removed is not found in the file; the rest stays.
fn auth_file(text: &[u8], repositories: &[Repository]) {
    for form in [AuthForm::Whole, AuthForm::Legacy] {
        let Ok(mut file) = AuthFile::parse(text, form) else { continue };
        for repository in repositories {
            if let Ok(Found::Helper(helper)) = file.find(repository) {
                assert!(!helper.program().contains(['/', '\0', ' ']));
            }
            let secret = Credential::Basic { user: "u".into(), password: "p".into() };
            // A helper that cannot be named is asked for nothing, and is in the way of what the file holds.
            let is_helped = !matches!(file.helper(repository.host()), Ok(None));
            if file.set(&repository.to_string(), &secret).is_err() {
                continue;
            }
            let back = AuthFile::parse(&file.print(), form).expect("what is printed is read");
            if !is_helped && form == AuthForm::Whole {
                assert_eq!(back.find(repository).ok(), Some(Found::Credential(secret.clone())));
            }
            assert!(file.remove(&repository.to_string()).expect("it is there"));
            assert!(!file.remove(&repository.to_string()).expect("an object"));
        }
    }
}

/// Places are never none, the last is the repository's own, and a blocked one is blocked for writing too.
fn registries(text: &[u8], repositories: &[Repository]) {
    let Ok(settings) = Registries::parse(text) else { return };
    let mut doubled = settings.clone();
    doubled.overlay(settings.clone());
    for repository in repositories {
        let read = settings.find(repository, Access::Read);
        let write = settings.find(repository, Access::Write);
        match (&read, &write) {
            (Ok(Some(Verdict::Places(read))), Ok(Some(Verdict::Places(write)))) => {
                assert!(!read.is_empty() && write.len() == 1);
                assert_eq!(write[0].repository, *repository);
                assert_eq!(read[read.len() - 1].insecure, write[0].insecure);
            }
            (Ok(Some(Verdict::Blocked(read))), Ok(Some(Verdict::Blocked(write)))) => assert_eq!(read, write),
            (Ok(None), Ok(None)) | (Err(_), _) => {}
            other => panic!("{other:?}"),
        }
        if let (Ok(one), Ok(two)) = (read, doubled.find(repository, Access::Read)) {
            assert_eq!(one, two, "a file over itself says the same");
        }
    }
    let _names = settings.qualify("busybox");
}

fn hosts(text: &[u8]) {
    let Ok(entries) = parse_hosts(text) else { return };
    assert!(!entries.is_empty());
    for (_, root) in entries.iter().filter_map(|entry| entry.address.as_ref()) {
        assert!(root.is_empty() || root.starts_with('/') && !root.ends_with('/') && !root.contains('?'));
    }
}

/// The rule of a scope that is not there is the rule of the next one.
fn policy(text: &[u8], repositories: &[Repository]) {
    let Ok(policy) = Policy::parse(text) else { return };
    for repository in repositories {
        let scopes = scopes_of_repository(repository, ":1");
        let mut longer = vec!["no such scope \u{1}".to_owned()];
        longer.extend(scopes.iter().cloned());
        assert_eq!(policy.judge("docker", &scopes), policy.judge("docker", &longer));
    }
    let _judged = policy.judge("oci", &scopes_of_path("/srv/a/b", "1"));
}

fn no_proxy(text: &[u8]) {
    let rules = NoProxy::parse(&String::from_utf8_lossy(text));
    for (host, is_here) in
        [("localhost:5000", true), ("127.1.2.3", true), ("10.1.2.3", false), ("[fd00::1]:1", false)]
    {
        let site = Site::parse(Scheme::Https, host).expect("a site");
        assert!(rules.covers(&site) || !is_here);
    }
}
