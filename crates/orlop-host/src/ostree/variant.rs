//! Values as GLib serialises them (GVariant), little-endian, of which all objects of OSTree but contents are made.
//!
//! ```text
//! number          its bytes, at a multiple of its size
//! string          UTF-8, NUL
//! variant         value, NUL, its type
//! maybe           nothing, or the value (and a NUL where sizes of that type differ)
//! array, tuple    see `children`
//! ```
//!
//! Invariant: the bytes of a [`View`], a [`Variant`] and a [`Dict`] are in normal form: printing them gives the same
//! bytes. Nothing else is read. Types and nesting are bounded, so hostile bytes cost no more than their own length.

mod children;
mod dict;
mod signature;
mod text;
mod writer;

pub use dict::Dict;
pub use text::{Bytes, Types};
pub use writer::Writer;

use children::Children;
use signature::{is_complete, layout};

/// Variants in variants, and containers in containers, as GLib allows.
const DEPTH: usize = 128;

/// What looking into a value may cost: this, and [`COST_OF_BYTE`] for each of its bytes. A container costs the square of its
/// type's letters, since its layout is found anew each time; OSTree's own types come to less than one for each byte.
const COST: u64 = 1 << 23;
const COST_OF_BYTE: u64 = 64;

/// Why bytes are not the normal form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNormal {
    /// A variant has no type, an unknown one or one of more than 255 letters.
    #[error("a variant in it has no proper type")]
    Type,
    /// There are too many or too few bytes.
    #[error("it is too long or too short for its type")]
    Size,
    /// Padding holds something.
    #[error("its padding is not zero")]
    Padding,
    /// What tells where the parts of a container end is wrong, or longer than it has to be.
    #[error("its parts do not lie one after the other")]
    Ends,
    /// A text is not UTF-8, does not end with NUL, or holds one; or it is no path or signature of D-Bus.
    #[error("a text in it is not proper")]
    Text,
    /// Neither 0 nor 1.
    #[error("a boolean in it is neither 0 nor 1")]
    Boolean,
    /// Nested too deeply.
    #[error("it is nested more than {DEPTH} deep")]
    Depth,
    /// Its types are so long that to look into it would take longer than its bytes are worth.
    #[error("its types are too intricate")]
    Intricate,
}

