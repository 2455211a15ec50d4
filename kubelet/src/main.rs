//! Starts `kubelet`.

use std::process::ExitCode;

use ferrule_component_base::cli;
use ferrule_kubelet::args::Args;

fn main() -> ExitCode {
    let args: Args = cli::parse();
    let common = args.common.clone();
    cli::run("kubelet", &common, |shutdown| {
        ferrule_kubelet::run::run(args, shutdown)
    })
}
