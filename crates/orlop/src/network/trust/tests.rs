use super::super::tests::{World, repository};
use super::super::{Role, Surroundings};
use super::*;
use orlop_spec::network::Access;
use orlop_spec::network::{LookUp, Proxy, ProxyKind};
use orlop_spec::wire::Address;
use std::os::unix::fs::PermissionsExt as _;

fn site(name: &str) -> Site {
    Site::parse(Scheme::Https, name).expect(name)
}

fn roots(surroundings: &Surroundings, name: &str) -> Vec<String> {
    let tls = surroundings.network(Role::Source).trust.tls(&site(name)).expect(name);
    tls.roots.iter().map(|root| String::from_utf8_lossy(root).into_owned()).collect()
}

#[test]
fn the_first_bundle_of_the_system_is_trusted() {
    let world = World::new();
    world.file("root/etc/pki/tls/certs/ca-bundle.crt", "second");
    let (surroundings, scratch) = world.enter();
    assert_eq!(roots(&surroundings, "a.example"), ["second"]);
    std::fs::remove_file(scratch.path("root/etc/pki/tls/certs/ca-bundle.crt")).expect("removed");
    assert_eq!(roots(&surroundings, "b.example"), ["second"], "it is read once");

    let world = World::new();
    world
        .file("root/etc/ssl/certs/ca-certificates.crt", "first")
        .file("root/etc/pki/tls/certs/ca-bundle.crt", "second");
    assert_eq!(roots(&world.enter().0, "a.example"), ["first"]);

    let world = World::new();
    world
        .file("root/etc/ssl/certs/a.pem", "-----BEGIN CERTIFICATE-----a")
        .file("root/etc/ssl/certs/b", "text");
    assert_eq!(roots(&world.enter().0, "a.example"), ["-----BEGIN CERTIFICATE-----a"]);

    let world = World::new();
    let warned = std::sync::Arc::clone(&world.warned);
    let (surroundings, _scratch) = world.enter();
    assert!(roots(&surroundings, "a.example").is_empty());
    assert_eq!(warned.lock().expect("no panic").len(), 1);
}

#[test]
fn variables_hide_the_systems_authorities() {
    let mut world = World::new();
    world.file("root/etc/ssl/certs/ca-certificates.crt", "system");
    world
        .file("own.pem", "own")
        .file("one/x.pem", "-----BEGIN CERTIFICATE-----x")
        .file("two/y", "-----BEGIN CERTIFICATE-----y");
    let (file, one, two) =
        (world.scratch.path("own.pem"), world.scratch.path("one"), world.scratch.path("two"));
    world.set("SSL_CERT_FILE", file);
    world.set("SSL_CERT_DIR", format!("{}:{}", one.display(), two.display()));
    let whole = ["own", "-----BEGIN CERTIFICATE-----x", "-----BEGIN CERTIFICATE-----y"];
    assert_eq!(roots(&world.enter().0, "a.example"), whole);

    let mut world = World::new();
    world.set("SSL_CERT_FILE", "/nowhere/x.pem");
    assert!(world.enter().0.network(Role::Source).trust.tls(&site("a.example")).is_err());
}

#[test]
fn certs_d_adds_authorities_and_says_who_we_are() {
    let world = World::new();
    world
        .file("root/etc/ssl/certs/ca-certificates.crt", "system")
        .file("root/etc/docker/certs.d/a.example:5000/ca.crt", "docker")
        .file("root/etc/containers/certs.d/a.example:5000/own.crt", "containers")
        .file("root/etc/containers/certs.d/a.example:5000/client.cert", "certificate")
        .file("root/etc/containers/certs.d/a.example:5000/client.key", "key")
        .file("root/etc/docker/certs.d/b.example/ca.crt", "docker")
        .file("home/.config/containers/certs.d/docker.io/ca.crt", "hub")
        .file("root/etc/containerd/certs.d/c.example_7_/ca.crt", "containerd")
        .file("root/etc/docker/certs.d/d.example/client.cert", "lonely");
    let (surroundings, _scratch) = world.enter();
    let trust = surroundings.network(Role::Source).trust;
    assert_eq!(
        roots(&surroundings, "a.example:5000"),
        ["system", "containers"],
        "the first folder speaks alone"
    );
    assert_eq!(
        trust.tls(&site("a.example:5000")).expect("read").client,
        Some((b"certificate".to_vec(), b"key".to_vec()))
    );
    assert_eq!(roots(&surroundings, "b.example"), ["system", "docker"]);
    assert_eq!(roots(&surroundings, "b.example:5000"), ["system"]);
    assert_eq!(roots(&surroundings, "registry-1.docker.io"), ["system", "hub"]);
    assert_eq!(roots(&surroundings, "c.example:7"), ["system", "containerd"]);
    assert!(trust.tls(&site("d.example")).is_err(), "a certificate without its key");
}

