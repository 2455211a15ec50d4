//! The Kubernetes API server: the only component that speaks with etcd.
//!
//! ```text
//!            gRPC ──┐                                             ┌── resources (rules of a kind)
//!  TLS ── serve     ├── auth ── verbs ── admission ── allocation ─┤
//!            REST ──┘   who may  once for every resource          └── store ── etcd
//! ```
//!
//! [`serve`] turns requests into calls of [`verbs`], which are written once for every resource; a
//! kind adds only its rules ([`resources`]). [`auth`] says who may do what, [`admission`] changes
//! or refuses new objects, and [`store`] keeps everything in memory beside etcd.

pub mod admission;
pub mod auth;
mod openapi;
pub mod resources;
pub mod serve;
pub mod store;
pub mod verbs;
