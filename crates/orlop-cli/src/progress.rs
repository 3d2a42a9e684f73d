//! Shows what a running verb tells, on stderr: bars, plain lines, JSON events or nothing; at the end an account.
//!
//! Invariant: warnings and losses are shown in every style, because nothing is lost silently.

mod account;

use crate::flags::ProgressStyle;
use crate::report;
use account::Account;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle as BarStyle};
use orlop::layer::path::printable;
use orlop::spec::{Event, Observer};
use serde_json::json;
use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two plain lines.
const PLAIN: Duration = Duration::from_secs(3);
/// Between two JSON events about one item's bytes.
const JSON: Duration = Duration::from_millis(200);

/// Sees the events of one verb.
pub struct Progress(Mutex<State>);

/// How the verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It moved what it should; the account follows.
    Moved,
    /// It read what it should; its result is the account.
    Told,
    /// It failed; the error follows.
    Failed,
}

struct State {
    account: Account,
    display: Display,
}

enum Display {
    /// Warnings only.
    Quiet,
    Plain {
        last: Instant,
    },
    Json {
        last: HashMap<String, Instant>,
    },
    Bars {
        all: MultiProgress,
        each: HashMap<String, ProgressBar>,
    },
}

impl Progress {
    /// Shows progress in `style`.
    pub fn new(style: ProgressStyle) -> Self {
        Self::of(match style {
            ProgressStyle::None => Display::Quiet,
            ProgressStyle::Json => Display::Json { last: HashMap::new() },
            ProgressStyle::Tty => Display::bars(),
            ProgressStyle::Auto if io::stderr().is_terminal() => Display::bars(),
            ProgressStyle::Auto | ProgressStyle::Plain => Display::Plain { last: Instant::now() },
        })
    }

    /// For verbs that are over at once.
    pub fn warnings_only() -> Self {
        Self::of(Display::Quiet)
    }

    fn of(display: Display) -> Self {
        Self(Mutex::new(State { account: Account::new(Instant::now()), display }))
    }

    /// Shows the account and what could not be kept.
    pub fn end(self, end: End) {
        let mut state = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.display.clear();
        let now = Instant::now();
        match (&state.display, end) {
            (Display::Json { .. }, _) => report::say(&format!("{}\n", state.account.for_programs(now))),
            (Display::Quiet, _) | (_, End::Told | End::Failed) => {}
            (Display::Plain { .. } | Display::Bars { .. }, End::Moved) => {
                report::say(&printable_lines(&state.account.for_eyes(now)));
            }
        }
        if !matches!(state.display, Display::Json { .. }) {
            state.account.losses().iter().for_each(|loss| report::warn(loss));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        let mut state = self.lock();
        let now = Instant::now();
        state.account.take(&event, now);
        let State { account, display } = &mut *state;
        display.show(&event, account, now);
    }
}

impl Display {
    fn bars() -> Self {
        Self::Bars { all: MultiProgress::new(), each: HashMap::new() }
    }

    fn show(&mut self, event: &Event, account: &Account, now: Instant) {
        match self {
            Self::Quiet => warn(event, report::warn),
            Self::Plain { last } => {
                warn(event, report::warn);
                if now.duration_since(*last) >= PLAIN {
                    *last = now;
                    report::say(&printable_lines(&account.line()));
                }
            }
            Self::Json { last } => show_json(last, event, account, now),
            Self::Bars { all, each } => {
                warn(event, |text| all.suspend(|| report::warn(text)));
                show_bar(all, each, event);
            }
        }
    }

    fn clear(&mut self) {
        if let Self::Bars { all, .. } = self {
            drop(all.clear());
        }
    }
}

fn warn(event: &Event, say: impl FnOnce(&str)) {
    if let Event::Warned(text) = event {
        say(text);
    }
}

fn show_json(last: &mut HashMap<String, Instant>, event: &Event, account: &Account, now: Instant) {
    if let Event::Advanced { item, .. } = event {
        if last.get(item).is_some_and(|last| now.duration_since(*last) < JSON) {
            return;
        }
        last.insert(item.clone(), now);
    }
    let Some(line) = json_event(event, account) else { return };
    report::say(&format!("{line}\n"));
}

fn json_event(event: &Event, account: &Account) -> Option<serde_json::Value> {
    Some(match event {
        Event::Started { phase, item, total } => {
            json!({ "version": 1, "event": "started", "phase": phase, "item": item, "total": total })
        }
        Event::Resumed { item, bytes } => {
            json!({ "version": 1, "event": "resumed", "item": item, "bytes": bytes })
        }
        Event::Advanced { item, .. } => {
            json!({ "version": 1, "event": "advanced", "item": item, "bytes": account.done(item) })
        }
        Event::Finished { item } => json!({ "version": 1, "event": "finished", "item": item }),
        Event::Reused { blob, put } => json!({
            "version": 1, "event": "reused", "item": blob.digest.to_string(), "bytes": blob.size,
            "how": account::word(*put),
        }),
        Event::Waited { site, why, time } => {
            json!({ "version": 1, "event": "paused", "site": site, "why": why, "seconds": time.as_secs_f64() })
        }
        Event::Retried { what, why, again } => {
            json!({ "version": 1, "event": "retried", "what": what, "why": why, "bytes": again })
        }
        Event::Warned(text) => json!({ "version": 1, "event": "warned", "text": text }),
        Event::Lost { what, path, why } => {
            json!({ "version": 1, "event": "lost", "what": what, "path": path, "why": why })
        }
        _ => return None,
    })
}

fn show_bar(all: &MultiProgress, each: &mut HashMap<String, ProgressBar>, event: &Event) {
    match event {
        Event::Started { phase, item, total } => {
            let bar = all.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
            bar.set_style(bar_style(*total));
            bar.set_message(format!("{phase} {}", name_for_bar(item)));
            each.insert(item.clone(), bar);
        }
        Event::Advanced { item, bytes } | Event::Resumed { item, bytes } => {
            if let Some(bar) = each.get(item) {
                bar.inc(*bytes);
            }
        }
        Event::Finished { item } => {
            if let Some(bar) = each.remove(item) {
                bar.finish_and_clear();
            }
        }
        _ => {}
    }
}

/// No wider than 80 columns.
fn bar_style(total: Option<u64>) -> BarStyle {
    let template = match total {
        Some(_) => {
            "{msg:20!} [{bar:20}] {decimal_bytes:>9} of {decimal_total_bytes:<9} {decimal_bytes_per_sec}"
        }
        None => "{msg:20!} {spinner} {decimal_bytes:>9} {decimal_bytes_per_sec}",
    };
    BarStyle::with_template(template).expect("the template is a constant").progress_chars("=> ")
}

/// A digest shows its first digits, a path its end.
fn name_for_bar(item: &str) -> String {
    if let Some((_, hex)) = item.split_once(':') {
        return printable(hex.get(..12).unwrap_or(hex)).into_owned();
    }
    let characters = item.chars().count();
    printable(&item.chars().skip(characters.saturating_sub(12)).collect::<String>()).into_owned()
}

/// Escapes what is within lines, and keeps the lines.
fn printable_lines(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| format!("{}\n", printable(line.trim_end_matches('\n'))))
        .collect::<Vec<_>>()
        .concat()
}
