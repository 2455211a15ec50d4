//! The terminal that the program runs in.

use std::io::{IsTerminal, Stdin};

use ferrule_proto::v1::TerminalSize;
use futures::Stream;
use nix::sys::termios::{self, SetArg, Termios};
use tokio::signal::unix::{SignalKind, signal};

/// A terminal whose keys go to the container as they are; it is as before once this is dropped.
pub struct Terminal {
    input: Stdin,
    before: Termios,
}

impl Terminal {
    /// Switches the terminal over; `None` when standard input is none.
    pub fn raw() -> Option<Terminal> {
        let input = std::io::stdin();
        if !input.is_terminal() {
            return None;
        }
        let before = termios::tcgetattr(&input).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&input, SetArg::TCSANOW, &raw).ok()?;
        Some(Terminal { input, before })
    }

    /// What the flags `-i` and `-t` ask for; a terminal that is none is said.
    pub fn asked(stdin: bool, tty: bool, quiet: bool) -> Option<Terminal> {
        if !stdin || !tty {
            return None;
        }
        let terminal = Terminal::raw();
        if terminal.is_none() && !quiet {
            super::warn("Unable to use a TTY - input is not a terminal or the right kind of file");
        }
        terminal
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing can be done for a terminal that is gone.
        let _ = termios::tcsetattr(&self.input, SetArg::TCSANOW, &self.before);
    }
}

/// The size of the terminal behind standard output, when there is one.
pub fn size() -> Option<TerminalSize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(TerminalSize {
        width: size.ws_col.into(),
        height: size.ws_row.into(),
    })
}

/// The sizes that the terminal gets from now on.
pub fn sizes() -> impl Stream<Item = TerminalSize> + Send {
    let changes = signal(SignalKind::window_change()).ok();
    futures::stream::unfold(changes, |changes| async move {
        let mut changes = changes?;
        loop {
            changes.recv().await?;
            if let Some(size) = size() {
                return Some((size, Some(changes)));
            }
        }
    })
}

/// Waits until somebody ends the program from outside.
pub async fn ended() {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ];
    let mut signals: Vec<_> = kinds
        .into_iter()
        .filter_map(|kind| signal(kind).ok())
        .collect();
    if signals.is_empty() {
        return std::future::pending().await;
    }
    let any = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures::future::select_all(any).await;
}