#[test]
fn hosts_toml_brings_its_authorities() {
    let world = World::new();
    world
        .file("root/etc/ssl/certs/ca-certificates.crt", "system")
        .file("root/etc/containerd/certs.d/a.example/ca.pem", "mirror")
        .file("root/etc/containerd/certs.d/a.example/both.pem", "both")
        .file("root/etc/containerd/certs.d/a.example/hosts.toml",
            "[host.\"https://m.example\"]\nca = \"ca.pem\"\nclient = \"both.pem\"\n[host.\"https://n.example\"]\nskip_verify = true\n");
    let (surroundings, _scratch) = world.enter();
    let network = surroundings.network(Role::Source);
    assert_eq!(roots(&surroundings, "m.example"), ["system"], "nobody named the registry yet");
    network.hosts.endpoints(&repository("a.example/x"), Access::Read).expect("three");
    assert_eq!(roots(&surroundings, "m.example"), ["system", "mirror"]);
    assert_eq!(
        network.trust.tls(&site("m.example")).expect("read").client,
        Some((b"both".to_vec(), b"both".to_vec()))
    );
    assert_eq!(network.trust.tls(&site("n.example")).expect("read").check, Check::None);
    assert_eq!(network.trust.tls(&site("a.example")).expect("read").check, Check::Full);
}

#[test]
fn n1_this_machine_is_checked_unless_it_is_named() {
    let mut world = World::new();
    world.file("root/etc/ssl/certs/ca-certificates.crt", "system");
    world.given.insecure = vec!["lab.example".into()];
    let (surroundings, _scratch) = world.enter();
    let check = |name| surroundings.network(Role::Source).trust.tls(&site(name)).expect(name).check;
    assert_eq!(
        (check("localhost:5000"), check("lab.example"), check("a.example")),
        (Check::Full, Check::None, Check::Full)
    );
}

#[test]
fn a_folder_of_certificates_that_one_may_not_read_is_for_others() {
    let world = World::new();
    world.file("root/etc/docker/certs.d/a.example/ca.crt", "docker");
    let folder = world.scratch.path("root/etc/docker/certs.d/a.example");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o000)).expect("set");
    if world.given.user == 0 {
        testkit::proof::not_offered(
            "hosts: a folder of certificates for others",
            "root may read every folder",
        );
        return;
    }
    assert!(world.enter().0.network(Role::Source).trust.tls(&site("a.example")).is_ok());
}

fn proxy(variables: &[(&str, &str)], address: &str) -> String {
    let mut world = World::new();
    for (name, value) in variables {
        world.set(name, *value);
    }
    let (surroundings, _scratch) = world.enter();
    let site = Address::parse(address).expect(address).site().clone();
    let Ok(found) = surroundings.network(Role::Source).trust.proxy(&site) else { return "!".into() };
    let Some(Proxy { site, kind, credential }) = found else { return "-".into() };
    let scheme = match kind {
        ProxyKind::Http => "http",
        ProxyKind::Socks(LookUp::Here) => "socks5",
        ProxyKind::Socks(LookUp::There) => "socks5h",
    };
    let login = match credential {
        None => String::new(),
        Some(Credential::Basic { user, password }) => format!(" {user} {password}"),
        Some(other) => format!(" {other:?}"),
    };
    format!("{scheme}://{}/{login}", site.authority())
}

#[test]
fn a_proxy_is_found_as_go_finds_it() {
    let (https, http) = ("https://reg.example/", "http://reg.example/");
    for (variables, address, expected) in [
        (&[][..], https, "-"),
        (&[("HTTPS_PROXY", "http://p:3128")], https, "http://p:3128/"),
        (&[("HTTPS_PROXY", "http://p:3128")], http, "-"),
        (&[("https_proxy", "p:3128")], https, "http://p:3128/"),
        (&[("HTTPS_PROXY", "http://a"), ("https_proxy", "http://b")], https, "http://a/"),
        (&[("HTTPS_PROXY", ""), ("https_proxy", "http://b")], https, "http://b/"),
        (&[("HTTP_PROXY", "http://a")], http, "http://a/"),
        (&[("HTTP_PROXY", "http://a"), ("REQUEST_METHOD", "GET")], http, "-"),
        (&[("http_proxy", "http://a"), ("REQUEST_METHOD", "GET")], http, "http://a/"),
        (&[("ALL_PROXY", "http://all")], https, "http://all/"),
        (&[("all_proxy", "http://all"), ("HTTPS_PROXY", "http://a")], https, "http://a/"),
        (&[("HTTPS_PROXY", "http://u%40x:p%3aq@p:3128/path")], https, "http://p:3128/ u@x p:q"),
        (&[("HTTPS_PROXY", "http://a"), ("NO_PROXY", "example")], https, "-"),
        (&[("HTTPS_PROXY", "http://a"), ("no_proxy", "other")], https, "http://a/"),
        (&[("HTTPS_PROXY", "http://a")], "https://localhost:5000/", "-"),
        (&[("ALL_PROXY", "socks5://a")], https, "socks5://a:1080/"),
        (&[("ALL_PROXY", "socks5h://u:p@[fd00::1]")], https, "socks5h://[fd00::1]:1080/ u p"),
        (&[("HTTPS_PROXY", "SOCKS5://a:80")], https, "socks5://a/"),
        (&[("ALL_PROXY", "socks4://a")], https, "!"),
        (&[("ALL_PROXY", "socks4a://a")], https, "!"),
        (&[("ALL_PROXY", "https://a")], https, "!"),
        (&[("HTTPS_PROXY", "http://u%zz@p")], https, "!"),
        (&[("HTTPS_PROXY", "socks5://a"), ("NO_PROXY", "*")], https, "-"),
    ] {
        assert_eq!(proxy(variables, address), expected, "{variables:?} {address}");
    }
}
