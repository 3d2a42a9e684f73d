//! The laws of image-spec, `layer.md`, "Applying Changesets", one by one.

use crate::notation::{listing, stack};

fn merged(lower: &[&str], upper: &[&str]) -> Vec<String> {
    listing(&stack(&[lower.to_vec(), upper.to_vec()]).expect("the layers stack"))
}

#[test]
fn item_44_replacing_one_name_of_a_file_spares_the_others() {
    let lower = ["f a", "h b => a", "h c => a"];
    let expected = ["f 0641 0:0 a 1.0", "f 0640 0:0 b 0.0", "h c = b"];
    assert_eq!(merged(&lower, &["f a"]), expected);
    assert_eq!(merged(&lower, &["f .wh.a"]), expected[1..]);
}

#[test]
fn item_45_folders_of_both_layers_merge_and_the_upper_attributes_stay() {
    let expected = ["d 0700 0:0 d", "f 0640 0:0 d/x 0.1", "f 0641 0:0 d/y 1.1"];
    assert_eq!(merged(&["d d 0755", "f d/x"], &["d d 0700", "f d/y"]), expected);
    let implied = ["d 0755 0:0 d", "f 0640 0:0 d/x 0.1", "f 0641 0:0 d/y 1.0"];
    assert_eq!(merged(&["d d 0755", "f d/x"], &["f d/y"]), implied);
}

#[test]
fn item_46_anything_else_is_removed_before_it_is_made() {
    let kinds = ["f a", "d a", "l a -> b", "p a", "c a 1:3", "b a 7:0"];
    for lower in kinds {
        for upper in kinds.iter().filter(|upper| **upper != "d a" || lower != "d a") {
            assert_eq!(merged(&[lower], &[upper]), merged(&[], &[upper]), "{upper} over {lower}");
        }
    }
    assert_eq!(merged(&["d a", "f a/x"], &["f a"]), ["f 0641 0:0 a 1.0"]);
}

#[test]
fn item_48_nothing_of_a_whiteout_is_left() {
    assert_eq!(merged(&["f a", "d d", "f d/x"], &["f .wh.a", "f d/.wh..wh..opq"]), ["d 0750 0:0 d"]);
    assert_eq!(merged(&["f a"], &["f .wh.b", "f d/e/.wh.c", "f e/.wh..wh..opq"]), ["f 0640 0:0 a 0.0"]);
    assert_eq!(merged(&["f .wh.a", "f .wh..wh..opq"], &[]), Vec::<String>::new(), "in the base");
}

#[test]
fn item_52_opaque_at_the_root_and_below_what_is_hidden() {
    let lower = ["f a", "d d", "d d/e", "f d/e/x"];
    assert_eq!(merged(&lower, &["f .wh..wh..opq", "f new"]), ["f 0641 0:0 new 1.1"]);
    let upper = ["f .wh.d", "f d/e/.wh..wh..opq", "f d/e/y"];
    let expected = ["f 0640 0:0 a 0.0", "d 0755 0:0 d", "d 0755 0:0 d/e", "f 0641 0:0 d/e/y 1.2"];
    assert_eq!(merged(&lower, &upper), expected);
}

#[test]
fn p6_a_link_is_replaced_like_anything_else() {
    assert_eq!(merged(&["f a", "l s -> a"], &["f s"]), ["f 0640 0:0 a 0.0", "f 0641 0:0 s 1.0"]);
    assert_eq!(merged(&["d d", "l s -> d"], &["d s"]), ["d 0750 0:0 d", "d 0751 0:0 s"]);
}
