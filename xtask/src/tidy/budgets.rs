//! How long files and functions may be, and how long they are.

use super::source::Function;
use super::{Report, Repository};

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 120;

pub(super) fn check(repository: &Repository, report: &mut Report) {
    let mut files = Vec::new();
    let mut functions = Vec::new();
    for source in &repository.sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            report.fault(&source.path, format_args!("{lines} lines, more than {FILE_LINES}"));
        }
        files.push(lines);
        for Function { name, line, lines } in source.functions() {
            if lines > FUNCTION_LINES {
                let what = format_args!("{line}: fn {name} has {lines} lines, more than {FUNCTION_LINES}");
                report.fault(&source.path, what);
            }
            functions.push(lines);
        }
    }
    report.fact(spread("files", &mut files, 400));
    report.fact(spread("functions", &mut functions, 70));
}

/// How many there are, their median and longest, and the share within `many`.
fn spread(what: &str, lengths: &mut [usize], many: usize) -> String {
    lengths.sort_unstable();
    let Some(longest) = lengths.last() else { return format!("{what}: none") };
    let median = lengths[lengths.len() / 2];
    let within = lengths.iter().filter(|length| **length <= many).count();
    let permille = within * 1000 / lengths.len();
    format!(
        "{what}: {}, median {median} lines, longest {longest}, {}.{} % up to {many}",
        lengths.len(),
        permille / 10,
        permille % 10
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::Source;
    use std::path::PathBuf;

    #[test]
    fn a_long_file_and_a_long_function_are_faults() {
        let long = |lines: usize| format!("fn f() {{\n{}}}\n", "x;\n".repeat(lines - 2));
        let source = |name: &str, text: String| Source::new(PathBuf::from(name), text);
        let sources = vec![
            source("fits.rs", long(120)),
            source("function.rs", long(121)),
            source("file.rs", "//\n".repeat(801)),
        ];
        let mut report = Report::default();
        check(&Repository { root: PathBuf::new(), sources, documents: Vec::new() }, &mut report);
        let of: Vec<_> = report.faults.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(of, ["function.rs", "file.rs"]);
    }
}
