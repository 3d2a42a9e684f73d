//! Hostile images, sources and folders, given to the verbs that edit: each is refused with an error of its kind, and what
//! was to be changed is as it was, to the bit; or it is done, and rightly.

mod bundles;
mod images;
mod snapshots;
mod sources;
mod world;
