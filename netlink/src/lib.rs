//! The kernel's network tables over netlink: links, addresses and routes, nf_tables, connection tracking.
//!
//! Everything here is synchronous and small: a request costs some tens of microseconds, less than handing it
//! to another thread would. Own code because a node programs thousands of nf_tables entries in one message, which
//! no permissively licensed pure-Rust crate encodes (`netlink-packet-netfilter` has no nf_tables, `nftables` runs
//! the `nft` program), and because the CNI plugin must start in a millisecond, without an async runtime.
//!
//! ```text
//! message     buffers of messages and attributes, and reading them
//! socket      one netlink socket: request and acknowledgement, dumps, events, sockets in other namespaces
//! route       links, addresses, routes (rtnetlink)
//! nftables    tables, chains, rules, sets and maps; one transaction is one batch
//! conntrack   finding and deleting tracked connections
//! ```

pub mod conntrack;
pub mod message;
pub mod nftables;
pub mod route;
pub mod socket;

pub use socket::{Error, Protocol, Socket};
