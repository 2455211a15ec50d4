//! See `targets::images::image_names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::images::image_names(data));
