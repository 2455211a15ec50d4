//! What an OpenAPI document says of a kind, in the forms that `kubectl explain` prints.

pub mod document;
pub mod plaintext;
pub mod plaintext_v2;
pub mod wrap;

#[cfg(test)]
mod tests;
