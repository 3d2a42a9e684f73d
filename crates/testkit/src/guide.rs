//! A guide, step by step: its files are written and its commands typed as they stand there. What stands behind `#>` is
//! what the command before said.

/// One step of a guide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A file.
    Write {
        /// Where, as it is called on the line before.
        path: &'a str,
        /// What is in it.
        content: &'a str,
    },
    /// A command.
    Type {
        /// As it stands there.
        line: &'a str,
        /// What it says, where the guide shows it.
        said: Vec<&'a str>,
    },
}

/// The steps of a guide in Markdown.
///
/// # Panics
/// Where a block is neither `sh` nor `yaml`, or does not end.
pub fn steps(guide: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = guide;
    while let Some((before, block)) = rest.split_once("```") {
        let (block, after) = block.split_once("\n```").expect("a block ends");
        let (kind, content) = block.split_once('\n').expect("a block has lines");
        match kind {
            "yaml" => {
                let name = before.trim_end().lines().last().expect("a name");
                steps.push(Step::Write { path: name.trim_matches(['`', ':']), content });
            }
            "sh" => content.lines().for_each(|line| match (line.strip_prefix("#> "), steps.last_mut()) {
                (Some(said), Some(Step::Type { said: all, .. })) => all.push(said),
                _ => steps.push(Step::Type { line, said: Vec::new() }),
            }),
            other => panic!("nobody knows what to do with {other}"),
        }
        rest = after;
    }
    steps
}
