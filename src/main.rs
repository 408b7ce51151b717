//! The binary.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a runner has nothing to parse, to log or to read, and starts in a few milliseconds.
    if std::env::args_os().nth(1).is_some_and(|first| first == "runner") {
        return trae::script::runner::main();
    }
    // Before any thread: libraries read it once, and the environment is not to change under threads.
    trae::ocr::init_threads();
    cli::main()
}
