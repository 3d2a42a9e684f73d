//! Asking an authorisation server for a token, and its answer (distribution's token specification; RFC 6749).
//!
//! ```text
//! GET  realm?service=reg&scope=repository:a:pull                      anonymous, or with a password as Basic
//! POST realm   grant_type=refresh_token&refresh_token=…&scope=…       with a refresh token
//!   ──► {"token": "…", "expires_in": 300, "issued_at": "2024-02-29T12:00:00Z"}
//! ```
//!
//! Invariant: what is sent and what is kept can stand in a header.

use super::address::escape;
use super::error::TokenProblem;
use super::{Address, Method, Request, WireError};
use crate::base64;
use crate::network::{Credential, Token, TokenKey};
use crate::time::Timestamp;
use serde_json::Value;

/// Bytes that an answer may have (N12).
pub const LONGEST: usize = 64 << 10;
/// How long a token is good where the server does not say.
const DEFAULT: i64 = 60;
/// Nobody gives tokens for longer: what says so is cut.
const LONGEST_LIFE: i64 = 365 * 86_400;
/// Who asks.
const CLIENT: &str = "orlop";

/// The question for a token: a request and its body, which is empty for `GET`.
pub fn request(key: &TokenKey, credential: Option<&Credential>) -> (Request, Vec<u8>) {
    match credential {
        None | Some(Credential::Bearer(_)) => (get(key, None), Vec::new()),
        Some(Credential::Basic { user, password }) => {
            (get(key, Some(user)).with("Authorization", basic(user, password)), Vec::new())
        }
        Some(Credential::Refresh(token)) => {
            post(key, &[("grant_type", "refresh_token"), ("refresh_token", token)])
        }
    }
}

/// The same with a password for servers that know `POST` alone.
pub fn request_by_password(key: &TokenKey, user: &str, password: &str) -> (Request, Vec<u8>) {
    post(key, &[("grant_type", "password"), ("username", user), ("password", password)])
}

/// The value of `Authorization` for a user and a password (RFC 7617).
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes()))
}

/// The value of `Authorization` for a token (RFC 6750); `None` where the token cannot stand in a header.
pub fn bearer(token: &str) -> Option<String> {
    let fits =
        !token.is_empty() && token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| format!("Bearer {token}"))
}

fn get(key: &TokenKey, user: Option<&str>) -> Request {
    let mut address = key.realm.clone();
    if !key.service.is_empty() {
        address = address.with_query("service", &key.service);
    }
    for scope in &key.scopes {
        address = address.with_query("scope", scope);
    }
    if let Some(user) = user {
        address = address.with_query("account", user);
    }
    Request::new(Method::Get, address.with_query("client_id", CLIENT)).with("Accept", "application/json")
}

fn post(key: &TokenKey, grant: &[(&str, &str)]) -> (Request, Vec<u8>) {
    let scopes = key.scopes.join(" ");
    let common = [("client_id", CLIENT), ("service", &*key.service), ("scope", &*scopes)];
    let fields = grant.iter().chain(&common).filter(|(_, value)| !value.is_empty());
    let form: Vec<String> = fields.map(|(name, value)| format!("{name}={}", escape(value, b""))).collect();
    let request = Request::new(Method::Post, key.realm.clone())
        .with("Content-Type", "application/x-www-form-urlencoded")
        .with("Accept", "application/json");
    (request, form.join("&").into_bytes())
}

/// Reads the answer of `realm`, which came at `now`.
pub fn read(realm: &Address, body: &[u8], now: Timestamp) -> Result<Token, WireError> {
    parse(body, now).map_err(|problem| WireError::Token { realm: Box::new(realm.clone()), problem })
}

fn parse(body: &[u8], now: Timestamp) -> Result<Token, TokenProblem> {
    if body.len() > LONGEST {
        return Err(TokenProblem::Long);
    }
    let value = crate::json::value(body).map_err(|_| TokenProblem::Json)?;
    let text = |name| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let token = text("token").or_else(|| text("access_token")).ok_or(TokenProblem::Missing)?;
    bearer(token).ok_or(TokenProblem::Characters)?;
    let life = match value.get("expires_in") {
        Some(life) => whole_seconds(life).unwrap_or(DEFAULT),
        None => DEFAULT,
    };
    let issued = text("issued_at").and_then(|text| text.parse().ok());
    Ok(Token { text: token.into(), expires: end(now, life.clamp(0, LONGEST_LIFE), issued) })
}

/// Some servers write a number with a fraction, or in quotes.
fn whole_seconds(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    text.split('.').next()?.parse().ok()
}

