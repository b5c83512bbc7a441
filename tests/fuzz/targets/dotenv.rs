//! Whatever a `.env` file holds, an edit changes its values and nothing else.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokensink_dotenv::assert_only_values_change(bytes));
