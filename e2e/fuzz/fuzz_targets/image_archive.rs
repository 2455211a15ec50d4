//! See `targets::images::image_archive`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::images::image_archive(data));
