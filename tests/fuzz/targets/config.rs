//! Whatever a config file holds, it is read or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokensink_cli::load_bytes(bytes));