/// A value that lies in somebody else's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    signature: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// A value of a type.
    pub fn parse(signature: &'a str, bytes: &'a [u8]) -> Result<Self, NotNormal> {
        if !is_complete(signature.as_bytes()) {
            return Err(NotNormal::Type);
        }
        let view = Self { signature: signature.as_bytes(), bytes };
        let mut left = COST + COST_OF_BYTE * bytes.len() as u64;
        view.check(0, &mut left).map(|()| view)
    }

    /// Its type.
    pub fn signature(&self) -> &'a str {
        std::str::from_utf8(self.signature).expect("signatures are letters")
    }

    /// Its bytes: of an `ay`, what it holds.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A text; empty where it is none.
    pub fn text(&self) -> &'a str {
        self.as_str().unwrap_or_default()
    }

    /// A text.
    pub fn as_str(&self) -> Option<&'a str> {
        let text = self.bytes.strip_suffix(b"\0").filter(|_| matches!(self.signature, b"s" | b"o" | b"g"));
        text.map(|text| std::str::from_utf8(text).expect("proven when it was parsed"))
    }

    /// A number without a sign, as it lies here.
    pub fn as_u64(&self) -> Option<u64> {
        let is_number = matches!(self.signature, b"y" | b"q" | b"u" | b"t");
        is_number.then(|| self.bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// A number without a sign that was put here by a machine which counts the other way round.
    pub fn as_u64_swapped(&self) -> Option<u64> {
        let is_number = matches!(self.signature, b"y" | b"q" | b"u" | b"t");
        is_number.then(|| self.bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// What is in an array, a tuple, an entry of a dictionary; nothing for other types.
    pub fn children(&self) -> impl Iterator<Item = Self> + use<'a> {
        let children = self.inner().map(|children| children.expect("proven when it was parsed"));
        children.into_iter().flatten().map(|child| {
            let (signature, bytes) = child.expect("proven when it was parsed");
            Self { signature, bytes }
        })
    }

    /// The members of a tuple, of which there are so many.
    ///
    /// # Panics
    /// When there are not.
    pub fn members<const N: usize>(&self) -> [Self; N] {
        let mut children = self.children();
        std::array::from_fn(|_| children.next().expect("the signature says how many"))
    }

    /// What a variant holds.
    pub fn variant(&self) -> Option<Self> {
        if self.signature == b"v" { unpack(self.bytes).ok() } else { None }
    }

    /// What a maybe holds, where it holds something.
    pub fn maybe(&self) -> Option<Self> {
        let inner = self.signature.strip_prefix(b"m").filter(|_| !self.bytes.is_empty())?;
        let bytes = match layout(inner).size {
            Some(_) => self.bytes,
            None => &self.bytes[..self.bytes.len() - 1],
        };
        Some(Self { signature: inner, bytes })
    }

    /// The same value, owned.
    pub fn to_variant(&self) -> Variant {
        Variant { signature: self.signature().into(), bytes: self.bytes.into() }
    }

    fn inner(&self) -> Option<Result<Children<'a>, NotNormal>> {
        matches!(self.signature[0], b'a' | b'(' | b'{').then(|| Children::new(self.signature, self.bytes))
    }

    /// Recursion ends at `DEPTH`.
    fn check(&self, depth: usize, left: &mut u64) -> Result<(), NotNormal> {
        if depth >= DEPTH {
            return Err(NotNormal::Depth);
        }
        let cost = (self.signature.len() as u64).pow(2);
        *left = left.checked_sub(cost).ok_or(NotNormal::Intricate)?;
        match self.signature[0] {
            b'a' if matches!(
                self.signature[1],
                b'y' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b'h'
            ) =>
            {
                self.inner().expect("an array has children").map(drop)
            }
            b'a' | b'(' | b'{' => self.check_children(depth + 1, left),
            b'm' => self.check_maybe(depth + 1, left),
            b'v' => unpack(self.bytes)?.check(depth + 1, left),
            b's' | b'o' | b'g' => self.check_text(),
            b'b' => self.check_boolean(),
            _ if layout(self.signature).size == Some(self.bytes.len()) => Ok(()),
            _ => Err(NotNormal::Size),
        }
    }

    fn check_children(&self, depth: usize, left: &mut u64) -> Result<(), NotNormal> {
        for child in self.inner().expect("called for containers")? {
            let (signature, bytes) = child?;
            Self { signature, bytes }.check(depth, left)?;
        }
        Ok(())
    }

    fn check_maybe(&self, depth: usize, left: &mut u64) -> Result<(), NotNormal> {
        let Some(inner) = self.maybe() else { return Ok(()) };
        if layout(inner.signature).size.is_none() && self.bytes.last() != Some(&0) {
            return Err(NotNormal::Padding);
        }
        inner.check(depth, left)
    }

    fn check_text(&self) -> Result<(), NotNormal> {
        let text = self.bytes.strip_suffix(b"\0").filter(|text| !text.contains(&0)).ok_or(NotNormal::Text)?;
        let text = std::str::from_utf8(text).map_err(|_| NotNormal::Text)?;
        let is_proper = match self.signature {
            b"o" => is_object_path(text),
            b"g" => is_list_of_types(text.as_bytes()),
            _ => true,
        };
        if is_proper { Ok(()) } else { Err(NotNormal::Text) }
    }

    fn check_boolean(&self) -> Result<(), NotNormal> {
        match self.bytes {
            [0 | 1] => Ok(()),
            [_] => Err(NotNormal::Boolean),
            _ => Err(NotNormal::Size),
        }
    }
}

/// Value and type of a serialised variant.
fn unpack(bytes: &[u8]) -> Result<View<'_>, NotNormal> {
    let mark = bytes.iter().rev().take(signature::LONGEST + 1).position(|byte| *byte == 0);
    let (value, signature) = bytes.split_at(bytes.len() - mark.ok_or(NotNormal::Type)?);
    let value = View { signature, bytes: &value[..value.len() - 1] };
    if is_complete(signature) { Ok(value) } else { Err(NotNormal::Type) }
}

fn is_object_path(text: &str) -> bool {
    let is_element = |element: &str| {
        !element.is_empty() && element.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text == "/" || text.strip_prefix('/').is_some_and(|path| path.split('/').all(is_element))
}

fn is_list_of_types(mut types: &[u8]) -> bool {
    while let Some((_, rest)) = signature::split(types).filter(|_| types.len() <= signature::LONGEST) {
        types = rest;
    }
    types.is_empty()
}

/// A value and its type, owned: what a dictionary holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    signature: Box<str>,
    bytes: Box<[u8]>,
}

