//! What a command is given: the way to stdout, and a context for the verbs of the library.

use crate::flags::Work;
use crate::output::{self, Output};
use crate::progress::{End, Goal, Progress};
use crate::{environment, interrupt, report};
use orlop::spec::reference::Reference;
use orlop::spec::{Context, Fault, Limits};
use std::io::{self, IsTerminal as _};
use std::num::NonZeroUsize;

/// The outside of a running command.
pub struct Shell(());

/// What the user says to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To go on.
    Yes,
    /// Not to.
    No,
    /// Nothing: there is no terminal.
    Nobody,
}

impl Shell {
    /// Asks nothing of the system.
    pub fn new() -> Self {
        Self(())
    }

    /// Buffered stdout, for a result that is written piece by piece; [`Output::end`] must be called.
    #[expect(clippy::unused_self, reason = "whoever prints a result has been given the shell")]
    pub fn output(&self) -> Output {
        Output::new()
    }

    /// Writes a whole result to stdout.
    pub fn print(&self, result: impl AsRef<[u8]>) -> Result<(), Fault> {
        let mut output = self.output();
        io::Write::write_all(&mut output, result.as_ref()).map_err(output::failed)?;
        output.end()
    }

    /// Prints the lines of a writer: on stdout, unless what was written went there.
    pub fn published(&self, target: &Reference, lines: &str) -> Result<(), Fault> {
        if target.is_stream() {
            report::say(lines);
            return Ok(());
        }
        self.print(lines)
    }

    /// Asks on the terminal whether to go on; nobody answers where there is none.
    #[expect(clippy::unused_self, reason = "a verb asks only where there is a shell")]
    pub fn ask(&self, question: &str) -> Result<Answer, Fault> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(Answer::Nobody);
        }
        report::say(&format!("{question} [y/N] "));
        // A terminal gives no more than a line at once.
        let mut line = [0; 256];
        let count = io::Read::read(&mut environment::stdin(), &mut line);
        let count = count.map_err(|error| Fault::io("read from the terminal", error))?;
        let is_yes = matches!(line[..count].trim_ascii().to_ascii_lowercase().as_slice(), b"y" | b"yes");
        Ok(if is_yes { Answer::Yes } else { Answer::No })
    }

    /// Runs a verb that reads only documents: one thread, warnings but no progress.
    #[expect(clippy::unused_self, reason = "a verb runs only where there is a shell")]
    pub fn look<T>(&self, verb: impl FnOnce(&Context<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let progress = Progress::warnings_only();
        let limits = Limits::default();
        let workers = NonZeroUsize::MIN;
        verb(&Context { observer: &progress, cancel: interrupt::cancel()?, limits: &limits, workers })
    }

    /// Runs a verb that moves layers: progress as the flags say, an account at the end.
    #[expect(clippy::unused_self, reason = "a verb runs only where there is a shell")]
    pub fn work<T>(
        &self,
        flags: &Work,
        verb: impl FnOnce(&Context<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        with_progress(flags, Goal::Move, verb)
    }

    /// Runs a verb that uses an image, and may have to fetch it: progress as the flags say.
    #[expect(clippy::unused_self, reason = "a verb runs only where there is a shell")]
    pub fn fetch<T>(
        &self,
        flags: &Work,
        verb: impl FnOnce(&Context<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        with_progress(flags, Goal::Use, verb)
    }

    /// Runs a verb that reads layers to tell about them: progress as the flags say.
    #[expect(clippy::unused_self, reason = "a verb runs only where there is a shell")]
    pub fn read<T>(
        &self,
        flags: &Work,
        verb: impl FnOnce(&Context<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        with_progress(flags, Goal::Tell, verb)
    }
}

fn with_progress<T>(
    flags: &Work,
    goal: Goal,
    verb: impl FnOnce(&Context<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let progress = Progress::new(flags.progress, goal);
    let limits = flags.limits();
    let workers = flags.jobs.unwrap_or_else(environment::processors);
    let cancel = interrupt::cancel()?;
    let result = verb(&Context { observer: &progress, cancel, limits: &limits, workers });
    progress.end(if result.is_ok() { End::Well } else { End::Failed });
    result
}
