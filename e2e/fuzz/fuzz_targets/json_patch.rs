//! See `targets::patches::json_patch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::patches::json_patch(data));
