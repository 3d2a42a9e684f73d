//! What could not be kept: counted by kind, with a few examples, and told to the observer.

use crate::xattr::Belongs;
use orlop_layer::path::escape;
use orlop_spec::{Event, Observer};
use std::collections::BTreeMap;

/// Losses of one kind that are told one by one.
const EXAMPLES: usize = 8;

/// What kind of thing could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossKind {
    /// An owner that the caller cannot set.
    Owner,
    /// The bits of a mode that would make a program run as the caller.
    SetId,
    /// A device that the caller cannot make.
    Device,
    /// A named pipe that was not asked for.
    Fifo,
    /// A socket, which no image can hold.
    Socket,
    /// A name that an image cannot hold.
    Name,
    /// An attribute that the kernel refused.
    Xattr,
    /// An attribute that belongs to an overlay mount and not to the tree.
    OverlayXattr,
    /// An attribute that belongs to the host and not to the tree.
    HostXattr,
    /// A time that the file system cannot hold.
    Time,
}

impl LossKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::SetId => "setuid bit",
            Self::Device => "device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::Name => "name",
            Self::Xattr => "xattr",
            Self::OverlayXattr => "overlay xattr",
            Self::HostXattr => "host xattr",
            Self::Time => "time",
        }
    }
}

/// The losses of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// How many.
    pub count: u64,
    /// The first paths, escaped.
    pub examples: Vec<String>,
    untold: Vec<Untold>,
}

/// An example that was not told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Untold {
    /// Of which part of the work it is.
    part: usize,
    what: String,
    path: String,
    why: String,
}

/// Everything that could not be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    kinds: BTreeMap<LossKind, Loss>,
    /// The part of the work, where several threads work: then nothing is told before all of it is known.
    part: Option<usize>,
}

impl Losses {
    /// What is lost from now on is of this part of a work whose parts are done in any order. It is told by
    /// [`Losses::tell`], when the losses of all parts were merged: the first of them, whoever came first.
    pub fn begin_part(&mut self, part: usize) {
        self.part = Some(part);
    }

    /// Counts one loss; the first few of a kind are told at once.
    pub fn add(&mut self, kind: LossKind, path: &[u8], why: &str, observer: &dyn Observer) {
        self.add_named(kind, kind.word(), path, why, observer);
    }

    /// As [`Losses::add`], for an attribute.
    pub fn add_xattr(
        &mut self,
        kind: LossKind,
        xattr: &[u8],
        path: &[u8],
        why: &str,
        observer: &dyn Observer,
    ) {
        self.add_named(kind, &format!("xattr {}", escape(xattr)), path, why, observer);
    }

    /// Counts an attribute that is no part of the tree; of those that are, nothing.
    pub(crate) fn add_foreign(
        &mut self,
        belongs: Belongs,
        xattr: &[u8],
        path: &[u8],
        observer: &dyn Observer,
    ) {
        let (kind, why) = match belongs {
            Belongs::Tree => return,
            Belongs::Overlay => (LossKind::OverlayXattr, "it belongs to an overlay mount"),
            Belongs::Host => (LossKind::HostXattr, "it belongs to the host"),
        };
        self.add_xattr(kind, xattr, path, why, observer);
    }

    fn add_named(&mut self, kind: LossKind, what: &str, path: &[u8], why: &str, observer: &dyn Observer) {
        let loss = self.kinds.entry(kind).or_default();
        loss.count += 1;
        if loss.examples.len() + loss.untold.len() >= EXAMPLES {
            return;
        }
        let path = if path.is_empty() { "/".into() } else { escape(path) };
        let (what, why) = (what.into(), why.into());
        if let Some(part) = self.part {
            return loss.untold.push(Untold { part, what, path, why });
        }
        loss.examples.push(path.clone());
        observer.event(Event::Lost { what, path, why });
    }

