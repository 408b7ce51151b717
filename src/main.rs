//! The binary.
fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some("runner") {
        return trae::script::runner::main();
    }
    std::process::ExitCode::SUCCESS
}
