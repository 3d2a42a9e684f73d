//! The sum of all events: bytes by fate, seconds by phase, losses by kind.

use crate::output::size;
use orlop::spec::Event;
use orlop::spec::port::Put;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
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
}

struct Phase {
    name: &'static str,
    moved: Sum,
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
        }
    }

    /// Counts one event.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Started { phase, item, total } => {
                let phase = self.phase(phase, now);
                self.items.insert(item.clone(), Item { phase, total: *total, done: 0 });
            }
            Event::Resumed { item, bytes } => self.resume(item, *bytes),
            Event::Advanced { item, bytes } => self.advance(item, *bytes, now),
            Event::Finished { item } => self.finish(item, now),
            Event::Reused { blob, put } => {
                self.items.remove(&blob.digest.to_string());
                self.reused.entry(word(*put)).or_default().add(blob.size);
            }
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

    /// Where things stand, in one line.
    pub fn line(&self) -> String {
        let Some(phase) = self.phases.last() else { return "working".to_owned() };
        let current = self.phases.len() - 1;
        let done: u64 = self.items.values().filter(|item| item.phase == current).map(|item| item.done).sum();
        let total: Option<u64> =
            self.items.values().filter(|item| item.phase == current).map(|item| item.total).sum();
        match total {
            Some(total) => format!("{}: {} of {}", phase.name, size(done), size(total)),
            None => format!("{}: {}", phase.name, size(done)),
        }
    }

    /// `copy: 248.1 MB in 5 (0.98 s); reused: 12.0 MB in 2; 1.24 s in all`
    pub fn for_eyes(&self, now: Instant) -> String {
        let moved = self.phases.iter().filter(|phase| phase.moved.bytes > 0);
        let phases = moved.map(|phase| {
            let seconds = phase.ended.duration_since(phase.began).as_secs_f64();
            format!("{}: {} ({seconds:.2} s)", phase.name, phase.moved.text())
        });
        let reused = self.reused.iter().map(|(word, sum)| format!("{word}: {}", sum.text()));
        let all = format!("{:.2} s in all\n", now.duration_since(self.began).as_secs_f64());
        let retried = (self.retried.count > 0).then(|| format!("asked again: {}", self.retried.text()));
        let waited = (!self.waited.is_zero()).then(|| format!("paused: {:.2} s", self.waited.as_secs_f64()));
        phases.chain(reused).chain(retried).chain(waited).chain([all]).collect::<Vec<_>>().join("; ")
    }

    /// The same for programs, as the last event.
    pub fn for_programs(&self, now: Instant) -> serde_json::Value {
        let phases: Vec<_> = self
            .phases
            .iter()
            .map(|phase| {
                let seconds = phase.ended.duration_since(phase.began).as_secs_f64();
                json!({ "phase": phase.name, "items": phase.moved.count, "bytes": phase.moved.bytes, "seconds": seconds })
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
        self.phases.push(Phase { name, moved: Sum::default(), began: now, ended: now });
        self.phases.len() - 1
    }

    fn resume(&mut self, item: &str, bytes: u64) {
        if let Some(item) = self.items.get_mut(item) {
            item.done += bytes;
            self.reused.entry("resumed").or_default().add(bytes);
        }
    }

    fn advance(&mut self, item: &str, bytes: u64, now: Instant) {
        if let Some(item) = self.items.get_mut(item) {
            item.done += bytes;
            let phase = &mut self.phases[item.phase];
            phase.moved.bytes += bytes;
            phase.ended = now;
        }
    }

    fn finish(&mut self, item: &str, now: Instant) {
        if let Some(item) = self.items.get_mut(item) {
            let phase = &mut self.phases[item.phase];
            // The kernel may have moved bytes without telling.
            let silent = item.total.map_or(0, |total| total.saturating_sub(item.done));
            item.done += silent;
            phase.moved.bytes += silent;
            phase.moved.count += 1;
            phase.ended = now;
        }
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
        assert_eq!(account.line(), "copy: 1.0 kB of 3.0 kB");
        account.take(&Event::Advanced { item: "a".into(), bytes: 2000 }, at(300));
        account.take(&Event::Finished { item: "a".into() }, at(600));
        let blob = Descriptor::new(MediaType::new("a/b"), Digest::of(Algorithm::Sha256, b"x"), 12);
        account.take(&Event::Reused { blob: Box::new(blob), put: Put::Held }, at(700));
        assert_eq!(
            account.for_eyes(at(1000)),
            "copy: 3.0 kB in 1 (0.50 s); reused: 12 B in 1; 1.00 s in all\n"
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
        assert_eq!(text, "asked again: 3.0 kB in 2; paused: 1.50 s; 0.00 s in all\n");
        let value = account.for_programs(now);
        assert_eq!((&value["retried"]["bytes"], &value["retried"]["items"]), (&json!(3000), &json!(2)));
        assert_eq!(value["paused"], 1.5);
    }

    #[test]
    fn an_unknown_total_is_not_invented() {
        let mut account = Account::new(Instant::now());
        account.take(&started("a", Some(1)), Instant::now());
        account.take(&started("b", None), Instant::now());
        assert_eq!(account.line(), "copy: 0 B");
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
