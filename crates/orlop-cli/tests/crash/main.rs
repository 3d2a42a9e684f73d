//! Crash: every changing operation of a command is the last one once (SIGKILL), or fails (EIO), or meets a full disk
//! (ENOSPC). Afterwards what was there is whole, the new thing is absent or whole, and the same command, run
//! again, succeeds and leaves nothing else behind than without the crash. A loss of power at any moment leaves no
//! name of something that is not there.

mod edits;
mod power;
mod seam;
mod stage;
mod strace;
