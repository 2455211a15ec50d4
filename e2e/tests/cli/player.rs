//! One kubectl, and the shell that its commands are typed into.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use ferrule_e2e::Kubectl;
use ferrule_e2e::command::{self, Output};
use ferrule_e2e::processes::Processes;
use ferrule_e2e::wait::seconds;

use crate::mask::Masks;
use crate::releases::SPOKEN;
use crate::transcript::{Said, Step, Transcript};

/// How long a command may take.
const WITHIN: Duration = seconds(120);
/// How long it may take until a command prints what it shall.
const SETTLES_WITHIN: Duration = seconds(30);
/// Older kubectls are not compared with: the project speaks with those from this release on.
const OLDEST: u32 = 27;

/// Plays transcripts with one kubectl.
pub struct Player {
    /// Whose kubectl it is, for messages.
    pub whose: String,
    /// Its minor release; none for ours.
    pub minor: Option<u32>,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    server: String,
    work: PathBuf,
}

/// Upstream's kubectl, where the environment names one that is new enough.
pub fn upstream(processes: &Processes) -> anyhow::Result<Option<Player>> {
    let named = std::env::var_os("FERRULE_UPSTREAM_KUBECTL").is_some();
    let Some(kubectl) = processes.upstream_kubectl().filter(|_| named) else {
        println!("note: no kubectl of upstream's is named: ours is compared with what is written");
        return Ok(None);
    };
    // It is asked against the server, since some start another one for each version.
    let text = kubectl.ok("version -o json")?;
    let version: serde_json::Value = serde_json::from_str(&text)?;
    let release = version["clientVersion"]["gitVersion"].as_str();
    let release = release.context("upstream's kubectl has no version")?;
    let minor = release.split('.').nth(1).context("a minor release")?;
    let minor: u32 = minor.parse().with_context(|| release.to_owned())?;
    if minor < OLDEST {
        println!("note: upstream's kubectl {release} is too old to be compared with");
        return Ok(None);
    }
    let mut player = Player::of(processes, &kubectl)?;
    player.whose = format!("upstream's kubectl {release}");
    player.minor = Some(minor);
    Ok(Some(player))
}

impl Player {
    /// A player with a folder of its own.
    pub fn of(processes: &Processes, kubectl: &Kubectl) -> anyhow::Result<Player> {
        let whose = kubectl.whose().to_owned();
        let name = if whose.starts_with("our") { "a" } else { "b" };
        let work = processes.work().join(format!("cli-{name}"));
        fs::create_dir_all(&work)?;
        Ok(Player {
            whose,
            minor: None,
            kubectl: kubectl.program().to_owned(),
            kubeconfig: processes.kubeconfig(),
            server: processes.server().to_owned(),
            work,
        })
    }

    /// `a` or `b`: names of the two have the same length.
    fn letter(&self) -> char {
        if self.minor.is_some() { 'b' } else { 'a' }
    }

    /// Whether this kubectl prints what a step says.
    pub fn judges(&self, step: &Step) -> bool {
        let minor = self.minor.unwrap_or(SPOKEN);
        !(step.ours && self.minor.is_some()) && step.since.is_none_or(|since| since <= minor)
    }

    /// What the commands of a transcript print. Those that settle are repeated until they print what
    /// `wanted` makes of the transcript.
    pub fn play(
        &self,
        transcript: &Transcript,
        wanted: impl Fn(&Step) -> Said,
    ) -> anyhow::Result<Vec<Said>> {
        let namespace = format!("cli-{}-{}", transcript.name, self.letter());
        let stage = Stage::open(self, &namespace)?;
        let commands: Vec<&str> = transcript
            .steps
            .iter()
            .map(|step| step.command.as_str())
            .collect();
        let masks = self.masks(&stage, commands.join("\n"));
        let mut said = Vec::new();
        for step in &transcript.steps {
            if step.ours && self.minor.is_some() {
                said.push(Said::default());
                continue;
            }
            let deadline = Instant::now() + SETTLES_WITHIN;
            loop {
                let one = masked(&masks, stage.run(&step.command)?);
                let settled = !step.settles || !self.judges(step) || one == wanted(step);
                if settled || Instant::now() >= deadline {
                    said.push(one);
                    break;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        stage.close()?;
        Ok(said)
    }

    fn masks(&self, stage: &Stage, written: String) -> Masks {
        let address = self.server.trim_start_matches("https://").to_owned();
        let known = [
            (self.server.clone(), "<server>"),
            (address, "<address>"),
            (stage.folder.display().to_string(), "<dir>"),
            (stage.namespace.clone(), "<ns>"),
        ];
        Masks {
            known: known
                .into_iter()
                .map(|(text, name)| (text, name.to_owned()))
                .collect(),
            written,
        }
    }
}

fn masked(masks: &Masks, output: Output) -> Said {
    Said {
        stdout: masks.mask(&output.stdout),
        stderr: masks.mask(&output.stderr),
        code: output.code.unwrap_or(-1),
    }
}

/// Where a transcript is played: a namespace, and a folder with `kubectl` in the path.
struct Stage<'a> {
    player: &'a Player,
    namespace: String,
    folder: PathBuf,
}

impl Stage<'_> {
    fn open<'a>(player: &'a Player, namespace: &str) -> anyhow::Result<Stage<'a>> {
        let folder = player.work.join(namespace);
        for name in ["bin", "home", "work"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let link = folder.join("bin/kubectl");
        std::os::unix::fs::symlink(&player.kubectl, link)?;
        fs::copy(&player.kubeconfig, folder.join("kubeconfig"))?;
        let stage = Stage {
            player,
            namespace: namespace.to_owned(),
            folder,
        };
        stage.must("kubectl create namespace $NS")?;
        stage.must("kubectl config set-context --current --namespace=$NS")?;
        Ok(stage)
    }

    fn must(&self, command: &str) -> anyhow::Result<String> {
        let output = self.run(command)?;
        output
            .ok()
            .with_context(|| format!("{}: {command}", self.player.whose))
    }

    /// Types a command.
    fn run(&self, command: &str) -> anyhow::Result<Output> {
        let path = std::env::var("PATH").unwrap_or_default();
        let own = |name: &str| self.folder.join(name);
        let mut shell = Command::new("bash");
        shell
            .args(["-c", command])
            .current_dir(own("work"))
            .env("PATH", format!("{}:{path}", own("bin").display()))
            .env("HOME", own("home"))
            .env("KUBECACHEDIR", self.player.work.join("cache"))
            .env("TMPDIR", own("work"))
            .env("KUBECONFIG", own("kubeconfig"))
            .env("NS", &self.namespace)
            .env("SERVER", &self.player.server)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        for name in ["EDITOR", "KUBE_EDITOR", "KUBECTL_EXTERNAL_DIFF", "VISUAL"] {
            shell.env_remove(name);
        }
        command::run(&mut shell, "", WITHIN)
    }

    /// Leaves the namespace to the control plane: nobody waits for it.
    fn close(&self) -> anyhow::Result<()> {
        self.must("kubectl delete namespace $NS --wait=false")?;
        fs::remove_dir_all(&self.folder).context("remove the folder")
    }
}

/// Where a path is, for messages.
pub fn shown(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
