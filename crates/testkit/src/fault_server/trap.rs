//! Another site: it serves blobs, takes them, gives tokens and asks for passwords, and never may see a secret.

use super::shelf::{Shelf, ranged};
use crate::http::{self, Asked, Reply};
use crate::image::sha256;
use crate::listener::Listener;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// The other site; it ends when it is dropped.
pub struct Trap {
    listener: Listener,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl Trap {
    /// Starts it beside a shelf.
    pub(super) fn start(shelf: Arc<Mutex<Shelf>>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&seen);
        let serve = move |asked: &Asked| {
            list.lock().expect("no holder panics").push(asked.clone());
            answer(&mut shelf.lock().expect("no holder panics"), asked)
        };
        Self { listener: Listener::start(move |stream| http::serve(stream, &serve)), seen }
    }

    /// `http://localhost:PORT`: another name, too, than that of the server.
    pub fn site(&self) -> String {
        format!("http://localhost:{}", self.listener.port())
    }

    /// Everything that it was asked.
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().expect("no holder panics").clone()
    }

    /// The requests that told it something that is not for it: a secret, also in a form or a query.
    pub fn secrets(&self) -> Vec<Asked> {
        let told = |asked: &Asked| {
            let words = format!("{}&{}", asked.target, String::from_utf8_lossy(&asked.body));
            ["password=", "refresh_token=", "username="].iter().any(|word| words.contains(word))
        };
        self.seen().into_iter().filter(|asked| asked.has_secret() || told(asked)).collect()
    }
}

/// `/blob/REPOSITORY/DIGEST`, `/take/REPOSITORY?digest=`, `/token`, `/v2/…/tags/list`; else it asks for a password.
fn answer(shelf: &mut Shelf, asked: &Asked) -> Reply {
    let path = asked.path().to_owned();
    if let Some((repository, digest)) = path.strip_prefix("/blob/").and_then(|rest| rest.rsplit_once('/')) {
        return match shelf.blob(repository, digest) {
            Some(bytes) => ranged(bytes, asked.header("Range")),
            None => Reply::new(404),
        };
    }
    if let Some(repository) = path.strip_prefix("/take/") {
        let digest = sha256(&asked.body);
        shelf.blobs.insert((repository.into(), digest.clone()), asked.body.clone());
        return Reply::new(201).with("Docker-Content-Digest", digest);
    }
    match path.as_str() {
        "/token" => Reply::json(200, &json!({"token": "trap", "expires_in": 300})),
        _ if path.ends_with("/tags/list") => Reply::json(200, &json!({"name": "app", "tags": ["trapped"]})),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"trap\""),
    }
}
