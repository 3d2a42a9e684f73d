//! `flatpak serve`: a remote over places, as they are when somebody asks.
//!
//! Invariant: the index lists what the registry has at the same moment, and each image under a repository of its own,
//! tagged `latest`, because that is what clients ask for.

use super::index::tags;
use super::listing::{self, Listed};
use orlop_host::flatpak::index::{Collection, DELTAS, DYNAMIC, Index, STATIC, Taken};
use orlop_serve::{Entry, Offer, Page};
use orlop_spec::port::{Catalog, Name, Result};
use orlop_spec::wire::Query;
use orlop_spec::{AnyDigest, Context, Descriptor, Event};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Images of flatpak in places.
pub struct Shop<'a> {
    cx: Context<'a>,
    places: Vec<Box<dyn Catalog + 'a>>,
    state: Mutex<Arc<State>>,
}

/// What there is at one time.
struct State {
    /// What the places said.
    names: Vec<(usize, Name, Descriptor)>,
    known: HashMap<(usize, AnyDigest), Vec<Listed>>,
    entries: Vec<Entry>,
    index: Index,
}

impl<'a> Shop<'a> {
    /// Offers the images of flatpak that places hold; others are passed over.
    pub fn new(cx: &Context<'a>, places: Vec<Box<dyn Catalog + 'a>>) -> Self {
        let state = State {
            names: Vec::new(),
            known: HashMap::new(),
            entries: Vec::new(),
            index: Collection::default().index(HERE),
        };
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
        if state.names != names {
            *state = Arc::new(self.looked(names, &state));
        }
        Ok(Arc::clone(&state))
    }

    fn looked(&self, names: Vec<(usize, Name, Descriptor)>, before: &State) -> State {
        let mut known: HashMap<_, Vec<Listed>> = HashMap::new();
        let mut collection = Collection::default();
        for (place, name, root) in &names {
            let key = (*place, root.digest.clone());
            let below = known.entry(key.clone()).or_insert_with(|| match before.known.get(&key) {
                Some(listed) => listed.clone(),
                None => self.below(*place, root),
            });
            for listed in below.iter() {
                let mut image = listed.image.clone();
                image.tags = tags(name.tag(), None);
                if let Taken::Rival(rival) = collection.take(None, image) {
                    let text = format!("{} is {}, and not {}", rival.name, rival.listed, rival.left_out);
                    self.cx.observer.event(Event::Warned(text));
                }
            }
        }
        let index = collection.index(HERE);
        State { entries: entries(&index, &known, &names), index, known, names }
    }

    /// One image that cannot be read does not hide the others.
    fn below(&self, place: usize, root: &Descriptor) -> Vec<Listed> {
        listing::below(&self.cx, &*self.places[place], root).unwrap_or_else(|fault| {
            self.cx.observer.event(Event::Warned(format!("{} is not offered: {fault}", root.digest)));
            Vec::new()
        })
    }
}

/// The registry, seen from the index.
const HERE: &str = "../";

fn entries(
    index: &Index,
    known: &HashMap<(usize, AnyDigest), Vec<Listed>>,
    names: &[(usize, Name, Descriptor)],
) -> Vec<Entry> {
    let mut places = HashMap::new();
    for ((place, _), listed) in known {
        places.extend(listed.iter().map(|it| (&it.manifest.digest, (*place, &it.manifest))));
    }
    let deltas: Vec<_> = names.iter().filter(|(_, name, _)| name.tag() == Some(DELTAS)).collect();
    let mut entries = Vec::new();
    for (repository, image) in index.images() {
        let (place, root) = places[&image.digest];
        let entry = |tag: &str, place, root: &Descriptor| Entry {
            repository: repository.into(),
            tag: Some(tag.into()),
            root: root.clone(),
            place,
        };
        entries.extend(image.tags.iter().map(|tag| entry(tag, place, root)));
        entries.extend(deltas.iter().map(|(place, _, root)| entry(DELTAS, *place, root)));
    }
    entries
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
        let bytes = self.now()?.index.clone().select(query).to_bytes();
        Ok(Some(Page { media_type: "application/json", bytes }))
    }
}
