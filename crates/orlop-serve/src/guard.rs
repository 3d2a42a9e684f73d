//! Who is let in: bearer tokens of the server's own (distribution's token authentication), for users with passwords.
//!
//! ```text
//! GET /v2/app/manifests/1   ──► 401, WWW-Authenticate: Bearer realm="http://HOST/token",service="HOST"
//! GET /token, Basic ALICE   ──► 200, {"token": "T"}        T = seconds.user.MAC(seconds.user)
//! GET /v2/app/manifests/1, Bearer T   ──► 200
//! ```
//!
//! Invariant: a token is believed for its time only, by a secret that never leaves; texts are compared in a time
//! that does not depend on where they differ. Whoever is let in may read everything.

use crate::answer::Answer;
use crate::request::Asked;
use orlop_spec::digest::{Algorithm, Digest};
use orlop_spec::wire::failure::Code;
use orlop_spec::{base64, json};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// How long a token is good for.
const LIFETIME: Duration = Duration::from_secs(300);
/// Bytes that a block of SHA-256 has.
const BLOCK: usize = 64;

/// Who is let in.
pub struct Guard {
    secret: [u8; 32],
    users: BTreeMap<Box<str>, Box<str>>,
    began: Instant,
}

/// Its contents are secret.
impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl Guard {
    /// Lets in users by their passwords. The secret must be random, and is for one server.
    pub fn new(secret: [u8; 32], users: impl IntoIterator<Item = (Box<str>, Box<str>)>) -> Self {
        Self { secret, users: users.into_iter().collect(), began: Instant::now() }
    }

    /// Whether a request bears a token that holds.
    pub(crate) fn admits(&self, asked: &Asked) -> bool {
        let value = asked.headers.get("Authorization").unwrap_or_default();
        let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        token.is_some_and(|(_, token)| self.holds(token.trim()))
    }

    /// Says where tokens are given.
    pub(crate) fn challenge(asked: &Asked, host: &str) -> Answer<'static> {
        let is_behind_tls = asked.headers.get("X-Forwarded-Proto") == Some("https");
        let scheme = if is_behind_tls { "https" } else { "http" };
        Answer::refused(401, &Code::Unauthorized, "authentication required")
            .with("WWW-Authenticate", &format!("Bearer realm=\"{scheme}://{host}/token\",service=\"{host}\""))
    }

    /// Gives a token to a user.
    pub(crate) fn grant(&self, asked: &Asked) -> Answer<'static> {
        let Some(user) = self.user(asked) else {
            return Answer::refused(401, &Code::Unauthorized, "no such user, or another password")
                .with("WWW-Authenticate", "Basic realm=\"orlop\"");
        };
        let token = self.token(&user, self.began.elapsed() + LIFETIME);
        let body = json!({ "token": token, "access_token": token, "expires_in": LIFETIME.as_secs() });
        Answer::document(200, "application/json", json::print(&body)).with("Cache-Control", "no-store")
    }

    fn user(&self, asked: &Asked) -> Option<String> {
        let (scheme, words) = asked.headers.get("Authorization")?.split_once(' ')?;
        let text = String::from_utf8(base64::decode(words.trim())?).ok()?;
        let (user, password) = text.split_once(':').filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let known = self.users.get(user).map_or("", |it| it);
        let is_right = self.mac(known.as_bytes()) == self.mac(password.as_bytes());
        (is_right && self.users.contains_key(user)).then(|| user.to_owned())
    }

    fn token(&self, user: &str, until: Duration) -> String {
        let claim = format!("{}.{}", until.as_secs(), base64::encode(user.as_bytes()));
        format!("{claim}.{}", self.mac(claim.as_bytes()).hex())
    }

    fn holds(&self, token: &str) -> bool {
        let Some((claim, mac)) = token.rsplit_once('.') else { return false };
        let until = claim.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        // The MAC of the MAC: where two texts differ then says nothing of either.
        self.mac(self.mac(claim.as_bytes()).hex().as_bytes()) == self.mac(mac.as_bytes())
            && self.began.elapsed().as_secs() < until
    }

    /// HMAC with SHA-256 (RFC 2104).
    fn mac(&self, text: &[u8]) -> Digest {
        let mut key = [0; BLOCK];
        key[..self.secret.len()].copy_from_slice(&self.secret);
        let inner = [&key.map(|byte| byte ^ 0x36)[..], text].concat();
        let inner = Digest::of(Algorithm::Sha256, &inner);
        Digest::of(Algorithm::Sha256, &[&key.map(|byte| byte ^ 0x5c)[..], inner.bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::take;

    fn guard() -> Guard {
        Guard::new([7; 32], [("alice".into(), "s3cret".into()), ("bob".into(), "".into())])
    }

    fn asked(authorization: &str) -> Asked {
        let head = format!("GET /token HTTP/1.1\r\nHost: h\r\nAuthorization: {authorization}\r\n\r\n");
        take(&mut head.into_bytes()).expect("a head").expect("whole")
    }

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        // Test case 2, whose key is padded with zeros as every key shorter than a block is.
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(b"Jefe");
        let mac = Guard::new(secret, []).mac(b"what do ya want for nothing?").hex();
        assert_eq!(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_token_holds_for_its_time_and_its_server_alone() {
        let guard = guard();
        let token = guard.token("alice", Duration::from_secs(300));
        assert!(guard.holds(&token));
        assert!(guard.admits(&asked(&format!("bearer {token}"))));
        assert!(!guard.admits(&asked(&format!("Basic {token}"))));
        let older = Guard {
            began: Instant::now().checked_sub(Duration::from_secs(10)).expect("it is later"),
            ..Guard::new([7; 32], [])
        };
        assert!(older.holds(&older.token("alice", Duration::from_secs(60))));
        assert!(!older.holds(&older.token("alice", Duration::from_secs(9))));
        assert!(!Guard::new([8; 32], []).holds(&token));
        let later = token.replacen("300", "900", 1);
        for bad in ["", ".", "..", &later, &token[1..], &token[..token.len() - 1]] {
            assert!(!guard.holds(bad), "{bad}");
        }
    }

    #[test]
    fn a_token_is_given_for_the_right_password_alone() {
        let status =
            |text: &str| guard().grant(&asked(&format!("Basic {}", base64::encode(text.as_bytes())))).status;
        assert_eq!((status("alice:s3cret"), status("bob:")), (200, 200));
        for bad in ["alice:", "alice:s3cre", "alice:s3cret2", "carol:", "carol:s3cret", "alice", ""] {
            assert_eq!(status(bad), 401, "{bad}");
        }
        assert_eq!(guard().grant(&asked("Bearer x")).status, 401);
    }
}
