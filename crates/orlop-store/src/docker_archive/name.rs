//! Names as docker reads them: `app` is `docker.io/library/app:latest`.

use orlop_spec::reference::Repository;

/// The full form of a name, or `None` where it is none.
pub(super) fn full_name(text: &str) -> Option<String> {
    let (repository, tag) = match text.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (text, "latest"),
    };
    let repository = Repository::parse(repository).ok()?;
    is_tag(tag).then(|| format!("{repository}:{tag}"))
}

/// The part of a full name that follows the repository.
pub(super) fn tag_of(full: &str) -> &str {
    full.rsplit_once(':').map_or(full, |(_, tag)| tag)
}

/// distribution-spec: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inner = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
    text.len() <= 128 && text.bytes().next().is_some_and(word) && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_their_full_form() {
        for (short, full) in [
            ("app", "docker.io/library/app:latest"),
            ("app:1", "docker.io/library/app:1"),
            ("me/app:1", "docker.io/me/app:1"),
            ("localhost/app:1", "localhost/app:1"),
            ("host:5000/app", "host:5000/app:latest"),
            ("docker.io/library/app:1", "docker.io/library/app:1"),
        ] {
            assert_eq!(full_name(short).as_deref(), Some(full));
            assert_eq!(full_name(full).as_deref(), Some(full));
        }
        for bad in ["", "APP", "app:", "app:a b", "a//b"] {
            assert_eq!(full_name(bad), None, "{bad}");
        }
        assert_eq!(tag_of("host:5000/app:v1"), "v1");
    }
}
