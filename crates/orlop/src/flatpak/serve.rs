//! `flatpak serve`: a remote over places, as they are when somebody asks.
//!
//! Invariant: the index lists what the registry has at the same moment, and each image under a repository of its own,
//! tagged `latest`, because that is what clients ask for. Deltas stand in the repository of the image that they lead to. What
//! was not there is looked for again, once in a second.

use super::index::tags;
use super::listing::{self, Below};
use orlop_host::flatpak::index::{Collection, DELTAS, DYNAMIC, HERE, Index, STATIC, Taken};
use orlop_serve::{Entry, Offer, Page};
use orlop_spec::port::{Catalog, Name, Result};
use orlop_spec::wire::Query;
use orlop_spec::{AnyDigest, Context, Descriptor, Event};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was not there is believed to be missing still.
const AGAIN: Duration = Duration::from_secs(1);

/// Images of flatpak in places.
pub struct Shop<'a> {
    cx: Context<'a>,
    places: Vec<Box<dyn Catalog + 'a>>,
    state: Mutex<Arc<State>>,
}

/// What there is at one time.
struct State {
    /// What the places said.
    names: Vec<Named>,
    known: HashMap<Root, Arc<Below>>,
    entries: Vec<Entry>,
    index: Index,
    pages: Mutex<VecDeque<(Query, Page)>>,
    /// What somebody had to be told.
    told: Vec<String>,
    /// When something was not there.
    lacked: Option<Instant>,
}

/// What a place calls a root.
type Named = (usize, Name, Descriptor);

/// In which place which root is.
type Root = (usize, AnyDigest);

impl<'a> Shop<'a> {
    /// Offers the images of flatpak that places hold; others are passed over.
    pub fn new(cx: &Context<'a>, places: Vec<Box<dyn Catalog + 'a>>) -> Self {
        let state = State::empty();
        Self { cx: *cx, places, state: Mutex::new(Arc::new(state)) }
    }

    /// Repository and ref of everything that is there now.
    pub fn listed(&self) -> Result<Vec<(Box<str>, Box<str>)>> {
        let state = self.now()?;
        let named = state.index.images().filter_map(|(repository, image)| Some((repository, image.name()?)));
        Ok(named.map(|(repository, name)| (repository.into(), name.to_string().into())).collect())
    }

    fn now(&self) -> Result<Arc<State>> {
        let mut names = Vec::new();
        for (number, place) in self.places.iter().enumerate() {
            names.extend(place.names()?.into_iter().map(|(name, root)| (number, name, root)));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = state.lacked.is_some_and(|then| then.elapsed() >= AGAIN);
        if is_due || state.names != names {
            let now = self.looked(names, &state);
            // Once for as long as it stays so.
            for text in now.told.iter().filter(|text| !state.told.contains(text)) {
                self.cx.observer.event(Event::Warned(text.clone()));
            }
            *state = Arc::new(now);
        }
        Ok(Arc::clone(&state))
    }

    fn looked(&self, names: Vec<Named>, before: &State) -> State {
        let mut known: HashMap<Root, Arc<Below>> = HashMap::new();
        let (mut collection, mut told) = (Collection::default(), Vec::new());
        for (place, name, root) in &names {
            let key = (*place, root.digest.clone());
            let whole = before.known.get(&key).filter(|below| !below.is_short);
            let below = known.entry(key).or_insert_with(|| match whole {
                Some(below) => Arc::clone(below),
                None => Arc::new(self.below(*place, root, &mut told)),
            });
            for listed in &below.images {
                let mut image = listed.image.clone();
                image.tags = tags(name.tag(), None);
                if let Taken::Rival(rival) = collection.take(None, image) {
                    told.push(format!("{} is {}, and not {}", rival.name, rival.listed, rival.left_out));
                }
            }
        }
        let lacked = known.values().any(|below| below.is_short).then(Instant::now);
        let mut index = collection.index(HERE);
        let stock = Stock::new(&names, &known);
        index.name_deltas(|image| stock.delta(image).map(|(_, manifest)| manifest.digest.clone()));
        let entries = stock.entries(&index);
        State { names, known, entries, index, pages: Mutex::default(), told, lacked }
    }

    /// One image that cannot be read does not hide the others.
    fn below(&self, place: usize, root: &Descriptor, told: &mut Vec<String>) -> Below {
        listing::below(&self.cx, &*self.places[place], root).unwrap_or_else(|fault| {
            told.push(format!("{} is not offered: {fault}", root.digest));
            Below { is_short: true, ..Below::default() }
        })
    }
}

/// Where images and deltas are.
struct Stock<'s> {
    images: HashMap<&'s AnyDigest, (usize, &'s Descriptor)>,
    /// Indexes of deltas: in which place, and what they name.
    deltas: Vec<(usize, &'s Descriptor, &'s Below)>,
}

