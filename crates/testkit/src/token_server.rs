//! A server of bearer tokens, as registries send one to (Docker's token authentication, and OAuth2's refresh).
//!
//! ```text
//! GET  /token?service=S&scope=repository:app:pull,push     Basic, or nobody
//! POST /token  grant_type=refresh_token|password&…&scope=…
//!      → {"token": …, "access_token": …, "expires_in": 300, "issued_at": …, "refresh_token": …}
//! ```
//!
//! Everybody may pull what begins with `public/`; [`USER`] may do everything. What was given is written in a book, by
//! which a registry of testkit asks what a token allows; docker-registry reads it in the token itself.

use crate::authority::Authority;
use crate::http::{self, Asked, Reply, base64};
use crate::line::{Line, Tls};
use crate::listener::Listener;
use crate::peer::{Peer, peer};
use crate::scratch::{Scratch, scratch};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Who may do everything.
pub const USER: &str = "app";
/// The password of [`USER`].
pub const PASSWORD: &str = "secret word";
/// The one service that tokens are given for.
pub const SERVICE: &str = "registry.test";
/// Who signs.
pub const ISSUER: &str = "orlop testkit";

/// How the server behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it says: tokens are good for five minutes.
    #[default]
    Honest,
    /// Tokens are good for this time, and it says so in whole seconds.
    Brief(Duration),
    /// Tokens are said to be good for an hour and are good for this time.
    Liar(Duration),
    /// Its tokens are good for nothing.
    Useless,
    /// Tokens of one mebibyte.
    Huge,
    /// A token with the end of a line in it.
    Torn,
    /// Nobody gets a token.
    Refuses,
    /// Its clock is an hour behind: every token seems to be over.
    Behind,
    /// It says nothing of how long a token is good, and calls it `access_token`.
    Terse,
}

/// The server; it ends when it is dropped.
pub struct TokenServer {
    listener: Listener,
    scheme: &'static str,
    office: Arc<Office>,
}

/// Who signs, and what was given.
struct Office {
    manner: Manner,
    signer: Option<Signer>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    asked: Vec<Asked>,
    grants: BTreeMap<String, Grant>,
    refresh: BTreeSet<String>,
}

/// What one token is good for.
struct Grant {
    access: Vec<(String, String, Vec<String>)>,
    until: Instant,
}

impl TokenServer {
    /// Tokens that only a registry of testkit understands.
    pub fn start(manner: Manner) -> Self {
        Self::with(manner, None, None)
    }

    /// Tokens that docker-registry understands, under TLS where there is an authority; `None` where `openssl` is
    /// missing.
    pub fn signing(manner: Manner, authority: Option<&Authority>) -> Option<Self> {
        Some(Self::with(manner, Some(Signer::new()?), authority.map(Tls::new)))
    }

    fn with(manner: Manner, signer: Option<Signer>, tls: Option<Tls>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let office = Arc::new(Office { manner, signer, book: Mutex::default() });
        let desk = Arc::clone(&office);
        let serve = move |stream| http::serve(Line::new(stream, tls.as_ref()), |asked| desk.answer(asked));
        Self { listener: Listener::start(serve), scheme, office }
    }

    /// What a challenge names: `http://127.0.0.1:PORT/token`.
    pub fn realm(&self) -> String {
        format!("{}://{}/token", self.scheme, self.listener.host())
    }

    /// `WWW-Authenticate` for somebody who lacks `scope`.
    pub fn challenge(&self, scope: &str) -> String {
        format!(r#"Bearer realm="{}",service="{SERVICE}",scope="{scope}""#, self.realm())
    }

    /// The certificates that docker-registry trusts for tokens, in PEM.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.office
            .signer
            .as_ref()
            .map(|signer| std::fs::read(signer.folder.path("pem")).expect("it was made"))
    }

