//! A command in a terminal of its own, as a person would use it; and one that is read line by line.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use ferrule_e2e::wait::until;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// What a process has said so far.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn gather(mut pipe: impl Read + Send + 'static) -> Said {
        let said = Said::default();
        let sink = said.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(size @ 1..) = pipe.read(&mut buffer) {
                if let Ok(mut sink) = sink.0.lock() {
                    sink.extend_from_slice(&buffer[..size]);
                }
            }
        });
        said
    }

    /// All of it.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().map(|bytes| bytes.clone()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it holds a text.
    pub fn holds(&self, wanted: &str, within: Duration) -> anyhow::Result<String> {
        until(&format!("{wanted:?} is said"), within, || {
            let text = self.text();
            ensure!(text.contains(wanted), "said is {text:?}");
            Ok(text)
        })
    }
}

fn ends(child: &mut Child, within: Duration, said: &Said) -> anyhow::Result<Option<i32>> {
    until("the command ends", within, || {
        let status = child.try_wait()?;
        let status = status.with_context(|| format!("said is {:?}", said.text()))?;
        Ok(status.code())
    })
}

/// A command with pipes.
pub struct Piped {
    child: Child,
    /// Its standard output.
    pub out: Said,
    /// Its standard error.
    pub err: Said,
}

impl Piped {
    /// Starts it; its input is empty.
    pub fn start(mut command: Command) -> anyhow::Result<Piped> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let out = Said::gather(child.stdout.take().context("it has an output")?);
        let err = Said::gather(child.stderr.take().context("it has an error output")?);
        Ok(Piped { child, out, err })
    }

    /// Waits for its end, and answers with its exit code.
    pub fn ends(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        ends(&mut self.child, within, &self.err)
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command in a terminal.
pub struct Terminal {
    master: File,
    /// The terminal's other end: its settings outlive the command.
    slave: File,
    child: Child,
    /// What is on the screen.
    pub screen: Said,
}

impl Terminal {
    /// Starts a command in a terminal of some rows and columns.
    pub fn start(command: &Command, rows: u16, columns: u16) -> anyhow::Result<Terminal> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str()?)?;
        let master = File::from(master);
        // `setsid` makes the terminal the command's own: it then hears of new sizes.
        let mut own = Command::new("setsid");
        own.args(["--ctty", "--wait"]);
        own.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => own.env(key, value),
                None => own.env_remove(key),
            };
        }
        let mut terminal = Terminal {
            screen: Said::gather(master.try_clone()?),
            child: own
                .stdin(slave.try_clone()?)
                .stdout(slave.try_clone()?)
                .stderr(slave.try_clone()?)
                .spawn()
                .context("start setsid")?,
            master,
            slave,
        };
        terminal.resize(rows, columns)?;
        Ok(terminal)
    }

    /// Types on the keyboard.
    pub fn types(&mut self, text: &str) -> anyhow::Result<()> {
        self.master.write_all(text.as_bytes())?;
        Ok(())
    }

    /// Gives the window another size.
    pub fn resize(&mut self, rows: u16, columns: u16) -> anyhow::Result<()> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(&self.master, size)?)
    }

    /// Waits for the end; the terminal must then be as it was. Answers with the exit code.
    pub fn ends(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        let code = ends(&mut self.child, within, &self.screen)?;
        let modes = tcgetattr(&self.slave)?.local_modes;
        ensure!(
            modes.contains(LocalModes::ICANON | LocalModes::ECHO),
            "the terminal is left raw: {modes:?}"
        );
        Ok(code)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
