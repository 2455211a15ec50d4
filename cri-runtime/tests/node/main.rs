//! The runtime as the kubelet sees it: a real server, real containers. Needs root and namespaces; elsewhere
//! the tests pass without doing anything.

mod harness;
mod images;
mod lifecycle;
mod pods;
mod recovery;
mod registry;
mod streams;