    /// Whether a token that was given here is still good for an action on a repository.
    pub fn allows(&self, token: &str, repository: &str, action: &str) -> bool {
        let book = self.office.book.lock().expect("no holder panics");
        self.office.manner != Manner::Useless
            && book.grants.get(token).is_some_and(|grant| {
                let covers = |(kind, name, actions): &(String, String, Vec<String>)| {
                    let names = kind == "repository" && name == repository
                        || kind == "registry" && repository.is_empty();
                    names && actions.iter().any(|it| it == action || it == "*")
                };
                grant.until > Instant::now() && grant.access.iter().any(covers)
            })
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.office.book.lock().expect("no holder panics").asked.clone()
    }

    /// Takes every token back.
    pub fn revoke(&self) {
        self.office.book.lock().expect("no holder panics").grants.clear();
    }
}

impl Office {
    fn answer(&self, asked: &Asked) -> Reply {
        self.book.lock().expect("no holder panics").asked.push(asked.clone());
        let form = match asked.method.as_str() {
            "GET" => asked.query(),
            "POST" => http::parameters(&String::from_utf8_lossy(&asked.body)),
            _ => return Reply::error(405, "UNSUPPORTED", "GET or POST"),
        };
        let user = match self.user(asked, &form) {
            Ok(user) if self.manner != Manner::Refuses => user,
            _ => return Reply::error(401, "UNAUTHORIZED", "nobody is known by that name"),
        };
        let none = Vec::new();
        let scopes = form.get("scope").unwrap_or(&none).iter().flat_map(|scope| scope.split(' '));
        let access: Vec<_> = scopes.filter_map(|scope| granted(user, scope)).collect();
        Reply::json(200, &self.give(user, access, is_lasting(asked, &form)))
    }

    /// Nobody is somebody too; a wrong password is an error.
    fn user(&self, asked: &Asked, form: &BTreeMap<String, Vec<String>>) -> Result<&'static str, ()> {
        let first = |name: &str| form.get(name).map(|values| values[0].clone()).unwrap_or_default();
        match first("grant_type").as_str() {
            "refresh_token" => {
                let book = self.book.lock().expect("no holder panics");
                return if book.refresh.contains(&first("refresh_token")) { Ok(USER) } else { Err(()) };
            }
            "password" => return known(&first("username"), &first("password")),
            _ => {}
        }
        match asked.basic() {
            Some((user, password)) => known(&user, &password),
            None if asked.header("Authorization").is_some() => Err(()),
            None => Ok(""),
        }
    }

    fn give(&self, user: &str, access: Vec<(String, String, Vec<String>)>, lasting: Lasting) -> Value {
        let token = self.token(user, &access);
        let (good, said) = match self.manner {
            Manner::Brief(time) => (time, time.as_secs().max(1)),
            Manner::Liar(time) => (time, 3600),
            _ => (Duration::from_secs(300), 300),
        };
        let mut book = self.book.lock().expect("no holder panics");
        book.grants.insert(token.clone(), Grant { access, until: Instant::now() + good });
        if self.manner == Manner::Terse {
            return json!({ "access_token": token });
        }
        let skew = if self.manner == Manner::Behind { 3600 } else { 0 };
        let mut given = json!({"token": token, "access_token": token, "expires_in": said, "issued_at": stamp(now() - skew)});
        if lasting == Lasting::Yes && !user.is_empty() {
            let refresh = format!("refresh-{}", book.refresh.len());
            given["refresh_token"] = json!(refresh);
            book.refresh.insert(refresh);
        }
        given
    }

    fn token(&self, user: &str, access: &[(String, String, Vec<String>)]) -> String {
        let number = self.book.lock().expect("no holder panics").grants.len();
        match (&self.signer, self.manner) {
            (Some(signer), _) => signer.token(user, access, number),
            (None, Manner::Huge) => format!("token-{number}-{}", "x".repeat(1 << 20)),
            (None, Manner::Torn) => format!("token-{number}\r\nX-Smuggled: yes"),
            (None, _) => format!("token-{number}"),
        }
    }
}

/// Whether a refresh token is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasting {
    Yes,
    No,
}

