//! Debian's `docker-registry` (distribution 2.8) on a free port, with a folder of its own.
//!
//! ```text
//! config.yml   what it was started with
//! storage/     blobs and names
//! log          one line per request
//! ```

use crate::authority::Authority;
use crate::command::Command;
use crate::peer::peer;
use crate::scratch::{Scratch, scratch};
use crate::token_server::{ISSUER, Manner, PASSWORD, SERVICE, TokenServer, USER};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How the registry is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// In the clear.
    #[default]
    Clear,
    /// Under TLS, with a certificate of an own authority.
    Tls,
}

/// Who is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// Everybody.
    #[default]
    Open,
    /// Who knows [`USER`] and [`PASSWORD`] (htpasswd).
    Password,
    /// Who has a token of a token server: everybody may pull what begins with `public/`.
    Token,
}

/// A running registry; it ends when it is dropped.
pub struct Registry {
    daemon: Child,
    folder: Scratch,
    port: u16,
    authority: Option<Authority>,
    tokens: Option<TokenServer>,
}

/// [`PASSWORD`] under bcrypt, the one scheme that the registry takes.
const HASH: &str = "$2b$04$Td.C8Hw84doJObtOR29xIOKBIKGBEz9k8ce.kvam.CO1aLOwmT0XO";

impl Registry {
    /// Open, in the clear.
    pub fn plain() -> Option<Self> {
        Self::start(Wire::Clear, Guard::Open)
    }

    /// Starts one and waits until it listens; `None` where it or `openssl` is not installed.
    ///
    /// # Panics
    /// When it does not listen within twenty seconds.
    pub fn start(wire: Wire, guard: Guard) -> Option<Self> {
        let program = peer("docker-registry")?;
        let folder = scratch();
        let authority = if wire == Wire::Tls { Some(Authority::new()?) } else { None };
        let tokens = match guard {
            Guard::Token => Some(TokenServer::signing(Manner::Honest, authority.as_ref())?),
            _ => None,
        };
        let config = folder.file("config.yml", config(&folder, guard, authority.as_ref(), tokens.as_ref()));
        let log = fs::File::create(folder.path("log")).expect("the log is made");
        let daemon = std::process::Command::new(&program.path)
            .arg("serve")
            .arg(config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("an installed program starts");
        let mut this = Self { daemon, folder, port: 0, authority, tokens };
        this.port = this.listens();
        Some(this)
    }

    /// The port that its log names: it was asked for any.
    fn listens(&self) -> u16 {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            let log = self.log();
            let at = log.split("listening on 127.0.0.1:").nth(1).unwrap_or_default();
            let digits: String = at.chars().take_while(char::is_ascii_digit).collect();
            if at.len() > digits.len() && !digits.is_empty() {
                return digits.parse().expect("a port");
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("docker-registry does not listen:\n{}", self.log())
    }

    /// `127.0.0.1:PORT`, as references name it.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The certificate that vouches for it, in PEM, where it speaks TLS.
    pub fn root(&self) -> Option<Vec<u8>> {
        self.authority.as_ref().map(|authority| authority.pem("root.pem"))
    }

    /// The same as a file.
    pub fn root_file(&self) -> Option<PathBuf> {
        self.authority.as_ref().map(|authority| authority.path("root.pem"))
    }

    /// Who gives the tokens, where tokens are asked for.
    pub fn tokens(&self) -> Option<&TokenServer> {
        self.tokens.as_ref()
    }

    /// `USER:PASSWORD`, as `--creds` takes it.
    pub fn creds(&self) -> String {
        format!("{USER}:{PASSWORD}")
    }

    /// Where its blobs and names lie.
    pub fn storage(&self) -> PathBuf {
        self.folder.path("storage")
    }

    /// A document as it lies there, by its tag or digest.
    ///
    /// # Panics
    /// When it is not there.
    pub fn document(&self, repository: &str, name: &str) -> Vec<u8> {
        let top = self.storage().join("docker/registry/v2");
        let tag = top.join("repositories").join(repository).join("_manifests/tags").join(name);
        let linked = || fs::read_to_string(tag.join("current/link")).expect("the tag is there");
        let digest = if name.contains(':') { name.to_owned() } else { linked() };
        let hex = digest.trim().strip_prefix("sha256:").expect("the one algorithm that it knows");
        fs::read(top.join("blobs/sha256").join(&hex[..2]).join(hex).join("data")).expect("the blob is there")
    }

    /// All that it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path("log")).unwrap_or_default()
    }

    /// The requests so far, as `METHOD target STATUS`.
    pub fn requests(&self) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| {
            let (before, after) = line.split_once(" HTTP/1.1\" ")?;
            let request = before.rsplit_once('"')?.1;
            Some(format!("{request} {}", after.split(' ').next()?))
        });
        lines.collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.daemon), Signal::KILL);
        drop(self.daemon.wait());
    }
}

