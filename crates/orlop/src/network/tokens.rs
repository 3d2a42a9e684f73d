//! Tokens of earlier runs (`docs/formats/state.md`).
//!
//! ```text
//! $XDG_CACHE_HOME/orlop/tokens/HEX     0600 in 0700; HEX is the sha256 of the whole key
//! ```
//!
//! Invariant: a token is used for exactly what it was given for, and never near the end of its life. Everything here
//! is a hint: what cannot be read or written is as if it were not there.

use super::private;
use orlop_fs::Dir;
use orlop_spec::network::{Token, TokenKey};
use orlop_spec::{Algorithm, Digest, Timestamp, json};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where tokens are kept.
pub(super) struct Tokens {
    folder: Option<PathBuf>,
    user: u32,
    is_swept: AtomicBool,
}

/// A clock may be wrong by that much, and a request may take that long. Seconds.
const MARGIN: i64 = 15;
/// As many files as are kept.
const MOST: usize = 256;
/// A token has 64 KiB at most.
const LARGEST: u64 = 80 << 10;

impl Tokens {
    pub(super) fn new(folder: Option<PathBuf>, user: u32) -> Self {
        Self { folder, user, is_swept: AtomicBool::new(false) }
    }

    pub(super) fn find(&self, key: &TokenKey, now: Timestamp) -> Option<Token> {
        let folder = private::open(self.folder.as_deref()?, self.user)?;
        let document = self.read(&folder, &name(key))?;
        let token = Token {
            text: document.get("token")?.as_str()?.into(),
            expires: document.get("expires")?.as_str()?.parse().ok()?,
        };
        let is_good = document.get("key") == Some(&describe(key)) && is_fresh(&token, now);
        is_good.then_some(token)
    }

    pub(super) fn keep(&self, key: &TokenKey, token: &Token, now: Timestamp) {
        if !is_fresh(token, now) {
            return;
        }
        let folder = self.folder.as_deref().and_then(|path| private::open_or_make(path, self.user));
        let Some(folder) = folder else { return };
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            self.sweep(&folder, now);
        }
        let document = json!({
            "version": 1,
            "key": describe(key),
            "expires": token.expires.to_string(),
            "token": &*token.text,
        });
        // Without it the next run asks again.
        private::write(&folder, &name(key), &json::print(&document)).ok();
    }

    /// Removes what is past its time, and what is too much.
    fn sweep(&self, folder: &Dir, now: Timestamp) {
        let mut kept = 0;
        for name in folder.list().unwrap_or_default() {
            let expires = str::from_utf8(&name)
                .ok()
                .and_then(|name| self.read(folder, name))
                .and_then(|it| it.get("expires")?.as_str()?.parse::<Timestamp>().ok());
            if expires.is_some_and(|expires| expires > now) && kept < MOST {
                kept += 1;
            } else {
                folder.remove_file(&name).ok();
            }
        }
    }

    fn read(&self, folder: &Dir, name: &str) -> Option<Value> {
        let bytes = private::read(folder, name, self.user, LARGEST)?;
        json::value(&bytes).ok().filter(|document| document.get("version") == Some(&json!(1)))
    }
}

fn is_fresh(token: &Token, now: Timestamp) -> bool {
    token.expires.seconds() > now.seconds().saturating_add(MARGIN)
}

fn name(key: &TokenKey) -> String {
    Digest::of(Algorithm::Sha256, &json::print(&describe(key))).hex()
}

/// All of the key, so that two that differ in anything have different names.
fn describe(key: &TokenKey) -> Value {
    json!({
        "site": key.site.to_string(),
        "realm": key.realm.to_string(),
        "service": &*key.service,
        "scopes": key.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(),
        "account": key.account.as_ref().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::AnyDigest;
    use orlop_spec::wire::{Address, Scheme, Site};
    use std::os::unix::fs::PermissionsExt as _;

    fn key() -> TokenKey {
        TokenKey {
            site: Site::parse(Scheme::Https, "reg.example").expect("a site"),
            realm: Address::parse("https://auth.example/token").expect("an address"),
            service: "reg".into(),
            scopes: vec!["repository:a:pull".into()],
            account: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(seconds, 0).expect("a time")
    }

    fn token(expires: i64) -> Token {
        Token { text: "hunter2".into(), expires: at(expires) }
    }

    fn user() -> u32 {
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc"))
    }

    #[test]
    fn a_token_is_used_for_what_it_was_given_for_and_nothing_else() {
        let scratch = testkit::scratch();
        let tokens = Tokens::new(Some(scratch.path("cache/tokens")), user());
        tokens.keep(&key(), &token(1000), at(100));
        assert_eq!(tokens.find(&key(), at(900)), Some(token(1000)));
        let account = AnyDigest::from(Digest::of(Algorithm::Sha256, b"someone"));
        let others = [
            TokenKey { site: Site::parse(Scheme::Http, "reg.example").expect("a site"), ..key() },
            TokenKey { realm: Address::parse("https://auth.example/").expect("an address"), ..key() },
            TokenKey { service: "other".into(), ..key() },
            TokenKey { scopes: vec!["repository:a:pull,push".into()], ..key() },
            TokenKey { account: Some(account), ..key() },
        ];
        for other in others {
            assert_eq!(tokens.find(&other, at(900)), None, "{other:?}");
        }
    }

    #[test]
    fn a_token_is_not_used_near_or_past_its_end() {
        let scratch = testkit::scratch();
        let tokens = Tokens::new(Some(scratch.path("tokens")), user());
        tokens.keep(&key(), &token(1000), at(100));
        assert!(tokens.find(&key(), at(1000 - MARGIN - 1)).is_some());
        assert!(tokens.find(&key(), at(1000 - MARGIN)).is_none());
        tokens.keep(&key(), &token(1000), at(2000));
        assert_eq!(std::fs::read_dir(scratch.path("tokens")).expect("a folder").count(), 1);
    }

    #[test]
    fn what_is_past_its_time_or_damaged_is_removed() {
        let scratch = testkit::scratch();
        let folder = scratch.path("tokens");
        let other = TokenKey { service: "other".into(), ..key() };
        Tokens::new(Some(folder.clone()), user()).keep(&key(), &token(1000), at(100));
        std::fs::write(folder.join("damaged"), "{").expect("written");
        Tokens::new(Some(folder.clone()), user()).keep(&other, &token(9000), at(1500));
        let names: Vec<_> =
            std::fs::read_dir(&folder).expect("a folder").map(|it| it.expect("it").file_name()).collect();
        assert_eq!(names, [name(&other).as_str()]);
    }

    #[test]
    fn nobody_else_can_read_a_token_and_a_folder_of_others_is_not_used() {
        let scratch = testkit::scratch();
        let folder = scratch.path("cache/tokens");
        let tokens = Tokens::new(Some(folder.clone()), user());
        tokens.keep(&key(), &token(1000), at(100));
        let mode = |path: &std::path::Path| path.metadata().expect("it").permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(name(&key())))), (0o700, 0o600));

        let loosen = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
        };
        loosen(&folder.join(name(&key())), 0o644);
        assert_eq!(tokens.find(&key(), at(900)), None);
        loosen(&folder.join(name(&key())), 0o600);
        loosen(&folder, 0o755);
        assert_eq!(tokens.find(&key(), at(900)), None);
        std::fs::remove_file(folder.join(name(&key()))).expect("removed");
        tokens.keep(&key(), &token(1000), at(100));
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0);
        assert_eq!(Tokens::new(Some(folder), user() + 1).find(&key(), at(900)), None);
    }
}
