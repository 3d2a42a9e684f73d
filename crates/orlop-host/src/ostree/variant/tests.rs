//! Laws of the serialised form.

use super::*;
use proptest::prelude::*;

/// Examples of the specification of GVariant (§2.5), little-endian.
const EXAMPLES: [(&str, &[u8]); 7] = [
    ("s", b"hello world\0"),
    ("ms", b"hello world\0\0"),
    ("ab", &[1, 0, 0, 1, 1]),
    ("(si)", b"foo\0\xff\xff\xff\xff\x04"),
    ("a(si)", b"hi\0\0\xfe\xff\xff\xff\x03\0\0\0bye\0\xff\xff\xff\xff\x04\x09\x15"),
    ("as", b"i\0can\0has\0strings?\0\x02\x06\x0a\x13"),
    ("((ys)as)", b"ican\0has\0strings?\0\x04\x0d\x05"),
];

#[test]
fn the_examples_of_the_specification_are_read_and_printed() {
    for (signature, bytes) in EXAMPLES {
        let view = View::parse(signature, bytes).expect(signature);
        assert_eq!(printed(view), bytes, "{signature}");
    }
    let view = View::parse("as", EXAMPLES[5].1).expect("normal");
    assert_eq!(view.children().map(|text| text.text()).collect::<Vec<_>>(), ["i", "can", "has", "strings?"]);
}

fn refused(signature: &str, bytes: &[u8]) -> NotNormal {
    View::parse(signature, bytes).expect_err(signature)
}

#[test]
fn t6_what_would_print_otherwise_is_refused() {
    assert_eq!(refused("b", &[2]), NotNormal::Boolean);
    assert_eq!(refused("u", &[0; 5]), NotNormal::Size);
    assert_eq!(refused("s", b"a"), NotNormal::Text);
    assert_eq!(refused("s", b"a\0b\0"), NotNormal::Text);
    assert_eq!(refused("s", b"\xff\0"), NotNormal::Text);
    assert_eq!(refused("o", b"/a//b\0"), NotNormal::Text);
    assert_eq!(refused("g", b"(\0"), NotNormal::Text);
    assert_eq!(refused("(yu)", &[1, 9, 0, 0, 1, 0, 0, 0]), NotNormal::Padding);
    assert_eq!(refused("(uy)", &[1, 0, 0, 0, 1, 0, 0, 9]), NotNormal::Padding);
    assert_eq!(refused("()", &[1]), NotNormal::Padding);
    assert_eq!(refused("aay", b"a\0b\0\x04\x02"), NotNormal::Ends);
    assert_eq!(refused("aay", b"a\0b\0\x02\x07"), NotNormal::Ends);
    assert_eq!(refused("aay", b"a\0b\0\x02\x09"), NotNormal::Ends);
    assert_eq!(refused("au", &[0; 6]), NotNormal::Size);
    assert_eq!(refused("ms", b"a\0\x01"), NotNormal::Padding);
    assert_eq!(refused("v", b"\x01y"), NotNormal::Type);
    assert_eq!(refused("v", b"\x01\0z"), NotNormal::Type);
    assert_eq!(refused("v", b""), NotNormal::Type);
    assert_eq!(refused("yy", b"ab"), NotNormal::Type);
}

#[test]
fn t6_ends_wider_than_needed_are_refused() {
    // Two children whose ends fit into a byte each, with ends of two bytes.
    let wide = [&[0; 253][..], &[253, 0, 253, 0]].concat();
    assert_eq!(refused("aay", &wide), NotNormal::Ends);
    let narrow = [&[0; 253][..], &[253, 253]].concat();
    assert!(View::parse("aay", &narrow).is_ok());
    // Two children, 256 bytes with their ends: an end has two bytes then.
    let two = [&[0; 254][..], &[253, 0, 254, 0]].concat();
    assert_eq!(View::parse("aay", &two).expect("normal").children().count(), 2);
}

#[test]
fn t6_variants_are_nested_up_to_a_bound() {
    let nested = |depth: usize| (0..depth).fold(vec![7, 0, b'y'], |inner, _| [&inner[..], b"\0v"].concat());
    assert!(View::parse("v", &nested(DEPTH - 2)).is_ok());
    assert_eq!(refused("v", &nested(DEPTH)), NotNormal::Depth);
    assert_eq!(refused("v", &nested(100_000)), NotNormal::Depth);
}

