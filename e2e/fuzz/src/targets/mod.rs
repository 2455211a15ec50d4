//! The targets.

pub mod dns;
pub mod files;
pub mod images;
pub mod objects;
pub mod ownership;
pub mod patches;
pub mod requests;
pub mod templates;
pub mod texts;
