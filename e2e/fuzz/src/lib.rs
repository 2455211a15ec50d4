//! Fuzzing of every parser that sees bytes from outside: one function per target, called by libFuzzer
//! through the programs in `fuzz_targets/`.
//!
//! A target reads its input, and where that is accepted, checks what must hold of it: what was
//! written is read again, defaults are filled in once, what is stored can be loaded. A panic, an
//! input that takes seconds, or one that takes gigabytes is a finding.
//!
//! [`seeds`] gives each target inputs to begin with.

mod input;
mod memory;
pub mod seeds;
pub mod server;
pub mod sizes;
pub mod targets;
