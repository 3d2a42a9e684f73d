//! What a client is given in tests: registries on this machine, no secrets, a journal in memory.

use orlop_remote::{Client, Options, Pool, Push, Remote, Resolve, Wide};
use orlop_spec::network::{
    Access, Added, Credential, Endpoint, Hosts, Journal, Network, Proxy, Secrets, Serves, Tls, Token,
    TokenKey, Trust, Upload, UploadKey,
};
use orlop_spec::port::{Result, Spool, Spools};
use orlop_spec::reference::Repository;
use orlop_spec::wire::{Scheme, Site};
use orlop_spec::{AnyDigest, Cancel, Context, Event, Limits, Observer, Timestamp};
use std::collections::HashMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

/// Everything that places of one test share.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) cancel: Cancel,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    pub(crate) seen: Seen,
    pub(crate) near: Near,
    pub(crate) notes: Notes,
    pub(crate) wide: Wide,
}

impl World {
    pub(crate) fn client(&self) -> Client<'_> {
        let workers = NonZeroUsize::MIN;
        let cx = Context { observer: &self.seen, cancel: &self.cancel, limits: &self.limits, workers };
        let network = Network {
            hosts: &self.near,
            trust: &self.near,
            secrets: &self.near,
            journal: &self.notes,
            clock: &|| Timestamp::EPOCH,
        };
        let (stall, wide) = (Duration::from_secs(5), self.wide.clone());
        let options = Options { retries: 2, stall, wide, ..Options::default() };
        Client::new(cx, network, &self.pool, options)
    }

    pub(crate) fn open(&self, repository: &str) -> Remote<'_> {
        self.open_to(repository, Resolve::Fetch)
    }

    pub(crate) fn open_to(&self, repository: &str, resolve: Resolve) -> Remote<'_> {
        Remote::open(self.client(), &parse(repository), resolve).expect("opening asks nobody")
    }

    pub(crate) fn create(&self, repository: &str) -> Push<'_> {
        Push::create(self.client(), &parse(repository), &InMemory).expect("making asks nobody")
    }
}

pub(crate) fn parse(repository: &str) -> Repository {
    Repository::parse(repository).expect(repository)
}

/// Hosts in the clear, mirrors where a test names some, and no secrets.
#[derive(Default)]
pub(crate) struct Near {
    /// Hosts that serve what is named here before the repository itself does.
    pub(crate) mirrors: Vec<(String, Serves)>,
    /// Tried before the sites in the clear.
    pub(crate) under_tls: bool,
}

impl Hosts for Near {
    fn endpoints(&self, repository: &Repository, access: Access) -> Result<Vec<Endpoint>> {
        let endpoint = |host: &str, serves| {
            let schemes: &[Scheme] =
                if self.under_tls { &[Scheme::Https, Scheme::Http] } else { &[Scheme::Http] };
            Endpoint {
                sites: schemes.iter().map(|scheme| Site::parse(*scheme, host).expect(host)).collect(),
                root: "/v2".into(),
                repository: parse(&format!("{host}/{}", repository.name())),
                serves,
                namespace: None,
                headers: Added::NONE,
            }
        };
        let mirrors = self.mirrors.iter().filter(|_| access == Access::Read);
        let mirrors = mirrors.map(|(host, serves)| endpoint(host, *serves));
        Ok(mirrors.chain([endpoint(repository.host(), Serves::All)]).collect())
    }
}

impl Trust for Near {
    fn tls(&self, _: &Site) -> Result<Tls> {
        Ok(Tls::default())
    }

    fn proxy(&self, _: &Site) -> Result<Option<Proxy>> {
        Ok(None)
    }

    fn is_insecure(&self, _: &Site) -> bool {
        false
    }
}

impl Secrets for Near {
    fn credential(&self, _: &Repository) -> Result<Option<Credential>> {
        Ok(None)
    }

    fn token(&self, _: &TokenKey) -> Option<Token> {
        None
    }

    fn keep(&self, _: &TokenKey, _: &Token) {}
}

/// Which blob on which site.
type Held = (Site, AnyDigest);

/// A journal in memory.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) uploads: Mutex<HashMap<UploadKey, Upload>>,
    pub(crate) holders: Mutex<HashMap<Held, Vec<Box<str>>>>,
}

impl Journal for Notes {
    fn upload(&self, key: &UploadKey) -> Option<Upload> {
        self.uploads.lock().expect("no test panics with it").get(key).cloned()
    }

    fn note_upload(&self, key: &UploadKey, upload: Option<&Upload>) {
        let mut uploads = self.uploads.lock().expect("no test panics with it");
        match upload {
            Some(upload) => uploads.insert(key.clone(), upload.clone()),
            None => uploads.remove(key),
        };
    }

    fn holders(&self, site: &Site, blob: &AnyDigest) -> Vec<Box<str>> {
        let holders = self.holders.lock().expect("no test panics with it");
        holders.get(&(site.clone(), blob.clone())).cloned().unwrap_or_default()
    }

    fn note_holder(&self, site: &Site, blob: &AnyDigest, repository: &str) {
        let mut holders = self.holders.lock().expect("no test panics with it");
        holders.entry((site.clone(), blob.clone())).or_default().push(repository.into());
    }
}

/// Keeps every event.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) Mutex<Vec<Event>>);

impl Observer for Seen {
    fn event(&self, event: Event) {
        self.0.lock().expect("no test panics with it").push(event);
    }
}

/// Spools in memory.
pub(crate) struct InMemory;

struct Bytes(Vec<u8>);

impl Spools for InMemory {
    fn spool(&self) -> Result<Box<dyn Spool>> {
        Ok(Box::new(Bytes(Vec::new())))
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spool for Bytes {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let at = usize::try_from(at).expect("small").min(self.0.len());
        io::Read::read(&mut &self.0[at..], buffer)
    }
}
