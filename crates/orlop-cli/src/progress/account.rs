//! The sum of all events: bytes by fate, seconds by phase, losses by kind.

use super::short;
use super::speed::{Speed, mean};
use crate::output::size;
use orlop::spec::Event;
use orlop::spec::port::Put;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

/// How many paths are named for one kind of loss.
const EXAMPLES: usize = 3;

/// What has happened so far. Time is handed in.
pub struct Account {
    began: Instant,
    phases: Vec<Phase>,
    items: HashMap<String, Item>,
    reused: BTreeMap<&'static str, Sum>,
    lost: BTreeMap<String, Loss>,
    waited: Duration,
    retried: Sum,
    fetched: u64,
    sent: u64,
    /// Files that share the blocks of where their contents lay, and files that are copies of it.
    shared: u64,
    copied: u64,
}

struct Phase {
    name: &'static str,
    /// What is to be done, where that was told.
    planned: Sum,
    /// Blobs and bytes that need nothing more: moved, resumed or reused.
    done: Sum,
    moved: Sum,
    speed: Speed,
    began: Instant,
    ended: Instant,
}

struct Item {
    phase: usize,
    total: Option<u64>,
    done: u64,
}

#[derive(Default)]
struct Sum {
    count: u64,
    bytes: u64,
}

#[derive(Default)]
struct Loss {
    count: u64,
    examples: Vec<String>,
}

