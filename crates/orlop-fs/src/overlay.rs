//! What overlayfs reads from the attributes of a lower layer: that the content of a file is another file's.
//!
//! ```text
//! lower layer   usr/bin/app   size, mode, owner, times; no content      trusted.overlay.metacopy = ""
//!                                                                       trusted.overlay.redirect = "/6c/3c…"
//! data layer    6c/3c…        the content ◄───────────────────────────────────┘
//! ```
//!
//! Invariant: no attribute of an image means anything to the kernel's overlay. One that would is escaped, so that the mount
//! shows it under the name that it has in the image (Documentation/filesystems/overlayfs.rst, "Nesting"). A character device 0:0
//! of an image cannot be escaped: to an overlay it is a removal, and nothing is shown.

use crate::{Dir, Result, call, xattr};
use orlop_layer::Xattrs;

/// Whose attributes the kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `trusted.overlay.`: those that only root sets and sees.
    Trusted,
    /// `user.overlay.`: for a mount in a user namespace.
    User,
}

impl Flavour {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Trusted => b"trusted.overlay.",
            Self::User => b"user.overlay.",
        }
    }
}

/// The attributes of a file whose content is at `data`, a path from the root of a data layer on; without it, those of
/// anything else.
pub fn attributes(of_image: &Xattrs, flavour: Flavour, data: Option<&[u8]>) -> Xattrs {
    let shown = |name: &[u8]| escaped(name, flavour).unwrap_or_else(|| name.into());
    let mut attributes: Xattrs = of_image.iter().map(|(name, value)| (shown(name), value.clone())).collect();
    if let Some(data) = data {
        attributes.extend(pointer(flavour, data).map(|(name, value)| (name, value.into())));
    }
    attributes
}

/// Gives an upper folder what the root of the lower one has: an overlay shows its own root as the upper one is.
pub fn dress(upper: &Dir, lower: &Dir) -> Result<()> {
    let root = lower.stat_self()?;
    let is = upper.stat_self()?;
    if (is.uid, is.gid) != (root.uid, root.gid) {
        call::chown(upper, root.uid, root.gid).map_err(upper.failed("set the owner of", b""))?;
    }
    let xattrs = xattr::read(lower).map_err(lower.failed("read the attributes of", b""))?;
    for (name, value) in &xattrs {
        call::set_xattr(upper, name, value).map_err(upper.failed("set an attribute of", b""))?;
    }
    call::chmod(upper, root.mode).map_err(upper.failed("set the mode of", b""))?;
    call::set_mtime(upper, root.mtime).map_err(upper.failed("set the time of", b""))
}

/// The attributes that say that the content of a file is at `data`.
pub(crate) fn pointer(flavour: Flavour, data: &[u8]) -> [(Box<[u8]>, &[u8]); 2] {
    let name = |name: &[u8]| [flavour.prefix(), name].concat().into();
    [(name(b"metacopy"), b""), (name(b"redirect"), data)]
}

/// The name under which an overlay shows an attribute that it would obey; `None` where it would not.
pub(crate) fn escaped(name: &[u8], flavour: Flavour) -> Option<Box<[u8]>> {
    let rest = name.strip_prefix(flavour.prefix())?;
    Some([flavour.prefix(), b"overlay.", rest].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_attributes_of_an_image_mean_nothing_to_the_kernel() {
        let names: [&[u8]; 4] = [
            b"trusted.overlay.opaque",
            b"trusted.overlay.overlay.redirect",
            b"trusted.other",
            b"user.overlay.opaque",
        ];
        let of_image: Xattrs = names.into_iter().map(|name| (name.into(), b"y"[..].into())).collect();
        let shown = |flavour| {
            let shown = attributes(&of_image, flavour, None);
            shown.into_keys().map(|name| String::from_utf8(name.into()).expect("text")).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(Flavour::Trusted),
            [
                "trusted.other",
                "trusted.overlay.overlay.opaque",
                "trusted.overlay.overlay.overlay.redirect",
                "user.overlay.opaque"
            ]
        );
        assert_eq!(shown(Flavour::User).last().map(String::as_str), Some("user.overlay.overlay.opaque"));
    }

    #[test]
    fn a_content_elsewhere_is_pointed_at() {
        let shown = attributes(&Xattrs::new(), Flavour::User, Some(b"/6c/3c"));
        assert_eq!(shown.get(&b"user.overlay.metacopy"[..]).map(|it| &**it), Some(&b""[..]));
        assert_eq!(shown.get(&b"user.overlay.redirect"[..]).map(|it| &**it), Some(&b"/6c/3c"[..]));
    }
}
