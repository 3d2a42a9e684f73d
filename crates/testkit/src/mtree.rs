//! Manifests of trees, to be compared.

/// What a manifest says, without comments, the attributes of each line sorted: umoci writes them in the order of the file
/// system.
pub fn lines(text: &str) -> Vec<String> {
    let told = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let sorted = told.map(|line| {
        let (facts, mut xattrs): (Vec<&str>, Vec<&str>) =
            line.split(' ').partition(|word| !word.starts_with("xattr."));
        xattrs.sort_unstable();
        [facts, xattrs].concat().join(" ")
    });
    sorted.collect()
}
