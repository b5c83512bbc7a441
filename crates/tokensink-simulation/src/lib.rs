//! Lives of the coordinator in a made-up world, by seed.
//!
//! A life is a handful of commands under paused time: calls are slow, fail, hang, panic, or take
//! effect although their answer is lost; reads lag; somebody else resets the token or writes to a
//! sink; a second machine runs at the same time; Ctrl-C comes; the process is killed at any of its
//! steps. After every command its report is held against what really happened ([`Finding`]), and
//! at the end one quiet `sync` must have repaired everything.
//!
//! One seed is one life, to the last step: a finding names the seed that replays it.
//!
//! Deliberately absent: HTTP, files, the command line. Those are killed and starved for real in the
//! end-to-end tests.

mod chaos;
mod claims;
mod death;
mod forgetful;
mod life;
mod step;

pub use claims::Finding;
pub use life::{live, live_twice};
