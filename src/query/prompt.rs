//! The prompt of `callpulse sql`: statements with history.

use std::path::Path;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

/// Runs one statement and shows its answer, faults included.
pub trait Runner {
    /// Runs `sql`, which ends without a semicolon.
    fn run(&mut self, sql: &str);
}

impl<F: FnMut(&str)> Runner for F {
    fn run(&mut self, sql: &str) {
        self(sql);
    }
}

/// Asks for statements until `\q` or the end of input. A statement ends with a semicolon and may go over several lines; ^C
/// drops what was typed. `history` is read before and written after, where it is given and can be.
pub fn prompt(runner: &mut dyn Runner, history: Option<&Path>) -> Result<(), String> {
    let failed = |error: ReadlineError| format!("the prompt cannot be shown: {error}");
    let mut editor = DefaultEditor::new().map_err(failed)?;
    if let Some(history) = history {
        // There is none before the first time.
        let _ = editor.load_history(history);
    }
    let mut typed = Statements::default();
    loop {
        let sign = if typed.is_empty() { "callpulse> " } else { "        -> " };
        match editor.readline(sign) {
            Ok(line) if typed.is_empty() && matches!(line.trim(), "\\q" | "exit" | "quit") => break,
            Ok(line) => {
                for statement in typed.push(&line) {
                    // A statement stands in the history in one piece.
                    let _ = editor.add_history_entry(format!("{};", statement.replace('\n', " ")));
                    runner.run(&statement);
                }
            }
            Err(ReadlineError::Interrupted) => typed = Statements::default(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    if let Some(history) = history {
        editor
            .save_history(history)
            .map_err(|error| format!("the history cannot be written to `{}`: {error}", history.display()))?;
    }
    Ok(())
}

/// Cuts what is typed into statements at semicolons that stand in no text, name or comment.
#[derive(Debug, Default)]
struct Statements {
    rest: String,
}

impl Statements {
    fn is_empty(&self) -> bool {
        self.rest.trim().is_empty()
    }

    /// Takes a line and gives the statements that it ends.
    fn push(&mut self, line: &str) -> Vec<String> {
        self.rest.push_str(line);
        self.rest.push('\n');
        let mut ended = Vec::new();
        while let Some(at) = end(&self.rest) {
            let statement = self.rest[..at].trim().to_owned();
            self.rest.drain(..=at);
            if !statement.is_empty() {
                ended.push(statement);
            }
        }
        if self.is_empty() {
            self.rest.clear();
        }
        ended
    }
}

/// The place of the first semicolon that ends a statement.
fn end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let closing: &[u8] = match &bytes[at..] {
            [b';', ..] => return Some(at),
            [b'\'', ..] => b"'",
            [b'"', ..] => b"\"",
            [b'-', b'-', ..] => b"\n",
            [b'/', b'*', ..] => b"*/",
            _ => {
                at += 1;
                continue;
            }
        };
        let from = at + if closing.len() == 2 { 2 } else { 1 };
        let length = bytes[from..].windows(closing.len()).position(|window| window == closing)?;
        at = from + length + closing.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_ends_a_statement_but_not_in_text_or_comments() {
        let mut typed = Statements::default();
        assert_eq!(typed.push("SELECT ';' AS \"a;b\" -- no; yet"), Vec::<String>::new());
        assert_eq!(
            typed.push("/* ; */ FROM legs; SELECT 1;; SELECT"),
            ["SELECT ';' AS \"a;b\" -- no; yet\n/* ; */ FROM legs", "SELECT 1"]
        );
        assert!(!typed.is_empty());
        assert_eq!(typed.push("'it''s; 接通率';"), ["SELECT\n'it''s; 接通率'"]);
        assert!(typed.is_empty());
    }
}
