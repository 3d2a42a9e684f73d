//! A repository of Debian's docker-registry, and of servers that answer as a test says, behind the ports.

mod answers;
mod laws;
mod ports;
mod standing;
mod transfers;
mod wide;
