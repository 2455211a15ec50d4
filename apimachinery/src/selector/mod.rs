//! Label and field selectors: which objects a list or watch is about.

mod fields;
mod labels;
mod lexer;
mod parse;

#[cfg(test)]
mod tests;

pub use fields::{FieldRequirement, FieldSelector};
pub use labels::{LabelSelector, Labels, Operator, Requirement};