fn is_lasting(asked: &Asked, form: &BTreeMap<String, Vec<String>>) -> Lasting {
    let says = |name: &str, value: &str| form.get(name).is_some_and(|values| values[0] == value);
    let is_asked = asked.method == "POST" && says("access_type", "offline") || says("offline_token", "true");
    if is_asked { Lasting::Yes } else { Lasting::No }
}

fn known(user: &str, password: &str) -> Result<&'static str, ()> {
    if (user, password) == (USER, PASSWORD) { Ok(USER) } else { Err(()) }
}

/// The part of a scope that a user has: `repository:public/app:pull,push` → pull alone for nobody.
fn granted(user: &str, scope: &str) -> Option<(String, String, Vec<String>)> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let may = |action: &&str| {
        user == USER || kind == "repository" && name.starts_with("public/") && *action == "pull"
    };
    let actions: Vec<_> = actions.split(',').filter(may).map(Into::into).collect();
    (!actions.is_empty()).then(|| (kind.into(), name.into(), actions))
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// RFC 3339, by the days of the civil calendar (era of 400 years beginning in March).
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400 + 719_468, seconds % 86400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (of_month, month) =
        (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Signs as docker-registry verifies: RS256, the certificate in the head of the token.
struct Signer {
    openssl: Peer,
    folder: Scratch,
    certificate: String,
}

impl Signer {
    fn new() -> Option<Self> {
        let (openssl, folder) = (peer("openssl")?, scratch());
        let make = openssl.command().args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        let make = make.args(["-subj", "/CN=tokens", "-keyout"]).arg(folder.path("key"));
        make.arg("-out").arg(folder.path("pem")).ok();
        let pem = std::fs::read_to_string(folder.path("pem")).expect("it was made");
        let certificate = pem.lines().filter(|line| !line.starts_with("---")).collect();
        Some(Self { openssl, folder, certificate })
    }

    fn token(&self, user: &str, access: &[(String, String, Vec<String>)], number: usize) -> String {
        let access: Vec<_> = access
            .iter()
            .map(|(kind, name, it)| json!({"type": kind, "name": name, "actions": it}))
            .collect();
        let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": ISSUER, "sub": user, "aud": SERVICE, "jti": number.to_string(), "access": access,
            "exp": now() + 300, "nbf": now() - 10, "iat": now(),
        });
        let text =
            format!("{}.{}", for_urls(head.to_string().as_bytes()), for_urls(claims.to_string().as_bytes()));
        let sign = self.openssl.command().args(["dgst", "-sha256", "-sign"]).arg(self.folder.path("key"));
        let signature = sign.input(text.as_bytes()).ok().stdout;
        format!("{text}.{}", for_urls(&signature))
    }
}

/// RFC 4648, section 5, without padding (RFC 7515).
fn for_urls(bytes: &[u8]) -> String {
    base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_cut_to_what_the_user_may() {
        let pull = |name: &str| Some(("repository".into(), name.into(), vec!["pull".into()]));
        assert_eq!(granted("", "repository:public/app:pull,push"), pull("public/app"));
        assert_eq!(granted("", "repository:app:pull"), None);
        assert_eq!(granted(USER, "repository:host:80/app:pull"), pull("host:80/app"));
        assert_eq!(granted("", "registry:catalog:*"), None);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
        ] {
            assert_eq!(stamp(seconds), text);
        }
    }

    #[test]
    fn a_token_is_good_for_its_scope_and_its_time() {
        let server = TokenServer::start(Manner::Brief(Duration::from_millis(50)));
        let access = vec![("repository".into(), "app".into(), vec!["pull".into()])];
        let given = server.office.give(USER, access, Lasting::Yes);
        let token = given["token"].as_str().expect("a token");
        assert!(server.allows(token, "app", "pull"));
        assert!(!server.allows(token, "app", "push") && !server.allows(token, "other", "pull"));
        std::thread::sleep(Duration::from_millis(60));
        assert!(!server.allows(token, "app", "pull"));
        assert_eq!(given["refresh_token"], "refresh-0");
    }
}