impl Account {
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            phases: Vec::new(),
            items: HashMap::new(),
            reused: BTreeMap::new(),
            lost: BTreeMap::new(),
            waited: Duration::ZERO,
            retried: Sum::default(),
            fetched: 0,
            sent: 0,
            shared: 0,
            copied: 0,
        }
    }

    /// Whether anything was moved, and not only read.
    pub fn has_moved(&self) -> bool {
        let only_reads = |phase: &Phase| matches!(phase.name, "read" | "verify");
        self.phases.iter().any(|phase| phase.moved.count > 0 && !only_reads(phase))
    }

    /// Counts one event.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Planned { phase, items, bytes } => {
                let phase = self.phase(phase, now);
                let planned = &mut self.phases[phase].planned;
                planned.count += items;
                planned.bytes = planned.bytes.saturating_add(*bytes);
            }
            Event::Started { phase, item, total } => {
                let phase = self.phase(phase, now);
                self.items.insert(item.clone(), Item { phase, total: *total, done: 0 });
            }
            Event::Resumed { item, bytes } => self.resume(item, *bytes),
            Event::Advanced { item, bytes } => self.advance(item, *bytes, now),
            Event::Finished { item } => self.finish(item, now),
            Event::Reused { blob, put } => {
                if let Some(item) = self.items.remove(&blob.digest.to_string()) {
                    self.phases[item.phase].done.add(blob.size.saturating_sub(item.done));
                }
                self.reused.entry(word(*put)).or_default().add(blob.size);
            }
            Event::Placed { shared, copied } => {
                self.shared += shared;
                self.copied += copied;
            }
            Event::Fetched { bytes } => self.fetched += bytes,
            Event::Sent { bytes } => self.sent += bytes,
            Event::Waited { time, .. } => self.waited += *time,
            Event::Retried { again, .. } => self.retried.add(*again),
            Event::Lost { what, path, why } => self.lost.entry(what.clone()).or_default().add(path, why),
            _ => {}
        }
    }

    /// Bytes of an item so far.
    pub fn done(&self, item: &str) -> u64 {
        self.items.get(item).map_or(0, |item| item.done)
    }

    /// What became of an item that is done: `copy: 6c3c1a2b3c4d: 12.1 MB`; nothing where it was there already.
    pub fn part(&self, item: &str) -> Option<String> {
        let Item { phase, done, .. } = self.items.get(item)?;
        Some(format!("{}: {}: {}", self.phases[*phase].name, short(item), size(*done)))
    }

    /// Where the phase that began last stands: blobs, and bytes of how many where that is known.
    pub fn stand(&self) -> Option<Stand> {
        let phase = self.phases.last()?;
        let at = self.phases.len() - 1;
        let items = || self.items.values().filter(|item| item.phase == at);
        let total = if phase.planned.count > 0 {
            Some(phase.planned.bytes)
        } else {
            items().map(|item| item.total).sum()
        };
        Some(Stand {
            phase: phase.name,
            items: phase.done.count,
            of: phase.planned.count.max(phase.done.count),
            bytes: phase.done.bytes,
            total,
            rate: phase.speed.rate(),
            left: total.and_then(|total| phase.speed.time_for(total.saturating_sub(phase.done.bytes))),
        })
    }

    /// `copy: 248.1 MB in 5 (0.98 s, 253.1 MB/s); fetched: 248.1 MB; reused: 12.0 MB in 2; 1.24 s in all`
    pub fn for_eyes(&self, now: Instant) -> String {
        let moved = self.phases.iter().filter(|phase| phase.moved.bytes > 0).map(Phase::text);
        let wire = [("fetched", self.fetched), ("sent", self.sent)];
        let wire = wire.into_iter().filter(|(_, bytes)| *bytes > 0);
        let wire = wire.map(|(word, bytes)| format!("{word}: {}", size(bytes)));
        let reused = self.reused.iter().map(|(word, sum)| format!("{word}: {}", sum.text()));
        let files = [("shared", self.shared), ("copied", self.copied)];
        let files = files.into_iter().filter(|(_, count)| *count > 0);
        let files = files.map(|(word, count)| format!("{word}: {count} files"));
        let all = format!("{:.2} s in all\n", now.duration_since(self.began).as_secs_f64());
        let Sum { count, bytes } = self.retried;
        let retried = (count > 0).then(|| format!("asked again: {count} times, {} sent again", size(bytes)));
        let waited = (!self.waited.is_zero()).then(|| format!("paused: {:.2} s", self.waited.as_secs_f64()));
        let parts = moved.chain(files).chain(wire).chain(reused).chain(retried).chain(waited).chain([all]);
        parts.collect::<Vec<_>>().join("; ")
    }

    /// The same for programs, as the last event.
    pub fn for_programs(&self, now: Instant) -> serde_json::Value {
        let phases: Vec<_> = self
            .phases
            .iter()
            .map(|phase| {
                let seconds = phase.ended.duration_since(phase.began).as_secs_f64();
                json!({
                    "phase": phase.name, "items": phase.moved.count, "bytes": phase.moved.bytes, "seconds": seconds,
                    "rate": phase.rate(),
                })
            })
            .collect();
        let reused: serde_json::Map<_, _> = self
            .reused
            .iter()
            .map(|(word, sum)| ((*word).to_owned(), json!({ "items": sum.count, "bytes": sum.bytes })))
            .collect();
        let lost: serde_json::Map<_, _> =
            self.lost.iter().map(|(what, loss)| (what.clone(), json!(loss.count))).collect();
        let seconds = now.duration_since(self.began).as_secs_f64();
        json!({
            "version": 1, "event": "account", "phases": phases, "reused": reused, "lost": lost, "seconds": seconds,
            "retried": { "items": self.retried.count, "bytes": self.retried.bytes },
            "fetched": self.fetched, "sent": self.sent, "shared": self.shared, "copied": self.copied,
            "paused": self.waited.as_secs_f64(),
        })
    }

    /// One line per kind of loss, with a few examples.
    pub fn losses(&self) -> Vec<String> {
        self.lost.iter().map(|(what, loss)| loss.text(what)).collect()
    }

    fn phase(&mut self, name: &'static str, now: Instant) -> usize {
        if let Some(position) = self.phases.iter().position(|phase| phase.name == name) {
            return position;
        }
        self.phases.push(Phase::new(name, now));
        self.phases.len() - 1
    }

    fn resume(&mut self, item: &str, bytes: u64) {
        if let Some(item) = self.items.get_mut(item) {
            item.done += bytes;
            self.phases[item.phase].done.bytes += bytes;
            self.reused.entry("resumed").or_default().add(bytes);
        }
    }

    fn advance(&mut self, item: &str, bytes: u64, now: Instant) {
        if let Some(item) = self.items.get_mut(item) {
            item.done += bytes;
            self.phases[item.phase].moved(bytes, now);
        }
    }

    fn finish(&mut self, item: &str, now: Instant) {
        if let Some(item) = self.items.get_mut(item) {
            let phase = &mut self.phases[item.phase];
            // The kernel may have moved bytes without telling.
            let silent = item.total.map_or(0, |total| total.saturating_sub(item.done));
            item.done += silent;
            phase.moved(silent, now);
            phase.moved.count += 1;
            phase.done.count += 1;
        }
    }
}

