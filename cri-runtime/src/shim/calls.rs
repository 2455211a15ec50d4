//! What a shim does when it is told to.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use super::container::Container;
use super::process::Process;
use super::protocol::{Call, Listed, Started};
use super::stream::{Attached, PATIENCE};
use super::{Shim, console, first_logged, process};

impl Shim {
    /// Carries out a call.
    pub(super) fn call(&mut self, call: Call) -> Result<Value> {
        match call {
            Call::Run(run) => {
                let id = run.container.clone();
                if self.containers.contains_key(&id) {
                    bail!("container {id} has been started before");
                }
                let logged = fs::metadata(&self.log).map_or(0, |metadata| metadata.len());
                let container = Container::start(*run, &self.setup.containers, &self.console())
                    .map_err(|error| match first_logged(&self.log, logged) {
                        Some(cause) if !format!("{error}").contains(&cause) => {
                            anyhow!("{error}: {cause}")
                        }
                        _ => error,
                    })?;
                let started = serde_json::to_value(&container.started)?;
                self.containers.insert(id, container);
                Ok(started)
            }
            Call::Kill {
                container,
                signal,
                all,
            } => {
                let container = self.container(&container)?;
                if container.exit.is_some() {
                    return Ok(Value::Null);
                }
                if all {
                    container.kill_all();
                }
                process::kill(container.started.pid, signal)?;
                Ok(Value::Null)
            }
            Call::Exec(exec) => {
                if self.container(&exec.container)?.exit.is_some() {
                    bail!("container is not running");
                }
                let process = Process::start(&exec, &self.setup.containers, &self.console())?;
                let started = Started {
                    pid: process.pid,
                    start_time: 0,
                    started_at: process::now(),
                };
                self.execs.insert(exec.exec, process);
                Ok(serde_json::to_value(started)?)
            }
            Call::KillExec { exec } => {
                if let Some(process) = self.execs.get(&exec)
                    && process.exit.is_none()
                {
                    process::kill(process.pid, libc::SIGKILL)?;
                }
                Ok(Value::Null)
            }
            Call::Resize {
                target,
                width,
                height,
            } => {
                let pty = match self.execs.get(&target) {
                    Some(exec) => exec.pty.as_ref(),
                    None => self.container(&target)?.pty.as_ref(),
                };
                if let Some(pty) = pty {
                    console::resize(pty, width, height)?;
                }
                Ok(Value::Null)
            }
            Call::Attach {
                container,
                stdin,
                stdout,
                stderr,
            } => {
                let container = self.container(&container)?;
                if container.exit.is_some() {
                    bail!("container is not running");
                }
                container.attached.push(Attached::open(
                    stdin.as_deref(),
                    stdout.as_deref(),
                    stderr.as_deref(),
                    Some(PATIENCE),
                )?);
                Ok(Value::Null)
            }
            Call::ReopenLog { container } => {
                self.container(&container)?.reopen_log()?;
                Ok(Value::Null)
            }
            Call::Delete { container } => {
                if self
                    .containers
                    .get(&container)
                    .is_some_and(|container| container.exit.is_none())
                {
                    bail!("container {container} is running");
                }
                self.containers.remove(&container);
                let _ = fs::remove_dir_all(self.setup.containers.join(&container));
                Ok(Value::Null)
            }
            Call::List => {
                let listed: Vec<Listed> = self
                    .containers
                    .iter()
                    .map(|(id, container)| Listed {
                        container: id.clone(),
                        started: container.started.clone(),
                        exit: container.exit.clone(),
                    })
                    .collect();
                Ok(serde_json::to_value(listed)?)
            }
            Call::Shutdown => {
                for container in self.containers.values().filter(|c| c.exit.is_none()) {
                    container.kill_all();
                    let _ = process::kill(container.started.pid, libc::SIGKILL);
                }
                if let Some(pause) = self.pause {
                    let _ = process::kill(pause, libc::SIGKILL);
                }
                self.stopping = true;
                Ok(Value::Null)
            }
        }
    }

    /// Where terminals are handed over: beside the shim's socket, for the path must be short.
    fn console(&self) -> PathBuf {
        self.setup.socket.with_extension("tty")
    }

    fn container(&mut self, id: &str) -> Result<&mut Container> {
        self.containers
            .get_mut(id)
            .ok_or_else(|| anyhow!("no container {id} has been started here"))
    }
}
