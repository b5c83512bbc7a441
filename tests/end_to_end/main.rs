//! The complete program against the fake servers: exit codes, output, files, requests.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod aws_profile;
mod concurrent_writers;
mod config;
mod consent;
mod encryption;
mod escaping;
mod fan_out;
mod faults;
mod hostile_input;
mod input_values;
mod interactive;
mod interrupts;
mod journal;
mod kill;
mod layers;
mod leaks;
mod limits;
mod options;
mod output;
mod phases;
mod plugins;
mod proxies;
mod reset;
mod sandbox_and_demo;
mod screens;
mod support;
mod token_stdin;
mod trust;
mod usage_errors;
