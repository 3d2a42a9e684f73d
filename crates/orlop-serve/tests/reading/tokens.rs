//! Bearer tokens (A11).

use super::*;
use orlop_spec::base64;

const ALICE: &str = "alice:s3cret";

fn guarded(work: impl FnOnce(SocketAddr)) {
    let images = Images::new();
    let guard = Guard::new([7; 32], [("alice".into(), "s3cret".into())]);
    serving(&images.offer(), Some(guard), &Options::default(), work);
}

fn basic(words: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64::encode(words.as_bytes()))
}

#[test]
fn a11_a_token_opens_what_nothing_else_opens() {
    guarded(|address| {
        let path = "/v2/team/app/manifests/1";
        for fields in [String::new(), basic(ALICE), "Authorization: Bearer x\r\n".into()] {
            let got = ask(address, "HEAD", path, &fields);
            assert_eq!(got.status, 401, "{fields}");
            let challenge = "Bearer realm=\"http://reg.test/token\",service=\"reg.test\"";
            assert_eq!(got.header("WWW-Authenticate"), challenge);
        }
        // Whether there is such a thing is not told either.
        assert_eq!(get(address, "/v2/other/manifests/1").status, 401);
        assert_eq!(get(address, "/v2/").status, 401);
        let refused = get(address, "/token?service=reg.test&scope=repository:team/app:pull");
        assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"));
        let granted = ask(address, "GET", "/token?service=reg.test", &basic(ALICE));
        assert_eq!((granted.status, granted.header("Cache-Control")), (200, "no-store"));
        let granted: serde_json::Value = serde_json::from_slice(&granted.body).expect("a document");
        assert_eq!(granted["expires_in"], 300);
        let token = granted["token"].as_str().expect("a token");
        let got = ask(address, "GET", path, &format!("Authorization: Bearer {token}\r\n"));
        assert_eq!(got.status, 200);
    });
}

#[test]
fn a_challenge_names_no_host_that_could_end_a_header() {
    guarded(|address| {
        let mut stream = connect(address);
        stream
            .get_mut()
            .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\",service=\"evil\r\n\r\n")
            .expect("it reads");
        let got = receive(&mut stream, "GET");
        let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"{address}\"");
        assert_eq!((got.status, got.header("WWW-Authenticate")), (401, challenge.as_str()));
        let behind = ask(address, "GET", "/v2/", "X-Forwarded-Proto: https\r\n");
        assert!(behind.header("WWW-Authenticate").starts_with("Bearer realm=\"https://"));
    });
}
