//! What a client is given: a fault server in the clear, one user, a journal in memory, little patience.

use orlop_remote::{Client, Options, Pool, Push, Remote, Resolve};
use orlop_spec::network::{
    Access, Added, Credential, Endpoint, Hosts, Journal, Network, Proxy, Secrets, Serves, Tls, Token,
    TokenKey, Trust, Upload, UploadKey,
};
use orlop_spec::port::{Result, Spool, Spools};
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Scheme, Site};
use orlop_spec::{AnyDigest, Cancel, Context, Limits, Timestamp};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};
use testkit::authority::Authority;
use testkit::fault_server::{Fault, FaultServer, Guard};
use testkit::token_server::{PASSWORD, USER};

/// How long a server may be silent.
pub(crate) const STALL: Duration = Duration::from_millis(700);

/// What is sent at once where chunks are wanted.
const CHUNK: u64 = 100_000;

/// One server and what its client shares.
pub(crate) struct World {
    pub(crate) server: FaultServer,
    roots: Vec<Vec<u8>>,
    pub(crate) notes: Notes,
    site: Site,
    options: Options,
    cancel: Cancel,
    limits: Limits,
    pool: Pool,
}

impl World {
    /// A server in the clear.
    pub(crate) fn new(server: FaultServer) -> Self {
        let site = Site::parse(Scheme::Http, &server.host()).expect("a site");
        let patience = Duration::from_secs(3);
        Self {
            server,
            roots: Vec::new(),
            notes: Notes::default(),
            site,
            options: Options { stall: STALL, patience, ..Options::default() },
            cancel: Cancel::new(),
            limits: Limits::default(),
            pool: Pool::default(),
        }
    }

    /// A server under TLS, whose authority is known, and that lets everybody in.
    pub(crate) fn under_tls(fault: Option<&'static Fault>, authority: &Authority) -> Self {
        Self::new(FaultServer::under_tls(fault, Guard::Open, authority)).speaking_tls(authority)
    }

    /// The same, spoken to under TLS.
    pub(crate) fn speaking_tls(self, authority: &Authority) -> Self {
        let site = Site::parse(Scheme::Https, &self.site.authority()).expect("a site");
        Self { site, roots: vec![authority.pem("root.pem")], ..self }
    }

    /// The same, looked for elsewhere.
    pub(crate) fn towards(self, host: &str) -> Self {
        Self { site: Site::parse(self.site.scheme(), host).expect("a site"), ..self }
    }

    /// The same, with small chunks.
    pub(crate) fn in_chunks(self) -> Self {
        Self { options: Options { chunk: CHUNK, ..self.options }, ..self }
    }

    fn client(&self) -> Client<'_> {
        let workers = NonZeroUsize::MIN;
        let cx = Context { observer: &(), cancel: &self.cancel, limits: &self.limits, workers };
        let network = Network { hosts: self, trust: self, secrets: self, journal: &self.notes, clock: &now };
        Client::new(cx, network, &self.pool, self.options.clone())
    }

    pub(crate) fn repository(&self, name: &str) -> Repository {
        Repository::parse(&format!("{}/{name}", self.site.authority())).expect("a repository")
    }

    pub(crate) fn open(&self) -> Result<Remote<'_>> {
        Remote::open(self.client(), &self.repository("app"), Resolve::Fetch)
    }

    pub(crate) fn create(&self) -> Result<Push<'_>> {
        Push::create(self.client(), &self.repository("app"), &NoSpools)
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }
}

fn now() -> Timestamp {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_epoch(&time.as_secs().to_string()).expect("before the end")
}

impl Hosts for World {
    fn endpoints(&self, repository: &Repository, _: Access) -> Result<Vec<Endpoint>> {
        let sites = vec![self.site.clone()];
        Ok(vec![Endpoint {
            sites,
            root: "/v2".into(),
            repository: repository.clone(),
            serves: Serves::All,
            namespace: None,
            headers: Added::NONE,
        }])
    }
}

impl Trust for World {
    fn tls(&self, _: &Site) -> Result<Tls> {
        Ok(Tls { roots: self.roots.clone(), ..Tls::default() })
    }

    fn proxy(&self, _: &Site) -> Result<Option<Proxy>> {
        Ok(None)
    }

    fn is_insecure(&self, _: &Site) -> bool {
        false
    }
}

/// One user, whom one registry knows.
impl Secrets for World {
    fn credential(&self, _: &Repository) -> Result<Option<Credential>> {
        Ok(Some(Credential::Basic { user: USER.into(), password: PASSWORD.into() }))
    }

    fn token(&self, _: &TokenKey) -> Option<Token> {
        None
    }

    fn keep(&self, _: &TokenKey, _: &Token) {}
}

/// A journal in memory.
#[derive(Default)]
pub(crate) struct Notes {
    uploads: Mutex<HashMap<UploadKey, Upload>>,
    holders: Mutex<HashMap<AnyDigest, Vec<Box<str>>>>,
}

impl Journal for Notes {
    fn upload(&self, key: &UploadKey) -> Option<Upload> {
        self.uploads.lock().expect("no holder panics").get(key).cloned()
    }

    fn note_upload(&self, key: &UploadKey, upload: Option<&Upload>) {
        let mut uploads = self.uploads.lock().expect("no holder panics");
        match upload {
            Some(upload) => uploads.insert(key.clone(), upload.clone()),
            None => uploads.remove(key),
        };
    }

    fn holders(&self, _: &Site, blob: &AnyDigest) -> Vec<Box<str>> {
        self.holders.lock().expect("no holder panics").get(blob).cloned().unwrap_or_default()
    }

    fn note_holder(&self, _: &Site, blob: &AnyDigest, repository: &str) {
        let mut holders = self.holders.lock().expect("no holder panics");
        holders.entry(blob.clone()).or_default().push(repository.into());
    }
}

/// What is put has digests: nothing is spooled.
struct NoSpools;

impl Spools for NoSpools {
    fn spool(&self) -> Result<Box<dyn Spool>> {
        panic!("nothing is begun without its digest")
    }
}
