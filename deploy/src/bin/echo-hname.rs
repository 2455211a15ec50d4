//! A lab program: answers every request with its host name.

fn main() -> anyhow::Result<()> {
    let name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    ferrule_deploy::echo::serve(move |_| format!("{name}\n"))
}
