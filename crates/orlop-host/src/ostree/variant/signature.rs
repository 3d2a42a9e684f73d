//! Types, as GVariant spells them: one letter for what is basic, `a` and `m` in front of another type, `(…)` and
//! `{…}` around others.

/// Letters of the longest type that is read: D-Bus allows no more, and nothing that OSTree knows comes near.
pub(super) const LONGEST: usize = 255;

/// How values of a type lie in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where they may begin: multiples of this.
    pub(super) align: usize,
    /// Bytes of each; `None` where they differ.
    pub(super) size: Option<usize>,
}

/// Whether this is one complete type, and not too long.
pub(super) fn is_complete(signature: &[u8]) -> bool {
    signature.len() <= LONGEST && length_of_first(signature) == Some(signature.len())
}

/// The first complete type of a list of types that were found complete, and the others.
pub(super) fn split(types: &[u8]) -> Option<(&[u8], &[u8])> {
    types.split_at_checked(length_of_first(types)?)
}

/// What is inside the brackets.
pub(super) fn members(tuple: &[u8]) -> &[u8] {
    &tuple[1..tuple.len() - 1]
}

/// How values of a complete type lie.
pub(super) fn layout(signature: &[u8]) -> Layout {
    let fixed = |size| Layout { align: size, size: Some(size) };
    match signature[0] {
        b'y' | b'b' => fixed(1),
        b'n' | b'q' => fixed(2),
        b'i' | b'u' | b'h' => fixed(4),
        b'x' | b't' | b'd' => fixed(8),
        b'v' => Layout { align: 8, size: None },
        b'a' | b'm' => Layout { size: None, ..layout(&signature[1..]) },
        b'(' | b'{' => layout_of_members(members(signature)),
        _ => Layout { align: 1, size: None },
    }
}

/// The next multiple of a power of two.
pub(super) fn aligned(at: usize, align: usize) -> usize {
    at.next_multiple_of(align)
}

fn layout_of_members(mut types: &[u8]) -> Layout {
    let mut sum = Layout { align: 1, size: Some(0) };
    while let Some((first, rest)) = split(types) {
        let member = layout(first);
        sum.align = sum.align.max(member.align);
        sum.size = sum.size.zip(member.size).map(|(sum, size)| aligned(sum, member.align) + size);
        types = rest;
    }
    // The tuple of nothing takes a byte.
    Layout { size: sum.size.map(|size| aligned(size, sum.align).max(1)), ..sum }
}

fn length_of_first(types: &[u8]) -> Option<usize> {
    let prefix = types.iter().take_while(|letter| matches!(letter, b'a' | b'm')).count();
    let inner = &types[prefix..];
    let length = match inner.first()? {
        letter if is_basic(*letter) || *letter == b'v' => 1,
        b'(' => length_of_tuple(inner)?,
        b'{' => length_of_entry(inner)?,
        _ => return None,
    };
    Some(prefix + length)
}

fn length_of_tuple(types: &[u8]) -> Option<usize> {
    let mut at = 1;
    while *types.get(at)? != b')' {
        at += length_of_first(&types[at..])?;
    }
    Some(at + 1)
}

fn length_of_entry(types: &[u8]) -> Option<usize> {
    let key = types.get(1).filter(|letter| is_basic(**letter));
    let value = key.and_then(|_| length_of_first(&types[2..]))?;
    (types.get(2 + value) == Some(&b'}')).then_some(3 + value)
}

fn is_basic(letter: u8) -> bool {
    b"ybnqiuhxtdsog".contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_complete_or_not() {
        for whole in ["y", "a{sv}", "(a{sv}aya(say)sstayay)", "()", "mm(yv)", "a{s(yy)}", "aaay"] {
            assert!(is_complete(whole.as_bytes()), "{whole}");
        }
        for wrong in ["", "a", "m", "(", ")", "(y", "{sv", "{vs}", "{s}", "{svv}", "yy", "z", "(z)", "{ays}"]
        {
            assert!(!is_complete(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn t6_a_type_is_short() {
        let nested = |depth: usize| [vec![b'('; depth], vec![b')'; depth]].concat();
        assert!(is_complete(&nested(127)));
        assert!(!is_complete(&nested(128)));
        assert!(!is_complete(&nested(1 << 20)));
    }

    #[test]
    fn a_tuple_is_as_long_as_its_members_and_their_padding() {
        let layout = |signature: &str| {
            let found = layout(signature.as_bytes());
            (found.align, found.size)
        };
        assert_eq!(layout("(uuua(ayay))"), (4, None));
        assert_eq!(layout("(tuuuusa(ayay))"), (8, None));
        assert_eq!(layout("(yt)"), (8, Some(16)));
        assert_eq!(layout("(ty)"), (8, Some(16)));
        assert_eq!(layout("()"), (1, Some(1)));
        assert_eq!(layout("{sv}"), (8, None));
        assert_eq!(layout("m(ny)"), (2, None));
    }
}
