//! A registry that is read from: images of any place, over HTTP, for clients that know registries.
#![forbid(unsafe_code)]
