//! A lab program: answers every request with its method and the address that it arrived at.

fn main() -> anyhow::Result<()> {
    ferrule_deploy::echo::serve(|asked| {
        format!(
            "request_method : {} | ip_dest: {}\n",
            asked.method, asked.local
        )
    })
}
