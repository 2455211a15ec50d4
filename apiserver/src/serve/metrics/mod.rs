//! What `/metrics` says of requests and of the store, under upstream's names.
//!
//! A request costs a few look-ups under labels that are borrowed from the scheme; an event of a watch
//! two additions. Everything else is read when somebody asks.

mod asked;
mod families;
mod running;
mod state;

pub(crate) use asked::Asked;
pub use families::RequestMetrics;
pub(crate) use families::WatchEvents;
pub(crate) use running::Running;
pub(super) use state::State;
