use super::*;
use crate::wire::Headers;

fn failure(method: Method, status: u16, media_type: &str, body: impl AsRef<[u8]>) -> Failure {
    let address = Address::parse("https://reg.example/v2/app/manifests/1").expect("an address");
    let mut headers = Headers::default();
    assert!(headers.add("Content-Type", media_type));
    Failure::read(&Request::new(method, address), &Head { status, headers }, body.as_ref())
}

fn said(status: u16, code: &str) -> Failure {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"m"}}]}}"#);
    failure(Method::Get, status, "application/json", body)
}

#[test]
fn codes_decide_the_kind_before_the_status() {
    for (status, code, kind) in [
        (404, "MANIFEST_UNKNOWN", Kind::NotFound),
        (404, "NAME_UNKNOWN", Kind::NotFound),
        (401, "UNAUTHORIZED", Kind::Denied),
        (404, "DENIED", Kind::Denied),
        (403, "TOOMANYREQUESTS", Kind::Unreachable),
        (400, "DIGEST_INVALID", Kind::Integrity),
        (404, "BLOB_UPLOAD_UNKNOWN", Kind::Other),
        (412, "QUOTA_EXCEEDED", Kind::Limit),
        (413, "MANIFEST_INVALID", Kind::Limit),
        (404, "SOMETHING", Kind::NotFound),
        (503, "UNKNOWN", Kind::Unreachable),
        (405, "UNSUPPORTED", Kind::Other),
        (400, "MANIFEST_INVALID", Kind::Other),
    ] {
        assert_eq!(said(status, code).kind(), kind, "{status} {code}");
    }
    let full = failure(Method::Put, 403, "application/json", r#"{"errors":[{"message":"Quota exceeded"}]}"#);
    assert_eq!(full.kind(), Kind::Limit);
    let often = failure(Method::Get, 429, "application/json", r#"{"errors":[{"message":"Quota exceeded"}]}"#);
    assert_eq!(often.kind(), Kind::Unreachable, "requests are counted again soon");
}

#[test]
fn a_failure_says_what_was_asked_what_came_and_what_to_type() {
    let body = r#"{"errors":[{"code":"denied","message":"no","detail":[{"Action":"pull"}]},{"code":"X"}]}"#;
    let failure = failure(Method::Get, 403, "application/json; charset=utf-8", body);
    assert_eq!(
        failure.to_string(),
        "GET https://reg.example/v2/app/manifests/1 was answered with 403 (forbidden): \
         no [DENIED] [{\"Action\":\"pull\"}]; X"
    );
    assert_eq!(
        failure.hint().as_deref(),
        Some(
            "orlop login reg.example, or give --creds USER:PASSWORD, or a file of credentials with --authfile"
        )
    );
}

#[test]
fn what_is_too_large_or_too_much_says_what_to_raise() {
    let hint = |status| failure(Method::Put, status, "text/plain", "").hint().expect("a hint");
    assert!(hint(413).contains("limit on bodies"), "{}", hint(413));
    assert!(hint(507).contains("quota"), "{}", hint(507));
    assert!(hint(429).contains("--creds"), "{}", hint(429));
}

#[test]
fn item_211_a_body_that_is_no_json_is_no_obstacle() {
    let text = |media_type, body: &str| {
        failure(Method::Get, 502, media_type, body).said.first().map(|said| said.message.to_string())
    };
    assert_eq!(text("text/html", "<html>bad</html>"), None);
    assert_eq!(text("text/plain", "\n <b>bad</b>"), None);
    assert_eq!(text("text/plain", "\n upstream is gone \nmore"), Some("upstream is gone".into()));
    assert_eq!(
        text("application/json", r#"{"details":"incorrect username"}"#),
        Some("incorrect username".into())
    );
    assert_eq!(text("application/json", r#"{"errors":{"a":1}}"#), Some(r#"{"errors":{"a":1}}"#.into()));
    assert_eq!(text("application/json", r#"{"errors":[]}"#), None);
    assert_eq!(failure(Method::Get, 502, "text/plain", [0xff, 0xfe]).said, []);
    assert_eq!(failure(Method::Get, 502, "a/b", "").kind(), Kind::Unreachable);
}

#[test]
fn n12_what_is_kept_of_a_body_is_short() {
    let long = "é".repeat(1 << 20);
    let failure = failure(Method::Get, 500, "text/plain", &long[..LONGEST * 2]);
    assert!(failure.to_string().chars().count() < TEXT + 100);
    let many = format!(r#"{{"errors":[{}{{}}]}}"#, r#"{"code":"A"},"#.repeat(1000));
    assert_eq!(errors(many.as_bytes()).map(|all| all.len()), Some(MOST));
}

#[test]
fn deletion_that_is_switched_off_is_told_apart() {
    let failure = failure(Method::Delete, 405, "application/json", r#"{"errors":[{"code":"UNSUPPORTED"}]}"#);
    assert!(failure.is_unsupported() && failure.hint().is_some_and(|hint| hint.contains("deletion")));
}
