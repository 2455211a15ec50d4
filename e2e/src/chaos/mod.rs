//! The chaos driver: breaks one thing after the other in a cluster under load, records what
//! everybody saw, and checks what must hold.
//!
//! ```text
//!  seed ─> schedule: faults ──▶ fault: make ── a while ── undo ──▶ health: wait until all is well
//!                                 │                                        │
//!  writers, workloads, endings,   ▼                                        ▼
//!  requests, watchers ─────▶ history ──────────────▶ check ──▶ report: tables, evidence
//! ```
//! docs/chaos.md is for those who run it.

pub mod check;
pub mod driver;
pub mod evidence;
pub mod fault;
pub mod health;
pub mod history;
pub mod load;
pub mod outage;
pub mod random;
pub mod report;
pub mod schedule;
pub mod terms;
pub mod watching;
pub mod writers;
