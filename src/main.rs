//! Reads the command line, calls `app`, turns an error into a message and an exit code.

fn main() {}
