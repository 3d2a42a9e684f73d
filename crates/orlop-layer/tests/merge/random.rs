//! Random stacks of layers, as lines of the notation.

use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

pub(crate) type Stack = Vec<Vec<String>>;

/// Up to four layers of up to nine entries over few names, so that they meet.
pub(crate) fn stacks() -> impl Strategy<Value = Stack> {
    prop::collection::vec(prop::collection::vec(line(), 0..10), 1..5)
}

fn line() -> Union<BoxedStrategy<String>> {
    let target = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "/a",
        "/b/c",
        "../a",
        "a/b",
        "..",
        "../../c/a",
        "./b/.",
        "a/../b",
        "/",
        "c//b",
        "nowhere",
    ]);
    Union::new_weighted(vec![
        (8, path().prop_map(|path| format!("f {path}")).boxed()),
        (5, path().prop_map(|path| format!("d {path}")).boxed()),
        (4, (path(), target).prop_map(|(path, target)| format!("l {path} -> {target}")).boxed()),
        (2, (path(), path()).prop_map(|(path, target)| format!("h {path} => {target}")).boxed()),
        (5, (folder(), name()).prop_map(|(folder, name)| format!("f {folder}.wh.{name}")).boxed()),
        (2, folder().prop_map(|folder| format!("f {folder}.wh..wh..opq")).boxed()),
    ])
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c"])
}

/// Nothing, or names that end in a slash.
fn folder() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 0..3).prop_map(|names| [&names[..], &[""]].concat().join("/"))
}

fn path() -> impl Strategy<Value = String> {
    (folder(), name()).prop_map(|(folder, name)| folder + name)
}

/// Runs a law over random stacks: 10⁴, ten times as many when the long runs are asked for. Every run sees the
/// same stacks. Gives their number.
pub(crate) fn check(law: impl Fn(Stack) -> Result<(), TestCaseError>) -> usize {
    let cases = if testkit::full() { 100_000 } else { 10_000 };
    if let Err(error) = runner(cases).run(&stacks(), law) {
        panic!("{error}");
    }
    cases as usize
}

/// So many random stacks.
pub(crate) fn samples(count: usize) -> Vec<Stack> {
    let mut runner = runner(1);
    (0..count).map(|_| stacks().new_tree(&mut runner).expect("no filter rejects").current()).collect()
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}
