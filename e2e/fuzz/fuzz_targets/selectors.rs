//! See `targets::texts::selectors`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::texts::selectors(data));