/// The layout of a type is found again for each value of it.
#[test]
fn t6_types_that_are_long_cost_no_more_than_their_bytes_are_worth() {
    let nested = |depth: usize| ["a", &"(".repeat(depth), "b", &")".repeat(depth)].concat();
    assert_eq!(refused(&nested(120), &vec![1; 1 << 20]), NotNormal::Intricate);
    assert_eq!(refused(&nested(20), &vec![1; 1 << 20]), NotNormal::Intricate);
    assert!(View::parse(&nested(2), &vec![1; 1 << 20]).is_ok());
}

#[test]
fn a_dictionary_keeps_order_and_bytes() {
    let mut dict = Dict::new();
    dict.push("z", Variant::string("last"));
    dict.push("a", Variant::u64_swapped(0x1234));
    dict.push("m", Variant::strings(&["x", ""]));
    let bytes = dict.to_bytes();
    let back = Dict::parse(&bytes).expect("normal");
    assert_eq!((&back, back.to_bytes()), (&dict, bytes));
    assert_eq!(back.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["z", "a", "m"]);
    assert_eq!(back.get("a").and_then(Variant::as_u64_swapped), Some(0x1234));
    assert_eq!(back.get("m").and_then(Variant::as_strings), Some(vec!["x", ""]));
    assert_ne!(back.clone().sorted().to_bytes(), dict.to_bytes());
}

#[test]
fn a_maybe_holds_something_or_nothing() {
    assert!(View::parse("mu", b"").expect("normal").maybe().is_none());
    let some = View::parse("mu", &[1, 0, 0, 0]).expect("normal").maybe().expect("something");
    assert_eq!(some.as_u64(), Some(1));
    let text = View::parse("ms", b"a\0\0").expect("normal").maybe().expect("something");
    assert_eq!(text.as_str(), Some("a"));
}

/// Values of many types.
fn any_variant() -> impl Strategy<Value = Variant> {
    let leaf = prop_oneof![
        "[a-z\u{e9}]{0,300}".prop_map(|text| Variant::string(&text)),
        any::<u64>().prop_map(Variant::u64),
        any::<u32>().prop_map(Variant::u32),
        any::<bool>().prop_map(Variant::bool),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Variant::bytes(&bytes)),
        prop::collection::vec("[a-z]{0,9}", 0..40).prop_map(|texts| Variant::strings(&texts)),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop::collection::vec(("[a-z.]{1,12}", inner), 0..8)
            .prop_map(|entries| Variant::dict(&entries.into_iter().collect()))
    })
}

/// Prints a value anew out of its parts.
fn printed(view: View<'_>) -> Vec<u8> {
    match view.signature().as_bytes()[0] {
        b'a' | b'(' | b'{' => {
            let mut writer = Writer::new(view.signature());
            for child in view.children() {
                writer.push(&printed(child));
            }
            writer.finish()
        }
        b'v' => {
            let inner = view.variant().expect("a variant");
            [&printed(inner)[..], b"\0", inner.signature().as_bytes()].concat()
        }
        b'm' => match view.maybe() {
            None => Vec::new(),
            Some(inner) if layout(inner.signature).size.is_some() => printed(inner),
            Some(inner) => [&printed(inner)[..], b"\0"].concat(),
        },
        _ => view.bytes().to_vec(),
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(variant in any_variant()) {
        let bytes = variant.to_bytes();
        let back = Variant::parse(&bytes).expect("normal");
        prop_assert_eq!(printed(back.view()), variant.view().bytes());
        prop_assert_eq!(back, variant);
    }

    #[test]
    fn what_is_read_prints_to_the_same_bytes(
        signature in prop::sample::select(vec![
            "v", "a{sv}", "as", "aas", "(a{sv}aya(say)sstayay)", "(a(say)a(sayay))", "(uuua(ayay))", "a(yt)", "m(yay)",
            "(yas)", "a{ys}", "(sv)", "aam(qs)",
        ]),
        bytes in prop::collection::vec(prop_oneof![3 => 0u8..6, 1 => prop::sample::select(b"asvy()".to_vec())], 0..40),
    ) {
        if let Ok(view) = View::parse(signature, &bytes) {
            prop_assert_eq!(printed(view), bytes);
        }
    }
}
