//! Generates the services and the descriptor set that reflection answers from.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .file_descriptor_set_path(out.join("ferrule.bin"))
        .compile_protos(
            &[
                "ferrule/v1/resources.proto",
                "ferrule/v1/discovery.proto",
                "ferrule/v1/node.proto",
                "ferrule/v1/introspection.proto",
            ],
            &["."],
        )?;
    Ok(())
}
