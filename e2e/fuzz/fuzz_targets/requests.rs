//! See `targets::requests::requests`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::requests::requests(data));
