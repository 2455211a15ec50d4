//! See `targets::templates::jsonpath`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::templates::jsonpath(data));