/// Where a phase stands.
pub struct Stand {
    pub phase: &'static str,
    /// Blobs that need nothing more.
    pub items: u64,
    /// Blobs in all.
    pub of: u64,
    pub bytes: u64,
    pub total: Option<u64>,
    /// Bytes in a second, of late.
    pub rate: Option<u64>,
    pub left: Option<Duration>,
}

/// `copy: 120.3 MB of 248.1 MB, 12.3 MB/s, 11 s left`
impl fmt::Display for Stand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.phase, size(self.bytes))?;
        if let Some(total) = self.total {
            write!(out, " of {}", size(total))?;
        }
        if let Some(rate) = self.rate {
            write!(out, ", {}/s", size(rate))?;
        }
        match self.left {
            Some(left) => write!(out, ", {} left", clock(left)),
            None => Ok(()),
        }
    }
}

/// `59 s`, `1:02`, `3:00:01`
pub fn clock(time: Duration) -> String {
    let (hours, minutes, seconds) = (time.as_secs() / 3600, time.as_secs() / 60 % 60, time.as_secs() % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

impl Phase {
    fn new(name: &'static str, now: Instant) -> Self {
        Self {
            name,
            planned: Sum::default(),
            done: Sum::default(),
            moved: Sum::default(),
            speed: Speed::new(now),
            began: now,
            ended: now,
        }
    }

    fn moved(&mut self, bytes: u64, now: Instant) {
        self.moved.bytes += bytes;
        self.done.bytes += bytes;
        self.ended = now;
        self.speed.note(self.moved.bytes, now);
    }

    fn rate(&self) -> Option<u64> {
        mean(self.moved.bytes, self.ended.duration_since(self.began))
    }

    /// `copy: 248.1 MB in 5 (0.98 s, 253.1 MB/s)`
    fn text(&self) -> String {
        let seconds = self.ended.duration_since(self.began).as_secs_f64();
        let rate = self.rate().map_or_else(String::new, |rate| format!(", {}/s", size(rate)));
        format!("{}: {} ({seconds:.2} s{rate})", self.name, self.moved.text())
    }
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn text(&self) -> String {
        format!("{} in {}", size(self.bytes), self.count)
    }
}

impl Loss {
    fn add(&mut self, path: &str, why: &str) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{path} ({why})"));
        }
    }

    fn text(&self, what: &str) -> String {
        let more = if self.count > self.examples.len() as u64 { ", …" } else { "" };
        format!("not kept: {what}, {} times: {}{more}", self.count, self.examples.join(", "))
    }
}

