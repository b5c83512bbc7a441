//! Any bytes as a config file are accepted or refused, without a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokensink_cli::load_bytes(bytes));
