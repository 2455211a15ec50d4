//! Which container has which address: one file per address, so that a crash can leave nothing half said.
//!
//! ```text
//! <directory>/lock                                  held while the directory is changed
//! <directory>/last                                  the address given out last
//! <directory>/10.244.1.5=<container>=<interface>    a reservation; inside: the path of the container's namespace
//! ```
//!
//! Addresses are given out in a circle (next fit), so that a freed one rests before another pod gets it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::net::if_::if_nametoindex;
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::cidr::Cidr;

/// The directory of reservations, locked for this process.
#[derive(Debug)]
pub struct Reservations {
    directory: PathBuf,
    _lock: Flock<File>,
}

/// A reserved address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The address.
    pub address: Ipv4Addr,
    /// The container's id.
    pub container: String,
    /// The interface's name in the container.
    pub interface: String,
}

impl Reservation {
    /// The name of the pod's interface on the node.
    pub fn host_interface(&self) -> String {
        host_interface(&self.container, &self.interface)
    }

    fn file_name(&self) -> String {
        format!("{}={}={}", self.address, self.container, self.interface)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.splitn(3, '=');
        Some(Self {
            address: parts.next()?.parse().ok()?,
            container: parts.next()?.to_owned(),
            interface: parts.next()?.to_owned(),
        })
    }
}

