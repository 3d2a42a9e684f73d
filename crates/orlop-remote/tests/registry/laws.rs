//! The laws of the ports, on a repository of a real registry, and on one of a registry that heeds `If-Match`.

use crate::ports::World;
use orlop_spec::port::{Catalog, Keeper, Result, Sink};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use testkit::fault_server::Conditions;
use testkit::registry::Registry;
use testkit::shelf_server::ShelfServer;
use testkit::suites::{Digests, Editors, Place, Sweeper};
use testkit::{proof, suites};

/// A repository that nobody has written to.
struct Fresh {
    world: World,
    registry: Arc<Registry>,
    number: usize,
}

impl Fresh {
    fn name(&self) -> String {
        format!("{}/laws/{}", self.registry.host(), self.number)
    }
}

impl Place for Fresh {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(self.world.create(&self.name())))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(self.world.open(&self.name())))
    }

    fn keeper(&self) -> Result<Option<Box<dyn Keeper + '_>>> {
        Ok(Some(Box::new(self.world.open(&self.name()))))
    }

    fn digests(&self) -> Digests {
        Digests::Sha256
    }

    fn editors(&self) -> Editors {
        Editors::Unguarded
    }

    fn sweeper(&self) -> Sweeper {
        Sweeper::Place
    }
}

#[test]
fn a_repository_keeps_the_laws_of_the_ports() {
    let Some(registry) = Registry::plain() else {
        return proof::skipped("ports: a repository of a registry", "docker-registry");
    };
    let registry = Arc::new(registry);
    let count = AtomicUsize::new(0);
    let fresh = || -> Box<dyn Place> {
        let number = count.fetch_add(1, Ordering::Relaxed);
        Box::new(Fresh { world: World::default(), registry: Arc::clone(&registry), number })
    };
    let laws = suites::source(&fresh) + suites::sink(&fresh) + suites::keeper(&fresh);
    proof::ran("ports: a repository of a registry", laws);
}

/// The same at a registry in memory.
struct Guarded {
    world: World,
    server: ShelfServer,
}

impl Place for Guarded {
    fn sink(&self) -> Result<Box<dyn Sink + '_>> {
        Ok(Box::new(self.world.create(&self.server.app())))
    }

    fn catalog(&self) -> Result<Box<dyn Catalog + '_>> {
        Ok(Box::new(self.world.open(&self.server.app())))
    }

    fn digests(&self) -> Digests {
        Digests::Sha256
    }

    fn editors(&self) -> Editors {
        Editors::AtOnce
    }

    fn sweeper(&self) -> Sweeper {
        Sweeper::Place
    }
}

/// Where `If-Match` is heeded there is no moment between the last look and the change: of many editors one lands.
#[test]
fn a_registry_that_heeds_if_match_keeps_editors_apart() {
    let fresh = || -> Box<dyn Place> {
        let (world, server) = (World::default(), ShelfServer::right());
        server.shelf().conditions = Conditions::Heeded;
        Box::new(Guarded { world, server })
    };
    proof::ran("ports: a repository of a registry that heeds If-Match", suites::sink(&fresh));
}
