//! What holds whatever breaks, as far as the server sees it: for the client library and for the program alike.

use super::faults::{Effect, Fault, Walk};
use super::{FaultServer, Part};

/// Nobody is asked more often for two layers, or for pages that never end.
const REQUESTS: usize = 100;
const PAGES: usize = 12_000;

/// What is wrong with what the client asked, and whom it told what.
pub fn conduct(fault: &Fault, server: &FaultServer) -> Vec<String> {
    let mut wrong = Vec::new();
    let seen = server.seen();
    if !matches!(fault.effect, Effect::None) && server.strikes() == 0 {
        wrong.push("the fault never struck".into());
    }
    for told in server.trap().secrets() {
        wrong.push(format!(
            "another site was told a secret: {} {} {:?}",
            told.method, told.target, told.headers
        ));
    }
    let most = if fault.walk == Walk::Tags { PAGES } else { REQUESTS };
    if seen.len() + server.tokens().asked().len() > most {
        wrong.push(format!("{} requests, {} of tokens", seen.len(), server.tokens().asked().len()));
    }
    for asked in &seen {
        let headers = &asked.asked.headers;
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("X-Smuggled")) {
            wrong.push("a header was smuggled".into());
        }
    }
    for (at, early) in seen.iter().enumerate().filter_map(|(at, it)| Some((at, it.pause?))) {
        // Another blob may be on its way at the same time, and asks the same.
        let later = seen[at + 1..].iter().filter(|it| it.asked.target == seen[at].asked.target);
        let waited = later.map(|later| later.at - seen[at].at).max();
        wrong.extend(
            waited.filter(|it| *it < early).map(|it| format!("it waited {it:?} instead of {early:?}")),
        );
    }
    wrong
}

/// Of `size` bytes of blobs at most a tenth is carried twice.
pub fn thrift(server: &FaultServer, size: u64) -> Option<String> {
    let carried = server.carried();
    (carried > size + size / 10).then(|| format!("{carried} bytes were carried for {size}"))
}

/// An upload that a client which failed has left open, although the registry still listened (item 215).
pub fn tidiness(fault: &Fault, server: &FaultServer) -> Option<String> {
    let is_told = matches!(fault.effect, Effect::Instead(_) | Effect::Early(_));
    let gives_up = fault.at == Part::Finish && is_told && !fault.name.contains("unknown upload");
    let open = server.shelf().open_uploads();
    (gives_up && open > 0).then(|| format!("{open} uploads were left open (item 215)"))
}
