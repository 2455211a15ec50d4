//! The Kubernetes command line, over gRPC.
//!
//! ```text
//!  argv ──> args ──> commands::<verb> ──> Session (client, namespace, resources of the server)
//!                        │                    │
//!                 files (-f) ──> objects      └──> output: table, wide, yaml, json, name
//! ```
//!
//! Flags, columns, messages and exit codes are upstream's. Tables come from the server, so that
//! printer columns exist once.

pub mod args;
pub mod commands;
pub mod describe;
pub mod error;
pub mod explain;
pub mod files;
pub mod gotemplate;
pub mod hash;
pub mod jsonpath;
pub mod kustomize;
pub mod output;
pub mod parse;
pub mod resources;
pub mod session;

#[cfg(test)]
mod tests;
