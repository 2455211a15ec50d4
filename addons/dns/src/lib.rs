//! The DNS server of a node, at the cluster's DNS address.
//!
//! ```text
//!  pod ── 10.96.0.10:53, an address of the node ──> server
//!             │ a name of the cluster: records(&Services, &EndpointSlices)   (pure)
//!             └ any other name: the node's own resolvers
//!  informers (services, endpoint slices) ──> Catalog
//! ```
//!
//! Names follow Kubernetes' DNS-Based Service Discovery, version 1.1.0. Without the API server,
//! the records known last are served on.

pub mod address;
pub mod catalog;
pub mod forward;
pub mod records;
pub mod server;

#[cfg(test)]
mod tests;
