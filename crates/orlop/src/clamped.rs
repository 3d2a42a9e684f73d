//! Files none of which is newer than a time: what `SOURCE_DATE_EPOCH` asks of those who make layers.

use crate::trees::{Reading, TreeSource};
use orlop_layer::{Chunk, Entries, Entry, Error, Time};
use orlop_spec::Context;
use orlop_spec::port::Result;

/// A tree whose files are changed at a time at the latest. What is older stays as it is.
pub struct Clamped<'a> {
    tree: Box<dyn TreeSource + 'a>,
    latest: Time,
}

impl<'a> Clamped<'a> {
    /// The tree, and the latest time.
    pub fn new(tree: Box<dyn TreeSource + 'a>, latest: Time) -> Self {
        Self { tree, latest }
    }
}

impl TreeSource for Clamped<'_> {
    fn entries<'a>(&'a self, cx: &Context<'a>, how: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
        Ok(Box::new(Older { entries: self.tree.entries(cx, how)?, latest: self.latest }))
    }
}

struct Older<'a> {
    entries: Box<dyn Entries + Send + 'a>,
    latest: Time,
}

impl Entries for Older<'_> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let mut entry = self.entries.next_entry()?;
        if let Some(entry) = &mut entry {
            entry.meta.mtime = entry.meta.mtime.min(self.latest);
        }
        Ok(entry)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        self.entries.next_chunk()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_layer::{Kind, Meta, TreePath};
    use orlop_spec::{Cancel, Limits};
    use std::num::NonZeroUsize;

    /// A folder for each time.
    struct Folders(Vec<Time>);

    struct Listed(std::vec::IntoIter<Entry>);

    impl Entries for Listed {
        fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
            Ok(self.0.next())
        }

        fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
            Ok(None)
        }
    }

    impl TreeSource for Folders {
        fn entries<'a>(&'a self, _: &Context<'a>, _: &'a Reading) -> Result<Box<dyn Entries + Send + 'a>> {
            let entry = |(number, mtime): (usize, &Time)| Entry {
                path: TreePath::root().join(number.to_string().as_bytes()),
                meta: Meta { mtime: *mtime, ..Meta::default() },
                kind: Kind::Directory,
            };
            let entries: Vec<Entry> = self.0.iter().enumerate().map(entry).collect();
            Ok(Box::new(Listed(entries.into_iter())))
        }
    }

    #[test]
    fn newer_times_become_the_latest_and_older_ones_stay() {
        let at = |seconds, nanoseconds| Time { seconds, nanoseconds };
        let (before, just, after) = (at(-5, 9), at(100, 0), at(100, 1));
        let clamped = Clamped::new(Box::new(Folders(vec![before, just, after])), just);
        let (limits, cancel, reading) = (Limits::default(), Cancel::new(), Reading::default());
        let cx = Context { observer: &(), cancel: &cancel, limits: &limits, workers: NonZeroUsize::MIN };
        let mut entries = clamped.entries(&cx, &reading).expect("entries");
        let times =
            std::iter::from_fn(|| entries.next_entry().expect("an entry")).map(|entry| entry.meta.mtime);
        assert_eq!(times.collect::<Vec<_>>(), [before, just, just]);
    }
}
