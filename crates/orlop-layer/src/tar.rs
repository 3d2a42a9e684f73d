//! Tar: the bytes of a layer and the entries in it.
//!
//! Invariant: [`Reader`] and [`Writer`] are the only code that knows the framing, so every command sees one
//! and the same listing. The reader refuses what other readers read differently. The writer's bytes depend on
//! the entries alone; `docs/formats/tar.md` draws them.
//!
//! ```text
//! ┌──────────────── one entry ─────────────────┐
//! │ x header │ records │ header │ content + pad │ … │ 512 zeros │ 512 zeros │
//! └─ only where ustar cannot say it ┘
//! ```

mod acl;
mod capability;
mod header;
mod input;
mod pax;
mod reader;
mod sparse;
mod spelling;
mod writer;

pub use crate::entry::Order;
pub use reader::{Ending, Reader};
pub use writer::Writer;

/// Every header, and every content with its padding, is a multiple of this.
const BLOCK: usize = 512;

/// Bytes that fill a block up after `length` bytes.
fn padding(length: u64) -> u64 {
    length.wrapping_neg() % BLOCK as u64
}
