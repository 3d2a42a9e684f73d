//! Bars on a terminal: one for each blob that moves, and below them one for all.
//!
//! Invariant: no line is wider than 80 columns, and when the verb ends none is left. Bars move at every beat, not with every
//! buffer: a terminal shows no more, and a copy has thousands of them in a second.

use super::account::{Account, Stand, clock};
use super::short;
use crate::output::size;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use orlop::spec::Event;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two moves of the bars.
const BEAT: Duration = Duration::from_millis(100);

/// All bars.
pub struct Bars {
    all: MultiProgress,
    each: HashMap<String, Bar>,
    /// The last one, once there is something to add up.
    sum: Option<ProgressBar>,
    beat: Instant,
}

/// The bar of one blob.
struct Bar {
    shown: ProgressBar,
    bytes: u64,
}

impl Bars {
    pub fn new() -> Self {
        Self { all: MultiProgress::new(), each: HashMap::new(), sum: None, beat: Instant::now() }
    }

    /// Says something above the bars.
    pub fn aside(&self, say: impl FnOnce()) {
        self.all.suspend(say);
    }

    /// Takes them away.
    pub fn clear(&mut self) {
        drop(self.all.clear());
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event, account: &Account, now: Instant) {
        match event {
            Event::Planned { .. } => self.add_up(account),
            Event::Started { phase, item, total } => {
                let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
                let bar = bar.with_style(of_one(*total)).with_message(format!("{phase} {}", short(item)));
                let bar = match &self.sum {
                    Some(sum) => self.all.insert_before(sum, bar),
                    None => self.all.add(bar),
                };
                self.each.insert(item.clone(), Bar { shown: bar, bytes: 0 });
            }
            Event::Advanced { item, bytes } | Event::Resumed { item, bytes } => {
                if let Some(bar) = self.each.get_mut(item) {
                    bar.bytes += bytes;
                }
            }
            Event::Finished { item } => {
                if let Some(bar) = self.each.remove(item) {
                    bar.shown.finish_and_clear();
                }
                self.add_up(account);
            }
            _ => {}
        }
        if now.duration_since(self.beat) >= BEAT {
            self.beat = now;
            self.each.values().for_each(|bar| bar.shown.set_position(bar.bytes));
            self.add_up(account);
        }
    }

    /// Where all of it stands; nothing where the whole is not known.
    fn add_up(&mut self, account: &Account) {
        let Some(Stand { phase, items, of, bytes, total: Some(total), rate, left }) = account.stand() else {
            return;
        };
        let prefix = format!("{phase} {items} of {of}");
        let bar = self.sum.get_or_insert_with(|| {
            self.all.add(ProgressBar::new(total).with_style(of_all()).with_prefix(prefix.clone()))
        });
        let rate = rate.map_or_else(String::new, |rate| format!("{}/s", size(rate)));
        bar.set_length(total);
        bar.set_position(bytes.min(total));
        bar.set_prefix(prefix);
        bar.set_message(format!("{rate:>11} {}", left.map(clock).unwrap_or_default()));
    }
}

fn of_one(total: Option<u64>) -> ProgressStyle {
    style(match total {
        Some(_) => {
            "{msg:20!} [{bar:20}] {decimal_bytes:>9} of {decimal_total_bytes:<9} {decimal_bytes_per_sec}"
        }
        None => "{msg:20!} {spinner} {decimal_bytes:>9} {decimal_bytes_per_sec}",
    })
}

fn of_all() -> ProgressStyle {
    style("{prefix:18!} [{bar:14}] {decimal_bytes:>9} of {decimal_total_bytes:<9}{msg:20!}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("=> ")
}
