//! `Link`: where the next page of a list is (RFC 8288, section 3).
//!
//! ```text
//! </v2/app/tags/list?last=b&n=2>; rel="next"
//! └────────── reference ───────┘
//! ```

use super::Scan;
use crate::wire::Headers;

/// The reference of the first link whose relation is `next`, as it was written.
pub fn next(headers: &Headers) -> Option<Box<str>> {
    headers.all("Link").find_map(next_of)
}

fn next_of(text: &str) -> Option<Box<str>> {
    let mut scan = Scan::new(text);
    while scan.next_element() {
        if scan.eat('<') {
            let reference = scan.take_while(|byte| byte != b'>').trim();
            let is_whole = scan.eat('>');
            if is_whole && leads_on(&mut scan) {
                return Some(reference.into());
            }
        }
        scan.skip_element();
    }
    None
}

/// Whether the parameters of a link say `next`. A link with an anchor is about something else than what was asked.
fn leads_on(scan: &mut Scan<'_>) -> bool {
    let (mut relation, mut is_anchored) = (None, false);
    loop {
        scan.skip_space();
        if !scan.eat(';') {
            break;
        }
        scan.skip_space();
        match scan.parameter() {
            Some((name, value)) if name.eq_ignore_ascii_case("rel") => relation = relation.or(Some(value)),
            Some((name, _)) => is_anchored |= name.eq_ignore_ascii_case("anchor"),
            None => {}
        }
    }
    let is_next = |list: String| list.split_ascii_whitespace().any(|it| it.eq_ignore_ascii_case("next"));
    !is_anchored && relation.is_some_and(is_next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Box<str>> {
        let mut headers = Headers::default();
        assert!(headers.add("Link", value), "{value}");
        next(&headers)
    }

    #[test]
    fn item_214_the_next_page_is_the_link_that_says_next() {
        for (value, reference) in [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, "/v2/a/tags/list?last=b&n=2"),
            ("<x>;rel=next", "x"),
            (r#"<a,b;c>; rel="prev", < y >; title="a;b, c"; REL="last NEXT""#, "y"),
            ("<>; rel=next", ""),
        ] {
            assert_eq!(read(value).as_deref(), Some(reference), "{value}");
        }
    }

    #[test]
    fn what_is_no_next_page_is_none() {
        for value in [
            "",
            "x; rel=next",
            "<x",
            "<x>",
            "<x>; rel=nextish",
            "<x>; rel=prev; rel=next",
            "<x>; rel=next; anchor=\"#a\"",
            "<x>; rel=\"next",
            "<x>, rel=next",
            "\u{e9}<x>",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