    /// Tells what was kept back.
    pub fn tell(&mut self, observer: &dyn Observer) {
        for loss in self.kinds.values_mut() {
            for Untold { what, path, why, .. } in std::mem::take(&mut loss.untold) {
                loss.examples.push(path.clone());
                observer.event(Event::Lost { what, path, why });
            }
        }
    }

    /// Tells the sums of those kinds of which not every loss was told.
    pub fn sum_up(&self, observer: &dyn Observer) {
        for (kind, loss) in self.iter().filter(|(_, loss)| loss.count > EXAMPLES as u64) {
            let untold = loss.count - EXAMPLES as u64;
            observer.event(Event::Warned(format!("not kept: {} more of kind `{}`", untold, kind.word())));
        }
    }

    /// By kind.
    pub fn iter(&self) -> impl Iterator<Item = (LossKind, &Loss)> {
        self.kinds.iter().map(|(kind, loss)| (*kind, loss))
    }

    /// How many of a kind.
    pub fn count(&self, kind: LossKind) -> u64 {
        self.kinds.get(&kind).map_or(0, |loss| loss.count)
    }

    /// Whether everything was kept.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Adds the losses of another part of the work; they were told already, or are told together.
    pub fn merge(&mut self, other: &Self) {
        for (kind, loss) in other.iter() {
            let sum = self.kinds.entry(kind).or_default();
            sum.count += loss.count;
            let room = EXAMPLES.saturating_sub(sum.examples.len());
            sum.examples.extend(loss.examples.iter().take(room).cloned());
            sum.untold.extend_from_slice(&loss.untold);
            sum.untold.sort_by_key(|untold| untold.part);
            sum.untold.truncate(EXAMPLES.saturating_sub(sum.examples.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Heard(Mutex<Vec<Event>>);

    impl Observer for Heard {
        fn event(&self, event: Event) {
            self.0.lock().expect("one thread").push(event);
        }
    }

    #[test]
    fn what_is_told_does_not_depend_on_who_was_first() {
        let told = |orders: &[&[usize]]| {
            let heard = Heard(Mutex::default());
            let mut all = Losses::default();
            for parts in orders {
                let mut losses = Losses::default();
                for part in *parts {
                    losses.begin_part(*part);
                    for number in 0..3 {
                        losses.add(LossKind::Time, format!("{part}/{number}").as_bytes(), "why", &heard);
                    }
                    losses.add(LossKind::Owner, format!("{part}").as_bytes(), "why", &heard);
                }
                assert!(heard.0.lock().expect("one thread").is_empty(), "nothing is told too early");
                all.merge(&losses);
            }
            all.tell(&heard);
            let examples = all.iter().map(|(_, loss)| loss.examples.clone()).collect::<Vec<_>>();
            (all.count(LossKind::Time), examples, heard.0.into_inner().expect("one thread"))
        };
        let one = told(&[&[0, 1, 2, 3, 4, 5]]);
        assert_eq!((one.0, one.2.len()), (18, 6 + EXAMPLES));
        assert_eq!(one.1[1], ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2", "2/0", "2/1"]);
        assert_eq!(told(&[&[1, 3, 5], &[0, 2, 4]]), one);
        assert_eq!(told(&[&[4, 5], &[2], &[0, 1, 3]]), one);
    }

    #[test]
    fn all_are_counted_and_few_are_told() {
        let heard = Heard(Mutex::default());
        let mut losses = Losses::default();
        for _ in 0..20 {
            losses.add(LossKind::Owner, b"a\x1b", "no privilege", &heard);
        }
        losses.sum_up(&heard);
        let events = heard.0.lock().expect("one thread");
        assert_eq!((losses.count(LossKind::Owner), events.len()), (20, EXAMPLES + 1));
        let expected =
            Event::Lost { what: "owner".into(), path: r"a\x1b".into(), why: "no privilege".into() };
        assert_eq!(events[0], expected);
        assert_eq!(events[EXAMPLES], Event::Warned("not kept: 12 more of kind `owner`".into()));
    }
}
