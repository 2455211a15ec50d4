//! The service proxy of a node: what Services and EndpointSlices say becomes one nf_tables table.
//!
//! ```text
//! Services, EndpointSlices, Node --> state --> ruleset::fragment() of each changed service
//!       (informers)                               (the table, drawn there)
//!                                                          |
//!      introspection  <--  shell  <--  program: one        v
//!      health         <--    |         netlink  <--  table::Ruleset::update() -> Changes
//!                            |         transaction
//!                            +--> stale: forget connections that lead to endpoints that are gone
//! ```
//!
//! The proxy remembers what it programmed, so that a change costs what changed, however many services there are. The
//! table stays when the proxy ends; the next one replaces it whole, in one step, once it knows all services.

pub mod affinity;
pub mod cidr;
pub mod endpoints;
pub mod health;
pub mod introspection;
pub mod objects;
pub mod program;
pub mod ruleset;
pub mod shell;
pub mod spread;
pub mod stale;
pub mod state;
pub mod table;
