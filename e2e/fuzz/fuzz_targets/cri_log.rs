//! See `targets::files::cri_log`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::files::cri_log(data));
