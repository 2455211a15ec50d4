//! What every Ferrule server shares, so that a component's `main` reads like a table of contents.
//!
//! A component parses its flags with [`cli`], starts [`logging`], gets one [`shutdown`] token,
//! and serves gRPC and HTTP on one TLS port with [`server`], where [`health`], [`metrics`] and
//! reflection are already mounted. Who calls is an [`identity::Identity`], taken from the
//! client's certificate.
//!
//! ```text
//!  argv + --config ──> cli ──> component ──> server ── TLS ──> Identity ──> gRPC services
//!                                 │             │                            HTTP routes
//!                              shutdown      health, metrics, reflection
//! ```

pub mod build;
pub mod cli;
pub mod health;
pub mod identity;
pub mod logging;
pub mod metrics;
pub mod server;
pub mod shutdown;
pub mod tls;

/// The version that every component reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Kubernetes that is spoken, with our build suffix, as `/version` says it.
pub const GIT_VERSION: &str = concat!("v1.36.3-ferrule.", env!("CARGO_PKG_VERSION"));