fn config(
    folder: &Scratch,
    guard: Guard,
    authority: Option<&Authority>,
    tokens: Option<&TokenServer>,
) -> String {
    let storage = folder.path("storage");
    let base = format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
         enabled: true\ncompatibility:\n  schema1:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:0\n  secret: testkit\n",
        storage.display()
    );
    let tls = authority.map(|authority| {
        let (certificate, key) = (authority.path("site.pem"), authority.path("site.key"));
        format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display())
    });
    let auth = match (guard, tokens) {
        (Guard::Password, _) => {
            let file = folder.file("htpasswd", format!("{USER}:{HASH}\n"));
            format!("auth:\n  htpasswd:\n    realm: testkit\n    path: {}\n", file.display())
        }
        (_, Some(tokens)) => {
            let bundle = folder.file("tokens.pem", tokens.certificate().expect("a signing server"));
            let (realm, bundle) = (tokens.realm(), bundle.display());
            format!(
                "auth:\n  token:\n    realm: {realm}\n    service: {SERVICE}\n    issuer: {ISSUER}\n    \
                 rootcertbundle: {bundle}\n"
            )
        }
        _ => String::new(),
    };
    base + &tls.unwrap_or_default() + &auth
}

/// skopeo without policy, and without configuration and credentials of the host.
pub fn skopeo() -> Option<Command> {
    let command = peer("skopeo")?.command().env("XDG_RUNTIME_DIR", "/nonexistent");
    Some(command.args(["--insecure-policy", "--registries.d", "/nonexistent"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Image, Packing};
    use crate::proof;
    use crate::tarball::{Member, tar};

    const PROOF: &str = "testkit: skopeo writes and reads docker-registry, open and guarded, clear and TLS";

    /// The judge of every start: skopeo pushes with the password and pulls again.
    #[test]
    fn skopeo_writes_and_reads_every_kind_of_registry() {
        let Some(_) = skopeo() else { return proof::skipped(PROOF, "skopeo is missing") };
        let scratch = scratch();
        Image::of(&[tar([Member::file("a", "1")])], Packing::Gzip).layout().write(&scratch.path("image"));
        let source = format!("oci:{}:latest", scratch.path("image").display());
        let mut cases = 0;
        for wire in [Wire::Clear, Wire::Tls] {
            for guard in [Guard::Open, Guard::Password, Guard::Token] {
                let Some(registry) = Registry::start(wire, guard) else {
                    return proof::skipped(PROOF, "docker-registry or openssl is missing");
                };
                let target = format!("docker://{}/app:1", registry.host());
                let trust = match wire {
                    Wire::Clear => "--dest-tls-verify=false".to_owned(),
                    Wire::Tls => format!("--dest-cert-dir={}", certificates(&registry).display()),
                };
                let skopeo = || skopeo().expect("found before").args(["copy", &trust, &source, &target]);
                let creds = format!("--dest-creds={}", registry.creds());
                skopeo().arg(creds).ok();
                assert_eq!(skopeo().run().success(), guard == Guard::Open, "{wire:?} {guard:?}");
                let asked = registry.requests();
                assert!(asked.iter().any(|it| it == "PUT /v2/app/manifests/1 201"), "{asked:?}");
                cases += 2;
            }
        }
        proof::ran(PROOF, cases);
    }

    fn certificates(registry: &Registry) -> PathBuf {
        let folder = registry.folder.folder("trust");
        fs::write(folder.join("ca.crt"), registry.root().expect("a root")).expect("written");
        folder
    }
}
