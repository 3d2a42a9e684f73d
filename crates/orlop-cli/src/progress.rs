//! Shows what a running verb tells, on stderr: bars, plain lines, JSON events or nothing; at the end an account.
//!
//! ```text
//! copy 6c3c1a2b3c4d    [=======>            ]  12.1 MB of 31.4 MB            one bar for each blob that moves
//! copy 3 of 7   [==========>     ]  120.1 MB of 248.1 MB  12.3 MB/s  11 s    and one for all of them
//! ```
//!
//! Invariant: warnings and losses are shown in every style, because nothing is lost silently; but for bars no style writes
//! a control byte.

mod account;
mod bars;
mod speed;

use crate::flags::ProgressStyle;
use crate::report;
use account::Account;
use bars::Bars;
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

/// What a verb is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It moves something: each part is told when it is done, and an account follows.
    Move,
    /// It uses something that may have to be moved first: an account follows where it had to be.
    Use,
    /// It reads something: its result is the account.
    Tell,
}

/// How the verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It did what it should.
    Well,
    /// It failed; the error follows.
    Failed,
}

struct State {
    account: Account,
    goal: Goal,
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
    Bars(Bars),
}

impl Progress {
    /// Shows progress in `style`.
    pub fn new(style: ProgressStyle, goal: Goal) -> Self {
        let display = match style {
            ProgressStyle::None => Display::Quiet,
            ProgressStyle::Json => Display::Json { last: HashMap::new() },
            ProgressStyle::Tty => Display::Bars(Bars::new()),
            ProgressStyle::Auto if io::stderr().is_terminal() => Display::Bars(Bars::new()),
            ProgressStyle::Auto | ProgressStyle::Plain => Display::Plain { last: Instant::now() },
        };
        Self::of(display, goal)
    }

    /// For verbs that are over at once.
    pub fn warnings_only() -> Self {
        Self::of(Display::Quiet, Goal::Tell)
    }

    fn of(display: Display, goal: Goal) -> Self {
        Self(Mutex::new(State { account: Account::new(Instant::now()), goal, display }))
    }

    /// Shows the account and what could not be kept.
    pub fn end(self, end: End) {
        let mut state = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Display::Bars(bars) = &mut state.display {
            bars.clear();
        }
        let now = Instant::now();
        match (&state.display, state.goal, end) {
            (Display::Json { .. }, ..) => report::say(&format!("{}\n", state.account.for_programs(now))),
            (Display::Quiet, ..) | (_, Goal::Tell, _) | (_, _, End::Failed) => {}
            (_, Goal::Use, _) if !state.account.has_moved() => {}
            (Display::Plain { .. } | Display::Bars(_), Goal::Move | Goal::Use, End::Well) => {
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
        let State { account, goal, display } = &mut *state;
        display.show(&event, account, *goal, now);
    }
}

impl Display {
    fn show(&mut self, event: &Event, account: &Account, goal: Goal, now: Instant) {
        match self {
            Self::Quiet => warn(event, report::warn),
            Self::Plain { last } => {
                warn(event, report::warn);
                note(event, report::note);
                if let Some(line) = plain(event, account, goal, now, last) {
                    report::say(&printable_lines(&format!("{line}\n")));
                }
            }
            Self::Json { last } => show_json(last, event, account, now),
            Self::Bars(bars) => {
                warn(event, |text| bars.aside(|| report::warn(text)));
                note(event, |text| bars.aside(|| report::note(text)));
                bars.show(event, account, now);
            }
        }
    }
}

/// A line where a part of what is moved is done, and where there was none for a while.
fn plain(event: &Event, account: &Account, goal: Goal, now: Instant, last: &mut Instant) -> Option<String> {
    let line = match event {
        Event::Finished { item } if goal == Goal::Move => account.part(item)?,
        _ if now.duration_since(*last) >= PLAIN => account.stand()?.to_string(),
        _ => return None,
    };
    *last = now;
    Some(line)
}

fn warn(event: &Event, say: impl FnOnce(&str)) {
    if let Event::Warned(text) = event {
        say(text);
    }
}

fn note(event: &Event, say: impl FnOnce(&str)) {
    if let Event::Told(text) = event {
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
        Event::Planned { phase, items, bytes } => {
            json!({ "version": 1, "event": "planned", "phase": phase, "items": items, "bytes": bytes })
        }
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
        Event::Told(text) => json!({ "version": 1, "event": "told", "text": text }),
        Event::Warned(text) => json!({ "version": 1, "event": "warned", "text": text }),
        Event::Lost { what, path, why } => {
            json!({ "version": 1, "event": "lost", "what": what, "path": path, "why": why })
        }
        _ => return None,
    })
}

/// What an item is called in a line: a digest shows its first digits, a path its end.
fn short(item: &str) -> String {
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
