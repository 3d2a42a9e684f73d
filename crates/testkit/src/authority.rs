//! A certificate authority for one test: made by the `openssl` program, gone with its folder.
//!
//! ```text
//! root.pem, root.key     who vouches
//! site.pem, site.key     localhost, 127.0.0.1 and ::1, vouched for by root
//! alone.pem, alone.key   the same, vouched for by nobody else, and made as `openssl req -x509` makes it: an authority
//! ```

use crate::peer::{Peer, peer};
use crate::scratch::{Scratch, scratch};
use std::fs;
use std::path::PathBuf;

/// Keys and certificates in PEM.
pub struct Authority {
    openssl: Peer,
    folder: Scratch,
}

const CONFIG: &str = "
[req]
distinguished_name = name
prompt = no
[name]
CN = orlop test
[root]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
keyUsage = critical, keyCertSign, digitalSignature
[site]
basicConstraints = critical, CA:FALSE
authorityKeyIdentifier = keyid
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, DNS:*.localhost, IP:127.0.0.1, IP:::1
[alone]
basicConstraints = critical, CA:TRUE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1
";

impl Authority {
    /// A new one; `None` where `openssl` is missing.
    pub fn new() -> Option<Self> {
        let this = Self { openssl: peer("openssl")?, folder: scratch() };
        this.folder.file("config", CONFIG);
        this.certificate("root", &[]);
        this.certificate("alone", &[]);
        let root = this.path("root.pem");
        let (root, key) = (root.to_string_lossy(), this.path("root.key"));
        this.certificate("site", &["-CA", &root, "-CAkey", &key.to_string_lossy()]);
        Some(this)
    }

    fn certificate(&self, name: &str, issuer: &[&str]) {
        let make = self.openssl.command().args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        let make = make.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-config"]);
        let make = make.arg(self.path("config")).args(["-extensions", name]).args(issuer);
        let make = make.arg("-keyout").arg(self.path(&format!("{name}.key")));
        make.arg("-out").arg(self.path(&format!("{name}.pem"))).ok();
    }

    /// One of the files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// The content of one of the files.
    pub fn pem(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file was made")
    }
}
