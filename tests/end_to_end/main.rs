//! The real program against the stand-ins: exit codes, words, bytes, requests.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod config;
mod output;
mod plugins;
mod reset;
mod world;
