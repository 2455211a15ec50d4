//! Images: names, the store, unpacked layers, archives, registries.

pub mod aliases;
pub mod archive;
pub mod config;
pub mod layer;
pub mod reference;
pub mod registry;
pub mod store;

pub use config::ImageConfig;
pub use reference::Reference;
pub use store::{Image, Store};
