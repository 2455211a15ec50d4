//! The namespaces a pod's containers share. The shim itself lives in them and so keeps them alive.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::protocol::Setup;

/// Creates the namespaces that `setup` asks for and prepares them.
/// Returns the pid of the process that holds the shared pid namespace.
pub fn enter(setup: &Setup) -> Result<Option<i32>> {
    let mut flags = CloneFlags::empty();
    flags.set(CloneFlags::CLONE_NEWNET, setup.netns.is_some());
    flags.set(CloneFlags::CLONE_NEWIPC, setup.private_ipc);
    flags.set(CloneFlags::CLONE_NEWUTS, setup.hostname.is_some());
    unshare(flags).context("create the sandbox's namespaces")?;

    if let Some(path) = &setup.netns {
        bind_netns(path)?;
        raise_loopback().context("bring up the loopback interface")?;
    }
    if let Some(hostname) = &setup.hostname {
        nix::unistd::sethostname(hostname).context("set the host name")?;
    }
    for (name, value) in &setup.default_sysctls {
        let _ = fs::write(sysctl(name), value);
    }
    for (name, value) in &setup.sysctls {
        fs::write(sysctl(name), value).with_context(|| format!("set sysctl {name}={value}"))?;
    }
    if let Some(path) = &setup.shm {
        fs::create_dir_all(path)?;
        mount(
            Some("shm"),
            path,
            Some("tmpfs"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
            Some("mode=1777,size=65536k"),
        )
        .context("mount the pod's shared memory")?;
    }
    if setup.shared_pid {
        return start_pause().map(Some);
    }
    Ok(None)
}

fn sysctl(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name.replace('.', "/"))
}

fn bind_netns(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create(path).with_context(|| format!("create {}", path.display()))?;
    mount(
        Some("/proc/self/ns/net"),
        path,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .with_context(|| format!("bind the network namespace to {}", path.display()))
}

#[repr(C)]
struct InterfaceFlags {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    padding: [u8; 22],
}

#[allow(unsafe_code)] // There is no safe wrapper of SIOCSIFFLAGS.
fn raise_loopback() -> std::io::Result<()> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0))?;
    let mut request = InterfaceFlags {
        name: [0; libc::IFNAMSIZ],
        flags: (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short,
        padding: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: the request has the size and layout of `struct ifreq` and outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if result < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// The first process of the pod's pid namespace: it waits, and reaps what is orphaned to it.
#[allow(unsafe_code)] // A fork into a new pid namespace; the process has a single thread.
fn start_pause() -> Result<i32> {
    // SAFETY: like fork(2): no new stack, no shared memory, one thread.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::CLONE_NEWPID | libc::SIGCHLD,
            0,
            0,
            0,
            0,
        )
    };
    match pid {
        0 => {
            // SAFETY: plain system calls on this process alone.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::prctl(libc::PR_SET_NAME, c"pause".as_ptr());
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                libc::close_range(0, u32::MAX, 0);
                loop {
                    libc::pause();
                }
            }
        }
        pid if pid > 0 => Ok(pid as i32),
        _ => Err(std::io::Error::last_os_error()).context("start the pause process"),
    }
}
