//! Warns where programs in a tree are not for the machine that the image names.

use orlop_layer::{Chunk, Entries, Entry, Error, Kind, Order};
use orlop_spec::platform::{self, Platform};
use orlop_spec::{Event, Observer};

/// Passes entries through, and looks at the head of every file.
pub(crate) struct ElfWatch<'a, E> {
    inner: E,
    declared: &'a str,
    observer: &'a dyn Observer,
    file: Option<String>,
    foreign: u64,
}

impl<'a, E: Entries> ElfWatch<'a, E> {
    pub(crate) fn new(inner: E, platform: &'a Platform, observer: &'a dyn Observer) -> Self {
        Self { inner, declared: &platform.architecture, observer, file: None, foreign: 0 }
    }

    /// One warning for the first file, and one for how many there are.
    fn report(&mut self) {
        if self.foreign > 1 {
            let text = format!("{} programs in all are not for {}", self.foreign, self.declared);
            self.observer.event(Event::Warned(text));
        }
        self.foreign = 0;
    }
}

impl<E: Entries> Entries for ElfWatch<'_, E> {
    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let entry = self.inner.next_entry()?;
        self.file = match &entry {
            Some(Entry { path, kind: Kind::File { size: 20.. }, .. }) => Some(path.to_string()),
            Some(_) => None,
            None => {
                self.report();
                None
            }
        };
        Ok(entry)
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        let chunk = self.inner.next_chunk()?;
        if let (Some(path), Some(Chunk::Data(head))) = (self.file.take(), &chunk)
            && let Some(machine) = platform::architecture_of_elf(head)
            && machine != self.declared
        {
            self.foreign += 1;
            if self.foreign == 1 {
                let text = format!("{path} is a program for {machine}, and the image says {}", self.declared);
                self.observer.event(Event::Warned(text));
            }
        }
        Ok(chunk)
    }

    fn offset(&self) -> u64 {
        self.inner.offset()
    }

    fn order(&self) -> Order {
        self.inner.order()
    }
}
