//! See `targets::objects::yaml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::objects::yaml(data));
