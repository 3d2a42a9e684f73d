//! What trees cost in memory. Alone in its binary: the memory of the process is the measure.

use orlop_layer::tree::{Builder, Tree};
use orlop_layer::{Entry, Kind, Meta, TreePath};
use orlop_spec::Limits;

/// Bytes of memory that this process holds (`VmRSS`), or held at most (`VmHWM`).
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a line of memory");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") << 10
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: TreePath::parse(path.as_bytes()).expect("plain"),
        meta: Meta { mode: 0o644, ..Meta::default() },
        kind,
    }
}

fn tree(entries: impl Iterator<Item = Entry>) -> Tree {
    let mut builder = Builder::new(0, &Limits::default());
    for (ordinal, entry) in (0..).zip(entries) {
        builder.add(ordinal, u64::from(ordinal) * 512, &entry).expect("within the limits");
    }
    builder.finish()
}

/// Folders of one file each, which cost most.
fn folders(count: usize) -> impl Iterator<Item = Entry> {
    (0..count).flat_map(|number| {
        let name = format!("usr/lib/modules/{:02}/package-{number}", number % 100);
        let file = entry(&format!("{name}/file.js"), Kind::File { size: 100 });
        [entry(&name, Kind::Directory), file]
    })
}

#[test]
fn an_entry_costs_at_most_200_bytes_and_its_name() {
    let before = memory("VmRSS");
    let tree = Tree::default().stack(tree(folders(200_000))).expect("within the limits");
    let names: usize = tree.walk().map(|(path, _)| path.split().map_or(0, |(_, name)| name.len())).sum();
    let cost = (memory("VmRSS") - before - names as u64) / tree.len();
    assert!(cost <= 200, "{cost} bytes for each of {} entries", tree.len());

    let upper = self::tree(folders(200_000));
    let tree = tree.stack(upper).expect("within the limits");
    let peak = (memory("VmHWM") - before) / (2 * tree.len());
    assert!(peak <= 300, "{peak} bytes at most for each of {} entries of two layers", 2 * tree.len());
}
