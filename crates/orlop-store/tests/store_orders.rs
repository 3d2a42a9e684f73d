//! Whatever the order of their steps, runs that import, name, read, forget and sweep do each other no harm: a name stands
//! for a whole image at every moment, and nobody meets an error.
//!
//! Steps are what the seam sees: looks, lists, locks and changes. All orders are tried of an import beside a sweep, and in a
//! full run of a reader or a namer beside one that forgets and a sweep; of two imports beside a sweep where the code is
//! optimised, else many, by chance. The grace is nothing, so that everything that is not relied on
//! is old. Protocols with a mistake each are found out in the same way.

mod orders;
mod stored;

use orders::{Act, Explored, Extent, Luck, Reduction, Scene, Stage, Sweeper, Taker, explore};
use orlop_spec::media_type::Role;
use orlop_spec::port::{Hints, Keeper as _, Name, Put, Result, Sink as _, Source as _};
use orlop_spec::{Fault, Kind};
use orlop_store::Store;
use orlop_store::store::{Options, StoreSink};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stored::{files, forget, holds, image, publish, sweep, try_sweep};
use testkit::scratch::scratch_in_memory;
use testkit::suites::copy::{by_tag, tag};
use testkit::suites::read;
use testkit::{full, proof};

/// The seam is one for the whole process.
static SEAM: Mutex<()> = Mutex::new(());

const FILES: &str = "a";

/// So many orders of a scene are tried where not all are.
const SOME: u32 = 12;
const MANY: u32 = 400;

/// An import says where it forgets, between blobs and before names, and that it keeps in mind whether it took the layer.
fn try_import(place: &Path, name: &str) -> Result<()> {
    let image = image(FILES);
    let sink = StoreSink::create(place, &Options::default())?;
    let mut taken = 0;
    for (blob, content) in &image.blobs {
        orders::forget_but(taken);
        let put = sink.put(blob, content, &Hints::default())?;
        taken |= u8::from(put == Put::Copied && matches!(blob.media_type.role(), Role::Layer(_)));
    }
    orders::forget_but(taken);
    Box::new(sink).finish(&[(tag(name), image.root.clone())])
}

fn import_a(place: &Path) -> std::result::Result<(), String> {
    try_import(place, "a").map_err(|fault| fault.to_string())
}

fn import_b(place: &Path) -> std::result::Result<(), String> {
    try_import(place, "b").map_err(|fault| fault.to_string())
}

fn collect(place: &Path) -> std::result::Result<(), String> {
    try_sweep(place).map(drop).map_err(|fault| fault.to_string())
}

/// A name that another run has taken away is no error.
fn unless_gone<T>(outcome: Result<T>) -> std::result::Result<Option<T>, String> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
        Err(fault) => Err(fault.to_string()),
    }
}

fn forget_a(place: &Path) -> std::result::Result<(), String> {
    let store = Store::open(place, &Options::default()).map_err(|fault| fault.to_string())?;
    unless_gone(store.forget(&by_tag("a"))).map(drop)
}

fn tag_b(place: &Path) -> std::result::Result<(), String> {
    let store = Store::open(place, &Options::default()).map_err(|fault| fault.to_string())?;
    let Some(roots) = unless_gone(store.resolve(&by_tag("a")))? else { return Ok(()) };
    let name: Name = tag("b");
    store.assign(&name, &roots[0]).map_err(|fault| fault.to_string())
}

/// Whoever is told of an image can read all of it.
fn read_a(place: &Path) -> std::result::Result<(), String> {
    let store = Store::open(place, &Options::default()).map_err(|fault| fault.to_string())?;
    if unless_gone(store.resolve(&by_tag("a")))?.is_none() {
        return Ok(());
    }
    for (blob, content) in &image(FILES).blobs {
        let found = read(&store, blob).map_err(|fault: Fault| fault.to_string())?;
        assert!(found == *content, "{}", blob.digest);
    }
    Ok(())
}

/// Nothing is there but what an older run left.
fn unnamed(place: &Path) {
    publish(place, "a", &image(FILES));
    forget(place, "a");
}

fn named(place: &Path) {
    publish(place, "a", &image(FILES));
}

fn empty(place: &Path) {
    publish(place, "a", &image(FILES));
    forget(place, "a");
    stored::settle();
    sweep(place);
}

fn whole(place: &Path) {
    for name in ["a", "b"] {
        holds(place, name, &image(FILES));
    }
    try_sweep(place).expect("a sound store is swept");
    for name in ["a", "b"] {
        holds(place, name, &image(FILES));
    }
}

/// What a name of the image needs.
fn needed() -> BTreeSet<PathBuf> {
    let scratch = scratch_in_memory();
    let place = scratch.path("store");
    publish(&place, "a", &image(FILES));
    files(&place)
}

fn alone() -> MutexGuard<'static, ()> {
    SEAM.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stage, unless this kernel does not offer what it needs.
fn stage(proof: &str, prepare: fn(&Path), needed: &BTreeSet<PathBuf>, check_end: fn(&Path)) -> Option<Stage> {
    let stage = Stage::new(prepare, needed, check_end);
    let lack = stage.lack();
    if let Some(lack) = lack {
        proof::not_offered(proof, lack);
    }
    lack.is_none().then_some(stage)
}

type Run = fn(&Path) -> std::result::Result<(), String>;

fn acts(acts: &[Run]) -> Vec<Act> {
    acts.iter().map(|act| Arc::new(*act) as Act).collect()
}

/// Who tries all orders of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Everybody.
    Small,
    /// A full run.
    Large,
    /// A full run of optimised code; one that is not tries many.
    Huge,
    /// Nobody: it tries many.
    Endless,
}

