//! Manual pages: `orlop(1)`, and `orlop-VERB(1)` for every verb that help shows, `orlop-VERB-VERB(1)` too.

use crate::cli;
use crate::environment::VARIABLES;
use crate::error::Error;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use orlop::spec::Kind;

/// Every page with its file name.
pub fn pages() -> Vec<(String, String)> {
    let command = cli::definition();
    let verbs = shown(&command).into_iter();
    let verbs = verbs.map(|verb| (format!("orlop-{}.1", title(verb).replace(' ', "-")), page_of_verb(verb)));
    std::iter::once(("orlop.1".to_owned(), overview(&command))).chain(verbs).collect()
}

/// The page of a verb, or of orlop itself where there is none.
pub fn page(words: &[String]) -> Result<String, Error> {
    let command = cli::definition();
    if words.is_empty() {
        return Ok(overview(&command));
    }
    let found = words.iter().try_fold(&command, |command, word| command.find_subcommand(word));
    found.map(page_of_verb).ok_or_else(|| Error::UnknownVerb(words.join(" ")))
}

/// The verbs that help shows; those of a verb that has verbs follow it.
pub fn shown(command: &Command) -> Vec<&Command> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.flat_map(|verb| std::iter::once(verb).chain(shown(verb))).collect()
}

/// What is typed after `orlop` for a verb.
pub fn title(verb: &Command) -> &str {
    let typed = verb.get_bin_name().unwrap_or(verb.get_name());
    typed.strip_prefix("orlop ").unwrap_or(typed)
}

fn overview(command: &Command) -> String {
    let mut page = Vec::new();
    render(&Man::new(command.clone()), &mut page);
    page.extend_from_slice(environment().to_roff().as_bytes());
    page.extend_from_slice(exit_codes().to_roff().as_bytes());
    text(page)
}

fn page_of_verb(verb: &Command) -> String {
    let name = format!("orlop-{}", title(verb).replace(' ', "-"));
    let command = verb.clone().display_name(name);
    let mut page = Vec::new();
    render(&Man::new(command), &mut page);
    let mut end = Roff::new();
    end.control("SH", ["EXIT STATUS"]);
    end.text([roman("One table for all verbs: see "), bold("orlop"), roman("(1).")]);
    page.extend_from_slice(end.to_roff().as_bytes());
    text(page)
}

fn render(man: &Man, page: &mut Vec<u8>) {
    man.render(page).expect("memory takes everything");
}

fn environment() -> Roff {
    let variables = VARIABLES.map(|(name, meaning)| (name.to_owned(), meaning));
    list("ENVIRONMENT", variables)
}

fn exit_codes() -> Roff {
    let success = ("0".to_owned(), "success");
    let kinds = Kind::ALL.map(|kind| (kind.exit_code().to_string(), kind.meaning()));
    list("EXIT STATUS", std::iter::once(success).chain(kinds))
}

/// A section of terms and what they mean.
fn list(title: &str, terms: impl IntoIterator<Item = (String, &'static str)>) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [title]);
    for (term, meaning) in terms {
        section.control("TP", []);
        section.text([bold(term)]);
        section.text([roman(meaning)]);
    }
    section
}

fn text(page: Vec<u8>) -> String {
    String::from_utf8(page).expect("pages are made of text")
}
