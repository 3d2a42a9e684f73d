//! The verbs of orlop: copy, build, unpack, bundle, and the looking and keeping ones.
//!
//! ```text
//! reference ──► transport::open ──► Source ──► Image ──► layers ──► Tree ──► folder
//!                                      ▲                    │
//! reference ──► transport::create ──► Sink  ◄── Draft ◄─────┘
//! ```
//!
//! Invariant: a verb sees ports only; the one place that knows which transport is which is [`transport`].
//! Nothing here prints, reads the environment, or ends the process.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod aci;
pub mod base;
pub mod build;
pub mod cat;
pub mod check;
pub mod chunk;
pub mod clamped;
pub mod compress;
pub mod copy;
pub mod delta;
pub mod diff;
pub mod draft;
pub mod du;
pub mod edit;
mod elf;
pub mod error;
pub mod family;
pub mod files;
pub mod flatpak;
mod form;
pub mod fsck;
pub mod hashed;
pub mod image;
pub mod images;
pub mod index;
pub mod inspect;
pub mod keep;
mod kept;
pub mod layers;
pub mod lock;
mod locked;
pub mod login;
pub mod made;
pub mod mount;
pub mod network;
pub mod nowhere;
pub mod ostree;
mod publish;
pub mod referrers;
pub mod rendering;
pub mod run;
pub mod schema_one;
pub mod several;
pub mod short_name;
pub mod spool;
mod stored;
pub mod sync;
pub mod tar_tree;
pub mod track;
pub mod transport;
pub mod trees;
pub mod umoci;
pub mod unpack;
pub mod validate;
pub mod verify;
mod web;

pub use error::Error;
// What a caller needs to name: it depends on this crate alone.
pub use orlop_store::store;
pub use {
    orlop_fs as fs, orlop_host as host, orlop_layer as layer, orlop_remote as remote, orlop_spec as spec,
};
