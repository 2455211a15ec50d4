//! See `targets::templates::custom_columns`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::templates::custom_columns(data));
