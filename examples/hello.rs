//! TRAE as a library: runs a script and prints its result. `cargo build && cargo run --example hello`
#![allow(clippy::print_stdout)]
use trae::app::{App, Options};
use trae::config::{Config, Sources};
use trae::{policy::Permissions, runs::Execute};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(&Sources::of_process(Default::default()))?;
    // Scripts run in processes of TRAE's own binary, which stands beside the examples.
    let runner = std::env::current_exe()?.with_file_name("../trae").canonicalize()?;
    let app = App::with(config, Options { runner, allowed: Permissions::all() }).await?;
    let mut ticket = app.runs.execute_source("hello.rhai", "`Hello, ${6 * 7}`", Execute::default()).await?;
    println!("{}", serde_json::to_string(&ticket.finished().await.result)?);
    app.shutdown().await;
    Ok(())
}
