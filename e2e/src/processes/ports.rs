//! Ports of this machine that nobody listens on.

use std::io;
use std::net::TcpListener;

/// A port for each program, all of them free when they were chosen.
pub(super) struct Ports {
    pub api: u16,
    pub etcd_clients: u16,
    pub etcd_peers: u16,
    pub scheduler: u16,
    pub controller_manager: u16,
    pub kubelets: Vec<u16>,
}

impl Ports {
    /// Those that the system gives.
    pub fn choose(nodes: usize) -> io::Result<Ports> {
        // All are held until all are known, so that they differ.
        let held = (0..5 + nodes)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<io::Result<Vec<_>>>()?;
        let mut ports = held
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()))
            .collect::<io::Result<Vec<u16>>>()?;
        let kubelets = ports.split_off(5);
        Ok(Ports {
            api: ports[0],
            etcd_clients: ports[1],
            etcd_peers: ports[2],
            scheduler: ports[3],
            controller_manager: ports[4],
            kubelets,
        })
    }
}
