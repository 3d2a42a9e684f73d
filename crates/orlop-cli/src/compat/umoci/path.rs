//! Paths in images, as the original reads them.

use orlop::layer::TreePath;
use orlop::spec::Fault;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Where a path leads from the root of an image, whatever it begins with and however often it goes up.
pub fn tree_path(path: &OsStr) -> Result<TreePath, Fault> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.as_bytes().split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    TreePath::parse(&names.join(&b'/')).map_err(|error| orlop::layer::Error::from(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_the_root_however_it_is_spelled() {
        for (spelled, path) in [
            ("/a/b", "a/b"),
            ("a//b/", "a/b"),
            ("../../x/y/", "x/y"),
            ("rel/../x/./y", "x/y"),
            ("/", ""),
            ("", ""),
            ("..", ""),
        ] {
            let found = tree_path(OsStr::new(spelled)).expect("a path");
            assert_eq!(found.as_bytes(), path.as_bytes(), "{spelled}");
        }
    }
}