/// Counted from when it was issued, unless the clocks disagree about that.
fn end(now: Timestamp, life: i64, issued: Option<Timestamp>) -> Timestamp {
    let age = issued.map_or(0, |issued| now.seconds().saturating_sub(issued.seconds()));
    let left = if (0..life).contains(&age) { life - age } else { life };
    Timestamp::new(now.seconds().saturating_add(left), 0).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Scheme, Site};

    fn key() -> TokenKey {
        TokenKey {
            site: Site::parse(Scheme::Https, "reg.example").expect("a site"),
            realm: Address::parse("https://auth.example/token?x=1").expect("an address"),
            service: "reg & co".into(),
            scopes: vec!["repository:a:pull".into(), "repository:b:pull,push".into()],
            account: None,
        }
    }

    fn now() -> Timestamp {
        "2024-02-29T12:00:00Z".parse().expect("a time")
    }

    fn life(body: &str) -> Option<i64> {
        parse(body.as_bytes(), now()).ok().map(|token| token.expires.seconds() - now().seconds())
    }

    #[test]
    fn a_token_is_asked_for_by_get() {
        let (anonymous, body) = request(&key(), None);
        assert!(body.is_empty());
        assert_eq!(anonymous.headers.get("Authorization"), None);
        assert_eq!(
            anonymous.address.target(),
            "/token?x=1&service=reg%20%26%20co&scope=repository:a:pull&scope=repository:b:pull%2Cpush\
             &client_id=orlop"
        );
        let known = Credential::Basic { user: "me".into(), password: "pass\r\n".into() };
        let (request, _) = request(&key(), Some(&known));
        assert_eq!(request.headers.get("Authorization"), Some("Basic bWU6cGFzcw0K"));
        assert!(request.address.target().contains("&account=me&"));
    }

    #[test]
    fn a_refresh_token_and_a_password_may_go_in_a_form() {
        let (request, body) = request(&key(), Some(&Credential::Refresh("r/1+2".into())));
        assert_eq!((request.method, request.address.target()), (Method::Post, "/token?x=1"));
        assert_eq!(
            String::from_utf8_lossy(&body),
            "grant_type=refresh_token&refresh_token=r%2F1%2B2&client_id=orlop&service=reg%20%26%20co\
             &scope=repository%3Aa%3Apull%20repository%3Ab%3Apull%2Cpush"
        );
        let (_, body) = request_by_password(&key(), "me", "p&q");
        assert!(body.starts_with(b"grant_type=password&username=me&password=p%26q&"));
    }

    #[test]
    fn a_token_is_good_for_as_long_as_is_said() {
        for (body, seconds) in [
            (r#"{"token":"t"}"#, 60),
            (r#"{"access_token":"t","expires_in":300}"#, 300),
            (r#"{"token":"t","expires_in":"300"}"#, 300),
            (r#"{"token":"t","expires_in":300.7}"#, 300),
            (r#"{"token":"t","expires_in":-5}"#, 0),
            (r#"{"token":"t","expires_in":9999999999999}"#, LONGEST_LIFE),
            (r#"{"token":"t","expires_in":null,"issued_at":7}"#, 60),
            (r#"{"token":"t","expires_in":300,"issued_at":"2024-02-29T11:59:00Z"}"#, 240),
            (r#"{"token":"t","expires_in":300,"issued_at":"2024-02-29T11:00:00Z"}"#, 300),
            (r#"{"token":"t","expires_in":300,"issued_at":"2024-02-29T13:00:00Z"}"#, 300),
        ] {
            assert_eq!(life(body), Some(seconds), "{body}");
        }
        assert_eq!(parse(br#"{"token":"","access_token":"b"}"#, now()).map(|it| it.text), Ok("b".into()));
    }

    #[test]
    fn n12_what_is_no_token_or_too_long_is_refused() {
        let problem = |body: &str| parse(body.as_bytes(), now()).map(|_| ());
        assert_eq!(problem("<html>"), Err(TokenProblem::Json));
        assert_eq!(problem("{}"), Err(TokenProblem::Missing));
        assert_eq!(problem(r#"{"token":7}"#), Err(TokenProblem::Missing));
        assert_eq!(problem(r#"{"token":"a\r\nHost: evil"}"#), Err(TokenProblem::Characters));
        assert_eq!(problem(r#"{"token":"a b"}"#), Err(TokenProblem::Characters));
        assert_eq!(problem(&" ".repeat(LONGEST + 1)), Err(TokenProblem::Long));
        assert_eq!(bearer("\u{e9}"), None);
    }
}
