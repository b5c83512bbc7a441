//! The real program against the stand-ins: exit codes, words, bytes, requests.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod bad_input;
mod config;
mod encryption;
mod fan_out;
mod fault_proxy;
mod faults;
mod interrupts;
mod journal;
mod kill;
mod layers;
mod leaks;
mod limits;
mod neighbours;
mod options;
mod output;
mod phases;
mod plugins;
mod reset;
mod screens;
mod servers;
mod stand_ins;
mod terminal;
mod terminals;
mod world;
mod wrong_input;
