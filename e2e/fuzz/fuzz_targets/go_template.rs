//! See `targets::templates::go_template`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::templates::go_template(data));
