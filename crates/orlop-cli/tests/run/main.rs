//! `orlop run`: containers of images of the store, as root and as an ordinary user, by each program that runs them.

mod ends;
mod filter;
mod images;
mod killed;
mod machine;
mod peers;
mod process;
mod terminal;
mod world;
