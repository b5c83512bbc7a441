//! An edit of any `.env` file changes its values and nothing else.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokensink_dotenv::assert_only_values_change(bytes));
