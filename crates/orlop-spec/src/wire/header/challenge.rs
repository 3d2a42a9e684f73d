//! `WWW-Authenticate`: what a server wants to be told (RFC 9110, section 11.6.1).
//!
//! ```text
//! Bearer realm="https://auth.example/token",service="reg",scope="repository:a:pull", Basic realm=x
//! └────┘ └──────────────────────────── parameters ─────────────────────────────────┘ └───┘ └─────┘
//! scheme                                                                          next scheme
//! ```

use super::Scan;
use crate::wire::Headers;

/// One way to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Name of the scheme in lower case, for example `bearer`.
    pub scheme: Box<str>,
    /// Names in lower case and values, in order; names that come again are left out.
    parameters: Vec<(Box<str>, Box<str>)>,
}

impl Challenge {
    /// A parameter; its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(it, _)| **it == *name).map(|(_, value)| &**value)
    }

    fn new(scheme: &str) -> Self {
        Self { scheme: scheme.to_ascii_lowercase().into(), parameters: Vec::new() }
    }

    fn add(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if self.parameters.len() < MOST && self.get(&name).is_none() {
            self.parameters.push((name.into(), value.into()));
        }
    }
}

/// Schemes of one answer, and parameters of one scheme; servers send two, and four.
const MOST: usize = 16;

/// Every challenge of an answer, at most sixteen. What makes no sense is passed over up to the next comma.
pub fn challenges(headers: &Headers) -> Vec<Challenge> {
    let mut all: Vec<Challenge> = headers.all("WWW-Authenticate").flat_map(parse).collect();
    all.truncate(MOST);
    all
}

fn parse(text: &str) -> Vec<Challenge> {
    let mut scan = Scan::new(text);
    let mut all: Vec<Challenge> = Vec::new();
    while all.len() <= MOST && scan.next_element() {
        if !is_parameter(&scan) {
            let scheme = scan.token();
            if !scheme.is_empty() {
                all.push(Challenge::new(scheme));
            }
            scan.skip_space();
            skip_token68(&mut scan);
        }
        if let (Some(challenge), true) = (all.last_mut(), is_parameter(&scan))
            && let Some((name, value)) = scan.parameter()
        {
            challenge.add(name, &value);
        }
        scan.skip_element();
    }
    all
}

/// Whether `name =` is next: a scheme is never followed by the sign.
fn is_parameter(scan: &Scan<'_>) -> bool {
    let mut ahead = Scan::new(scan.rest());
    let name = ahead.token();
    ahead.skip_space();
    !name.is_empty() && ahead.eat('=')
}

/// Credentials of other schemes, for example of `Negotiate`; of no use here.
fn skip_token68(scan: &mut Scan<'_>) {
    let mut ahead = Scan::new(scan.rest());
    ahead.take_while(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
    ahead.take_while(|byte| byte == b'=');
    ahead.skip_space();
    if matches!(ahead.peek(), None | Some(b',')) {
        *scan = ahead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Vec<Challenge> {
        let mut headers = Headers::default();
        for value in values {
            assert!(headers.add("WWW-Authenticate", value), "{value}");
        }
        challenges(&headers)
    }

    fn schemes(values: &[&str]) -> Vec<String> {
        read(values).iter().map(|it| it.scheme.to_string()).collect()
    }

    #[test]
    fn a_bearer_challenge_has_realm_service_and_scope() {
        let value = r#"Bearer realm="https://a.example/t",service=reg , scope = "repository:a/b:pull,push""#;
        let [challenge] = &read(&[value])[..] else { panic!("one challenge") };
        assert_eq!(challenge.scheme.as_ref(), "bearer");
        assert_eq!(challenge.get("realm"), Some("https://a.example/t"));
        assert_eq!(challenge.get("service"), Some("reg"));
        assert_eq!(challenge.get("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(challenge.get("error"), None);
    }

    #[test]
    fn several_challenges_stand_in_one_header_or_in_several() {
        let both = r#"Negotiate, Basic realm="a, b=c", BEARER Realm="x\"y""#;
        assert_eq!(schemes(&[both]), ["negotiate", "basic", "bearer"]);
        assert_eq!(read(&[both])[1].get("realm"), Some("a, b=c"));
        assert_eq!(read(&[both])[2].get("realm"), Some("x\"y"));
        assert_eq!(schemes(&["NTLM TlRMTVNTUAAC==, Basic realm=x", "Bearer"]), ["ntlm", "basic", "bearer"]);
        assert_eq!(
            read(&["Bearer realm=https://a/t?x=1,service=s"])[0].get("realm"),
            Some("https://a/t?x=1")
        );
    }

    #[test]
    fn n12_a_challenge_that_makes_no_sense_is_passed_over() {
        assert!(read(&["", ",,, ,", "=x", "\"a\", \"b", "realm=\"x\""]).is_empty());
        assert_eq!(schemes(&["\u{e9}\u{e9}, Basic realm=\"open"]), ["basic"]);
        assert_eq!(read(&["Basic realm=\"open"])[0].get("realm"), None);
        assert_eq!(read(&["Bearer realm=a,realm=b"])[0].get("realm"), Some("a"));
        assert_eq!(schemes(&[&"a ,".repeat(20_000)]).len(), 16);
        assert!(read(&[&"\\\"".repeat(1 << 20)]).is_empty(), "in linear time");
    }
}
