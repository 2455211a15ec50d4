//! Starts `cri-runtime`: the server, a pod's shim, or a command about images.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use ferrule_component_base::{logging, shutdown};
use ferrule_cri_runtime::image::store::Store;
use ferrule_cri_runtime::image::{Reference, archive};
use ferrule_cri_runtime::options::{Cli, Command, Common, ImageCommand};
use ferrule_cri_runtime::server::records::{ContainerRecord, load_all};
use ferrule_cri_runtime::{server, shim, simulated};

fn main() -> ExitCode {
    // The shim forks: it must never have had a second thread.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "shim") {
        let setup = arguments.next().unwrap_or_default();
        return report(shim::run(Path::new(&setup)));
    }
    let cli = Cli::parse();
    match &cli.command {
        None | Some(Command::Serve) => report(serve(&cli.common)),
        Some(Command::Image(command)) => report(image(&cli.common, command)),
    }
}

fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(common: &Common) -> Result<()> {
    logging::init(common.log_format, common.verbosity);
    let options = common.options().context("find this program")?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(async {
            let shutdown = shutdown::token();
            if common.simulation.simulated {
                return simulated::serve(&common.simulation, &common.listen, shutdown).await;
            }
            server::serve(options, &common.listen, shutdown).await
        })
}

/// A file that goes away with its holder.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Standard input as a file of the runtime's own folder.
fn spool(root: &Path) -> Result<Spooled> {
    let path = root.join(format!("import-{}.tar", std::process::id()));
    let mut file =
        std::fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let spooled = Spooled(path);
    std::io::copy(&mut std::io::stdin().lock(), &mut file)
        .context("read the archive from standard input")?;
    Ok(spooled)
}

fn image(common: &Common, command: &ImageCommand) -> Result<()> {
    let layout = common.layout();
    let store = Store::open(layout.images())?;
    match command {
        ImageCommand::Import { file, name } => {
            let name: Option<Reference> = name.as_deref().map(str::parse).transpose()?;
            // An archive is read more than once, which a pipe cannot be.
            let piped = (file == Path::new("-"))
                .then(|| spool(&layout.root))
                .transpose()?;
            let file = piped
                .as_ref()
                .map_or(file.as_path(), |spooled| spooled.0.as_path());
            for image in archive::import(&store, file, name.as_ref())? {
                let names: Vec<&str> = image.tags.iter().map(String::as_str).collect();
                println!("{} {}", short(&image.id), names.join(" "));
            }
        }
        ImageCommand::List => {
            println!("{:<60} {:<14} SIZE", "IMAGE", "ID");
            for image in store.list()? {
                let size = format!("{:.1}MB", image.size as f64 / 1e6);
                if image.tags.is_empty() {
                    println!("{:<60} {:<14} {size}", "<none>", short(&image.id));
                }
                for tag in &image.tags {
                    println!("{tag:<60} {:<14} {size}", short(&image.id));
                }
            }
        }
        ImageCommand::Remove { image } => {
            let records: Vec<ContainerRecord> = load_all(&layout.root.join("containers"));
            let in_use: BTreeSet<String> = records
                .into_iter()
                .flat_map(|record| record.layers)
                .collect();
            if !store.remove(image, &in_use)? {
                return Err(anyhow!("no such image: {image}"));
            }
        }
    }
    Ok(())
}

fn short(id: &str) -> &str {
    let hex = id.trim_start_matches("sha256:");
    hex.get(..12).unwrap_or(hex)
}