/// What became of a blob that needed no transfer, in one word.
pub fn word(put: Put) -> &'static str {
    match put {
        Put::Held => "reused",
        Put::Mounted => "mounted",
        Put::Linked => "linked",
        Put::Copied => "copied",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop::spec::{Algorithm, Descriptor, Digest, MediaType};

    fn started(item: &str, total: Option<u64>) -> Event {
        Event::Started { phase: "copy", item: item.into(), total }
    }

    #[test]
    fn the_account_adds_bytes_by_fate_and_seconds_by_phase() {
        let began = Instant::now();
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        let mut account = Account::new(began);
        account.take(&started("a", Some(3000)), at(100));
        account.take(&Event::Advanced { item: "a".into(), bytes: 1000 }, at(200));
        let stand = account.stand().expect("a phase").to_string();
        assert_eq!(stand, "copy: 1.0 kB of 3.0 kB, 10.0 kB/s, 1 s left");
        account.take(&Event::Advanced { item: "a".into(), bytes: 2000 }, at(300));
        account.take(&Event::Finished { item: "a".into() }, at(600));
        let blob = Descriptor::new(MediaType::new("a/b"), Digest::of(Algorithm::Sha256, b"x"), 12);
        account.take(&Event::Reused { blob: Box::new(blob), put: Put::Held }, at(700));
        assert_eq!(
            account.for_eyes(at(1000)),
            "copy: 3.0 kB in 1 (0.50 s, 6.0 kB/s); reused: 12 B in 1; 1.00 s in all\n"
        );
        let value = account.for_programs(at(1000));
        assert_eq!(value["phases"][0]["bytes"], 3000);
        assert_eq!(value["reused"]["reused"]["items"], 1);
    }

    #[test]
    fn bytes_that_the_kernel_moved_count_and_reused_ones_do_not() {
        let now = Instant::now();
        let mut account = Account::new(now);
        let blob = Descriptor::new(MediaType::new("a/b"), Digest::of(Algorithm::Sha256, b"x"), 12);
        let held = blob.digest.to_string();
        for item in ["moved", &held] {
            account.take(&started(item, Some(12)), now);
        }
        account.take(&Event::Reused { blob: Box::new(blob), put: Put::Linked }, now);
        for item in ["moved", &held] {
            account.take(&Event::Finished { item: item.into() }, now);
        }
        let value = account.for_programs(now);
        assert_eq!((&value["phases"][0]["bytes"], &value["phases"][0]["items"]), (&json!(12), &json!(1)));
        assert_eq!(value["reused"]["linked"]["bytes"], 12);
    }

    #[test]
    fn what_a_server_costs_in_pauses_and_bytes_is_said() {
        let now = Instant::now();
        let mut account = Account::new(now);
        for again in [0, 3000] {
            let (site, why, time) = ("https://a".into(), "busy".into(), Duration::from_millis(750));
            account.take(&Event::Waited { site, why, time }, now);
            account.take(&Event::Retried { what: "https://a/x".into(), why: "busy".into(), again }, now);
        }
        let text = account.for_eyes(now);
        assert_eq!(text, "asked again: 2 times, 3.0 kB sent again; paused: 1.50 s; 0.00 s in all\n");
        let value = account.for_programs(now);
        assert_eq!((&value["retried"]["bytes"], &value["retried"]["items"]), (&json!(3000), &json!(2)));
        assert_eq!(value["paused"], 1.5);
    }

    #[test]
    fn what_was_planned_is_the_whole_and_what_is_reused_is_done() {
        let now = Instant::now();
        let mut account = Account::new(now);
        let blob = Descriptor::new(MediaType::new("a/b"), Digest::of(Algorithm::Sha256, b"x"), 1000);
        let held = blob.digest.to_string();
        account.take(&Event::Planned { phase: "copy", items: 3, bytes: 6000 }, now);
        for item in ["moved", &held] {
            account.take(&started(item, Some(1000)), now);
        }
        account.take(&Event::Reused { blob: Box::new(blob), put: Put::Mounted }, now);
        account.take(&Event::Finished { item: held }, now);
        account.take(&Event::Resumed { item: "moved".into(), bytes: 500 }, now);
        account.take(&Event::Advanced { item: "moved".into(), bytes: 400 }, now + Duration::from_secs(1));
        let stand = account.stand().expect("a phase");
        assert_eq!((stand.items, stand.of, stand.bytes, stand.total), (1, 3, 1900, Some(6000)));
        assert_eq!((stand.rate, stand.left), (Some(400), Some(Duration::from_secs(11))));
        account.take(&Event::Finished { item: "moved".into() }, now);
        let stand = account.stand().expect("a phase");
        assert_eq!((stand.items, stand.bytes), (2, 2000));
    }

    #[test]
    fn bytes_on_the_wire_are_told_beside_those_of_the_image() {
        let now = Instant::now();
        let mut account = Account::new(now);
        account.take(&Event::Fetched { bytes: 3000 }, now);
        account.take(&Event::Fetched { bytes: 1000 }, now);
        account.take(&Event::Sent { bytes: 12 }, now);
        assert_eq!(account.for_eyes(now), "fetched: 4.0 kB; sent: 12 B; 0.00 s in all\n");
        let value = account.for_programs(now);
        assert_eq!((&value["fetched"], &value["sent"]), (&json!(4000), &json!(12)));
    }

    #[test]
    fn times_are_short() {
        let times = [0, 59, 62, 3600].map(|seconds| clock(Duration::from_secs(seconds)));
        assert_eq!(times, ["0 s", "59 s", "1:02", "1:00:00"]);
    }

    #[test]
    fn an_unknown_total_is_not_invented() {
        let mut account = Account::new(Instant::now());
        account.take(&started("a", Some(1)), Instant::now());
        account.take(&started("b", None), Instant::now());
        assert_eq!(account.stand().map(|stand| stand.to_string()).as_deref(), Some("copy: 0 B"));
    }

    #[test]
    fn losses_are_counted_by_kind_with_a_few_examples() {
        let mut account = Account::new(Instant::now());
        for path in ["/1", "/2", "/3", "/4"] {
            let (what, path, why) = ("owner".into(), path.into(), "no privilege".into());
            account.take(&Event::Lost { what, path, why }, Instant::now());
        }
        let expected =
            "not kept: owner, 4 times: /1 (no privilege), /2 (no privilege), /3 (no privilege), …".to_owned();
        assert_eq!(account.losses(), [expected]);
    }
}