impl Variant {
    /// A value of a type.
    pub fn new(signature: &str, bytes: &[u8]) -> Result<Self, NotNormal> {
        View::parse(signature, bytes).map(|view| view.to_variant())
    }

    /// Out of the serialised form of a `v`.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotNormal> {
        View::parse("v", bytes)?.variant().map(|view| view.to_variant()).ok_or(NotNormal::Type)
    }

    /// The serialised form of a `v`.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&*self.bytes, b"\0", self.signature.as_bytes()].concat()
    }

    /// A text.
    ///
    /// # Panics
    /// When it holds a NUL.
    pub fn string(text: &str) -> Self {
        Self::made("s", nul_ended(text))
    }

    /// A number of 64 bits, as this machine counts.
    pub fn u64(value: u64) -> Self {
        Self::made("t", value.to_le_bytes().into())
    }

    /// A number of 64 bits, the other way round: how flatpak keeps sizes.
    pub fn u64_swapped(value: u64) -> Self {
        Self::made("t", value.to_be_bytes().into())
    }

    /// A number of 32 bits.
    pub fn u32(value: u32) -> Self {
        Self::made("u", value.to_le_bytes().into())
    }

    /// Yes or no.
    pub fn bool(value: bool) -> Self {
        Self::made("b", vec![u8::from(value)])
    }

    /// Bytes.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::made("ay", bytes.into())
    }

    /// Texts.
    ///
    /// # Panics
    /// When one holds a NUL.
    pub fn strings<T: AsRef<str>>(texts: &[T]) -> Self {
        let mut array = Writer::new("as");
        for text in texts {
            array.push(&nul_ended(text.as_ref()));
        }
        Self::made("as", array.finish())
    }

    /// Pieces of bytes, as signatures are kept.
    pub fn byte_strings<T: AsRef<[u8]>>(pieces: &[T]) -> Self {
        let mut array = Writer::new("aay");
        for piece in pieces {
            array.push(piece.as_ref());
        }
        Self::made("aay", array.finish())
    }

    /// A dictionary.
    pub fn dict(dict: &Dict) -> Self {
        Self::made("a{sv}", dict.to_bytes())
    }

    /// Its type.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// To look into it.
    pub fn view(&self) -> View<'_> {
        View { signature: self.signature.as_bytes(), bytes: &self.bytes }
    }

    /// Where it is a text.
    pub fn as_str(&self) -> Option<&str> {
        self.view().as_str()
    }

    /// Where it is a number without a sign.
    pub fn as_u64(&self) -> Option<u64> {
        self.view().as_u64()
    }

    /// Where it is a number without a sign, kept the other way round.
    pub fn as_u64_swapped(&self) -> Option<u64> {
        self.view().as_u64_swapped()
    }

    /// Where it is yes or no.
    pub fn as_bool(&self) -> Option<bool> {
        (&*self.signature == "b").then_some(*self.bytes == [1])
    }

    /// Where it is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        (&*self.signature == "ay").then_some(&self.bytes)
    }

    /// Where it is texts.
    pub fn as_strings(&self) -> Option<Vec<&str>> {
        (&*self.signature == "as").then(|| self.view().children().map(|text| text.text()).collect())
    }

    /// Where it is pieces of bytes.
    pub fn as_byte_strings(&self) -> Option<Vec<&[u8]>> {
        (&*self.signature == "aay").then(|| self.view().children().map(|piece| piece.bytes()).collect())
    }

    /// Where it is a dictionary.
    pub fn as_dict(&self) -> Option<Dict> {
        if &*self.signature == "a{sv}" { Dict::parse(&self.bytes).ok() } else { None }
    }

    fn made(signature: &str, bytes: Vec<u8>) -> Self {
        Self { signature: signature.into(), bytes: bytes.into() }
    }
}

/// A text as it is serialised.
///
/// # Panics
/// When it holds a NUL.
pub(super) fn nul_ended(text: &str) -> Vec<u8> {
    assert!(!text.contains('\0'), "a text of a variant holds no NUL");
    [text.as_bytes(), b"\0"].concat()
}

#[cfg(test)]
mod tests;