/// Which of the runs sweep is their place in the list.
fn try_all(what: &str, prepare: fn(&Path), runs: &[Run], sweepers: &[usize], size: Size) {
    let _alone = alone();
    let proof = format!("store: orders of {what}");
    let Some(stage) = stage(&proof, prepare, &needed(), whole) else { return };
    let extent = match size {
        Size::Small => Extent::All,
        Size::Large if full() => Extent::All,
        Size::Huge if full() && !cfg!(debug_assertions) => Extent::All,
        Size::Huge | Size::Endless if full() => Extent::Some(MANY),
        Size::Large | Size::Huge | Size::Endless => Extent::Some(SOME),
    };
    let acts = acts(runs);
    let takers = runs.len() - sweepers.len();
    let lucks = if takers > 1 { &[Luck::OfFirst, Luck::OfLast][..] } else { &[Luck::OfFirst] };
    let mut states = 0;
    for luck in lucks {
        let scene = Scene { stage: &stage, acts: &acts, sweepers, reduction: Reduction::All, luck: *luck };
        let explored =
            explore(&scene, extent).unwrap_or_else(|broken| panic!("{}:\n{}", broken.what, broken.order));
        assert!(explored.orders > 1.0, "{explored:?}");
        show(what, &explored);
        states += explored.states;
    }
    proof::ran(&proof, states);
}

fn show(what: &str, explored: &Explored) {
    if std::env::var_os("ORLOP_SHOW").is_some() {
        std::io::Write::write_all(&mut std::io::stderr(), format!("{what}: {explored}\n").as_bytes())
            .expect("shown");
    }
}

#[test]
fn an_import_beside_a_sweep() {
    try_all("an import and a sweep", unnamed, &[import_a, collect], &[1], Size::Small);
}

#[test]
fn a_reader_beside_one_that_forgets_and_a_sweep() {
    let runs: [Run; 3] = [read_a, forget_a, collect];
    try_all("a reader, one that forgets, and a sweep", named, &runs, &[2], Size::Large);
}

#[test]
fn a_further_name_beside_one_that_forgets_and_a_sweep() {
    let runs: [Run; 3] = [tag_b, forget_a, collect];
    try_all("a further name, one that forgets, and a sweep", named, &runs, &[2], Size::Large);
}

#[test]
fn two_imports_beside_a_sweep() {
    try_all("two imports and a sweep", unnamed, &[import_a, import_b, collect], &[2], Size::Huge);
}

#[test]
fn two_imports_into_an_empty_store_beside_a_sweep() {
    let runs: [Run; 3] = [import_a, import_b, collect];
    try_all("two imports into an empty store, and a sweep", empty, &runs, &[2], Size::Endless);
}

#[test]
fn an_import_beside_two_sweeps() {
    try_all("an import and two sweeps", unnamed, &[import_a, collect, collect], &[1, 2], Size::Endless);
}

const LITTLE: &str = "store: each mistake in the protocol of leases is found";

fn in_little(
    stage: &Stage,
    taker: Taker,
    sweeper: &Act,
    reduction: Reduction,
) -> std::result::Result<Explored, String> {
    let acts = [taker.act(), sweeper.clone()];
    let scene = Scene { stage, acts: &acts, sweepers: &[1], reduction, luck: Luck::OfFirst };
    explore(&scene, Extent::All).map_err(|broken| broken.what)
}

/// With all orders of the unreduced states, and with those that are left of them: the same is found.
#[test]
fn each_mistake_in_the_protocol_is_found() {
    let _alone = alone();
    let needed = BTreeSet::from([orders::needed()]);
    let Some(stage) = stage(LITTLE, orders::prepare, &needed, |_| ()) else { return };
    let collect: Act = Arc::new(collect);
    for sweeper in [Sweeper::Right.act(), collect] {
        let ends = [Reduction::Nothing, Reduction::All].map(|reduction| {
            let explored = in_little(&stage, Taker::Right, &sweeper, reduction).expect("nothing is wrong");
            show(&format!("in little, {reduction:?}"), &explored);
            explored
        });
        assert_eq!(ends[0].ends, ends[1].ends);
        assert!(ends[0].orders > ends[1].orders, "{ends:?}");
    }
    let mut found = 0;
    for reduction in [Reduction::Nothing, Reduction::All] {
        let broken = |taker: Taker, sweeper: Sweeper| {
            let what = in_little(&stage, taker, &sweeper.act(), reduction).err();
            what.unwrap_or_else(|| panic!("{taker:?} and {sweeper:?} were found sound by {reduction:?}"))
        };
        for taker in Taker::WRONG {
            broken(taker, Sweeper::Right);
            found += 1;
        }
        for sweeper in Sweeper::WRONG {
            broken(Taker::Right, sweeper);
            found += 1;
        }
    }
    proof::ran(LITTLE, found);
}

#[test]
fn fewer_states_have_the_same_ends() {
    const PROOF: &str = "store: fewer states of an import and a sweep have the same ends";
    if !full() {
        return;
    }
    let _alone = alone();
    let Some(stage) = stage(PROOF, unnamed, &needed(), whole) else { return };
    let acts = acts(&[import_a, collect]);
    let [every, fewer] = [Reduction::Nothing, Reduction::All].map(|reduction| {
        let scene = Scene { stage: &stage, acts: &acts, sweepers: &[1], reduction, luck: Luck::OfFirst };
        explore(&scene, Extent::All).expect("nothing is wrong")
    });
    show("every state", &every);
    show("fewer states", &fewer);
    assert_eq!(every.ends, fewer.ends);
    proof::ran(PROOF, every.states);
}