impl Reservations {
    /// Waits for the lock of the directory, which is made if it is missing.
    pub fn lock(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("lock"))?;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| io::Error::from(errno))?;
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    /// All reservations.
    pub fn list(&self) -> io::Result<Vec<Reservation>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            found.extend(entry?.file_name().to_str().and_then(Reservation::parse));
        }
        Ok(found)
    }

    /// Reserves an address of the network, or the one that this container's interface has already.
    ///
    /// `None` when all addresses are taken by containers that still exist.
    pub fn reserve(
        &self,
        network: Cidr,
        container: &str,
        interface: &str,
        namespace: &str,
    ) -> io::Result<Option<Ipv4Addr>> {
        let mut taken = self.list()?;
        let own = |r: &&Reservation| r.container == container && r.interface == interface;
        if let Some(own) = taken.iter().find(own) {
            if network.contains(own.address) {
                return Ok(Some(own.address));
            }
            self.remove(own)?;
        }
        let last = fs::read_to_string(self.directory.join("last")).ok();
        let last = last.and_then(|text| text.trim().parse().ok());
        let mut free = next_free(network, last, &taken);
        if free.is_none() && !self.release_dead()?.is_empty() {
            taken = self.list()?;
            free = next_free(network, last, &taken);
        }
        let Some(address) = free else { return Ok(None) };
        let reservation = Reservation {
            address,
            container: container.to_owned(),
            interface: interface.to_owned(),
        };
        let mut file = File::create(self.directory.join(reservation.file_name()))?;
        file.write_all(namespace.as_bytes())?;
        fs::write(self.directory.join("last"), address.to_string())?;
        Ok(Some(address))
    }

    /// Gives back what a container's interface has; nothing is fine.
    pub fn release(&self, container: &str, interface: &str) -> io::Result<()> {
        for reservation in self.list()? {
            if reservation.container == container && reservation.interface == interface {
                self.remove(&reservation)?;
            }
        }
        Ok(())
    }

    /// Gives back what containers have whose network namespace and interface on the node are gone, and says which.
    pub fn release_dead(&self) -> io::Result<Vec<Reservation>> {
        let mut released = Vec::new();
        for reservation in self.list()? {
            let path = self.directory.join(reservation.file_name());
            let namespace = fs::read_to_string(path).unwrap_or_default();
            if !is_namespace(&namespace)
                && if_nametoindex(reservation.host_interface().as_str()).is_err()
            {
                self.remove(&reservation)?;
                released.push(reservation);
            }
        }
        Ok(released)
    }

    fn remove(&self, reservation: &Reservation) -> io::Result<()> {
        match fs::remove_file(self.directory.join(reservation.file_name())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The name of a pod's interface on the node: the same for every call, so that each finds what another left.
pub fn host_interface(container: &str, interface: &str) -> String {
    // FNV-1a, 64 bit; 44 of them fit into a name of 15 characters.
    let hash = [container, "\0", interface]
        .concat()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("veth{:011x}", hash >> 20)
}

/// The first free address after the last one given out, round the circle.
fn next_free(network: Cidr, last: Option<Ipv4Addr>, taken: &[Reservation]) -> Option<Ipv4Addr> {
    let taken: std::collections::HashSet<_> = taken.iter().map(|r| r.address).collect();
    let last = last.filter(|last| network.contains(*last));
    let after = network.pods().filter(|address| Some(*address) > last);
    let before = network.pods().filter(|address| Some(*address) <= last);
    after.chain(before).find(|address| !taken.contains(address))
}

/// Whether the path is a namespace that exists (a file left behind without its mount is none).
fn is_namespace(path: &str) -> bool {
    !path.is_empty() && statfs(path).is_ok_and(|found| found.filesystem_type() == NSFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIVE: &str = "/proc/self/ns/net";
    const DEAD: &str = "/var/run/netns/not-there";

    fn network() -> Cidr {
        "10.9.0.0/29".parse().unwrap()
    }

    fn reserve(directory: &Path, container: &str, namespace: &str) -> Option<String> {
        let reservations = Reservations::lock(directory).unwrap();
        let address = reservations
            .reserve(network(), container, "eth0", namespace)
            .unwrap();
        address.map(|address| address.to_string())
    }

    #[test]
    fn addresses_go_round_in_a_circle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (container, address) in [("a", "10.9.0.2"), ("b", "10.9.0.3"), ("c", "10.9.0.4")] {
            assert_eq!(reserve(path, container, ALIVE).as_deref(), Some(address));
        }
        Reservations::lock(path)
            .unwrap()
            .release("b", "eth0")
            .unwrap();
        for (container, address) in [("d", "10.9.0.5"), ("e", "10.9.0.6"), ("f", "10.9.0.3")] {
            assert_eq!(reserve(path, container, ALIVE).as_deref(), Some(address));
        }
        assert_eq!(reserve(path, "g", ALIVE), None);
    }

    #[test]
    fn a_repeated_request_gets_the_same_address() {
        let directory = tempfile::tempdir().unwrap();
        let first = reserve(directory.path(), "a", ALIVE);
        assert_eq!(reserve(directory.path(), "a", ALIVE), first);
    }

    #[test]
    fn a_full_network_takes_back_what_dead_containers_had() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for container in ["a", "b", "c", "d"] {
            reserve(path, container, ALIVE).unwrap();
        }
        assert_eq!(reserve(path, "dead", DEAD).as_deref(), Some("10.9.0.6"));
        assert_eq!(reserve(path, "new", ALIVE).as_deref(), Some("10.9.0.6"));
        let left = Reservations::lock(path).unwrap().list().unwrap();
        assert!(left.iter().all(|r| r.container != "dead"));
    }

    #[test]
    fn releasing_what_is_not_reserved_is_fine() {
        let directory = tempfile::tempdir().unwrap();
        let reservations = Reservations::lock(directory.path()).unwrap();
        reservations.release("nobody", "eth0").unwrap();
        assert!(reservations.release_dead().unwrap().is_empty());
    }

    #[test]
    fn another_pod_network_gives_the_container_a_new_address() {
        let directory = tempfile::tempdir().unwrap();
        reserve(directory.path(), "a", ALIVE).unwrap();
        let reservations = Reservations::lock(directory.path()).unwrap();
        let other = "10.9.7.0/24".parse().unwrap();
        let address = reservations.reserve(other, "a", "eth0", ALIVE).unwrap();
        assert_eq!(address.unwrap().to_string(), "10.9.7.2");
        assert_eq!(reservations.list().unwrap().len(), 1);
    }
}
