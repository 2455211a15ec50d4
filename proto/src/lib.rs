//! The gRPC services of Ferrule and the code generated from them.
//!
//! The `.proto` files beside this crate are the reference; nothing here holds logic.

/// Version 1 of every service.
#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("ferrule.v1");
}

/// The encoded descriptors of all services, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ferrule.bin"));