impl<'s> Stock<'s> {
    fn new(names: &'s [Named], known: &'s HashMap<Root, Arc<Below>>) -> Self {
        let (mut images, mut deltas) = (HashMap::new(), Vec::new());
        for (place, name, root) in names {
            let below = &known[&(*place, root.digest.clone())];
            for listed in &below.images {
                images.entry(&listed.manifest.digest).or_insert((*place, &listed.manifest));
            }
            if name.tag() == Some(DELTAS) {
                deltas.push((*place, root, &**below));
            }
        }
        Self { images, deltas }
    }

    /// The index that names the delta to an image, and that delta: of the place of the image before others.
    fn delta(&self, image: &AnyDigest) -> Option<((usize, &'s Descriptor), &'s Descriptor)> {
        let (own, _) = self.images.get(image)?;
        let here = self.deltas.iter().filter(|(place, ..)| place == own);
        let others = self.deltas.iter().filter(|(place, ..)| place != own);
        here.chain(others).find_map(|(place, root, below)| Some(((*place, *root), below.deltas.get(image)?)))
    }

    fn entries(&self, index: &Index) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (repository, image) in index.images() {
            let entry = |tag: &str, (place, root): (usize, &Descriptor)| Entry {
                repository: repository.into(),
                tag: Some(tag.into()),
                root: root.clone(),
                place,
            };
            let here = self.images[&image.digest];
            entries.extend(image.tags.iter().map(|tag| entry(tag, here)));
            entries.extend(self.delta(&image.digest).map(|(index, _)| entry(DELTAS, index)));
        }
        entries
    }
}

impl Offer for Shop<'_> {
    fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self.now()?.entries.clone())
    }

    fn place(&self, number: usize) -> &dyn Catalog {
        &*self.places[number]
    }

    fn page(&self, path: &str, query: &Query) -> Result<Option<Page>> {
        let path = path.trim_start_matches('/');
        if path != STATIC && path != DYNAMIC {
            return Ok(None);
        }
        Ok(Some(self.now()?.page(query)))
    }
}

/// The answers to so many questions are kept.
const QUESTIONS: usize = 16;
/// Bytes of all of them together.
const ANSWERS: usize = 64 << 20;

impl State {
    /// Nothing was looked at yet.
    fn empty() -> Self {
        Self {
            names: Vec::new(),
            known: HashMap::new(),
            entries: Vec::new(),
            index: Collection::default().index(HERE),
            pages: Mutex::default(),
            told: Vec::new(),
            lacked: None,
        }
    }

    /// The index as somebody asks for it. Clients ask alike, and each for all of it: it is printed once for all of them.
    fn page(&self, query: &Query) -> Page {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, page)) = pages.iter().find(|(asked, _)| asked == query) {
            return page.clone();
        }
        let page = Page::new("application/json", self.index.select(query).to_bytes());
        pages.push_back((query.clone(), page.clone()));
        let bytes =
            |pages: &VecDeque<(Query, Page)>| pages.iter().map(|(_, it)| it.bytes().len()).sum::<usize>();
        while pages.len() > QUESTIONS || bytes(&pages) > ANSWERS {
            pages.pop_front();
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_alike_shares_an_answer_and_few_answers_are_kept() {
        let state = State::empty();
        let ask = |text: &str| state.page(&Query::parse(text).expect("a query"));
        let first = ask("os=linux");
        assert!(Arc::ptr_eq(first.bytes(), ask("os=linux").bytes()), "it was printed again");
        for number in 0..100 {
            ask(&format!("label:x={number}"));
        }
        assert_eq!(state.pages.lock().expect("no holder panics").len(), QUESTIONS);
        assert!(!Arc::ptr_eq(first.bytes(), ask("os=linux").bytes()), "the oldest went");
    }
}
