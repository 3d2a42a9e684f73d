//! Our EROFS images: the kernel and our own reader show what was written.

mod merged;
mod read;
mod shown;
mod trees;

// What random stacks of layers mean, from the tests of the merge.
#[path = "../../../orlop-layer/tests/merge/model.rs"]
mod model;
#[path = "../../../orlop-layer/tests/merge/notation.rs"]
mod notation;
#[path = "../../../orlop-layer/tests/merge/random.rs"]
#[expect(dead_code, reason = "the tests of the merge use more of it")]
mod random;
