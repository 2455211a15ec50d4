//! See `targets::files::kubeconfig`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferrule_fuzz::targets::files::kubeconfig(data));
