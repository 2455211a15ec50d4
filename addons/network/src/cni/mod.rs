//! The CNI plugin: specification 1.0, commands ADD, DEL, CHECK and VERSION.
//!
//! ```text
//! config       what the runtime says: environment variables and JSON on standard input
//! reservation  which container has which address: one file per address
//! plugin       the commands
//! answer       what the runtime hears: JSON on standard output
//! ```

pub mod answer;
pub mod config;
pub mod plugin;
pub mod reservation;

pub use config::CONFIGURATION_TYPE;
