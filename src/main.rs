//! Reads the command line, calls `app`, turns an error into a message and an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match callpulse::app::run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code)
        }
    }
}
