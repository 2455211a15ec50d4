//! See `targets::patches::strategic_merge_patch`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| ferrule_fuzz::targets::patches::strategic_merge_patch(data)
);
