//! Values of GVariant, after their type and a NUL: what is taken is put together again from its parts to the same bytes,
//! and can be printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use orlop_host::ostree::Variant;
use orlop_host::ostree::variant::{Bytes, Types, View, Writer};

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|byte| *byte == 0) else { return };
    let Ok(signature) = std::str::from_utf8(&bytes[..end]) else { return };
    let Ok(view) = View::parse(signature, &bytes[end + 1..]) else { return };
    assert_eq!(put_together(&view), view.bytes());
    let variant = view.to_variant();
    assert_eq!(Variant::parse(&variant.to_bytes()).as_ref(), Ok(&variant));
    for order in [Bytes::LittleEndian, Bytes::BigEndian] {
        let text = view.print(order, Types::Told);
        assert!(!text.chars().any(char::is_control));
    }
});

fn put_together(view: &View<'_>) -> Vec<u8> {
    match view.signature().as_bytes()[0] {
        b'a' | b'(' | b'{' => {
            let mut writer = Writer::new(view.signature());
            for child in view.children() {
                writer.push(&put_together(&child));
            }
            writer.finish()
        }
        b'm' => view.maybe().map_or_else(Vec::new, |held| {
            let end = view.bytes().len() - held.bytes().len();
            [put_together(&held), vec![0; end]].concat()
        }),
        b'v' => {
            let held = view.variant().expect("a variant holds a value");
            [put_together(&held).as_slice(), b"\0", held.signature().as_bytes()].concat()
        }
        _ => view.bytes().to_vec(),
    }
}
