//! See `targets::files::node_files`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::files::node_files(data));
