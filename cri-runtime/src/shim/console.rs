//! Terminals: libcontainer makes them inside the container and hands them out over a socket.

use std::fs::{self, File};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};

/// The socket over which a terminal comes.
pub struct Console {
    /// Where it is bound.
    pub path: PathBuf,
    listener: UnixListener,
}

impl Console {
    /// Listens on `path`.
    pub fn bind(path: &Path) -> Result<Console> {
        let _ = fs::remove_file(path);
        let listener =
            UnixListener::bind(path).with_context(|| format!("listen on {}", path.display()))?;
        Ok(Console {
            path: path.to_owned(),
            listener,
        })
    }

    /// Takes the terminal that has been sent.
    #[allow(unsafe_code)] // A descriptor received by SCM_RIGHTS belongs to the receiver.
    pub fn receive(self) -> Result<File> {
        let (connection, _) = self.listener.accept()?;
        let mut bytes = [0; 64];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let mut io = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg::<UnixAddr>(
            connection.as_raw_fd(),
            &mut io,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )?;
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = part
                && let Some(descriptor) = descriptors.first()
            {
                // SAFETY: the kernel has just made this descriptor for us.
                return Ok(unsafe { File::from_raw_fd(*descriptor) });
            }
        }
        Err(anyhow!("no terminal came over the console socket"))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Sets a terminal's size.
#[allow(unsafe_code)] // There is no safe wrapper of TIOCSWINSZ.
pub fn resize(pty: &File, width: u16, height: u16) -> Result<()> {
    let size = libc::winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the argument is a winsize that outlives the call.
    if unsafe { libc::ioctl(pty.as_raw_fd(), libc::TIOCSWINSZ, &size) } < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}
