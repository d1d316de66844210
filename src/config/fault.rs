//! What is wrong with the configuration, said so that it can be mended.

use std::fmt;

/// One fault: where, what, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, or `--set` or the environment variable that says it.
    pub file: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong, in lower case, the value in backticks, without a full stop.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Fault {
    /// The fault as a warning, for what can be started with.
    pub fn as_warning(&self) -> String {
        self.text("warning")
    }

    fn text(&self, severity: &str) -> String {
        let mut out = format!("{severity}: {} ({}", self.message, self.file);
        if let Some(line) = self.line {
            out.push_str(&format!(", line {line}"));
        }
        out.push(')');
        if let Some(hint) = &self.hint {
            out.push_str(&format!("\n\nhint: {hint}"));
        }
        out
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text("error"))
    }
}

impl std::error::Error for Fault {}

/// The name nearest to `wrong`, if it is near enough to be meant.
pub(super) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let bound = (wrong.chars().count() / 3).clamp(1, 4);
    let near = names.into_iter().map(|name| (distance(&wrong.to_lowercase(), &name.to_lowercase()), name));
    near.filter(|(distance, _)| *distance <= bound).min().map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let names = ["slot_minutes", "timezone", "data_dir"];
        assert_eq!(nearest("slot_minute", names), Some("slot_minutes"));
        assert_eq!(nearest("time_zone", names), Some("timezone"));
        assert_eq!(nearest("dtaa_dir", names), Some("data_dir"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!((distance("ab", "ba"), distance("", "abc"), distance("kitten", "sitting")), (1, 3, 3));
    }

    #[test]
    fn a_fault_says_what_where_and_the_way_out() {
        let mut fault = Fault {
            file: "callpulse.toml".to_owned(),
            line: Some(3),
            message: "unknown key `colour`".to_owned(),
            hint: Some("leave it out".to_owned()),
        };
        assert_eq!(
            fault.to_string(),
            "error: unknown key `colour` (callpulse.toml, line 3)\n\nhint: leave it out"
        );
        (fault.line, fault.hint) = (None, None);
        assert_eq!(fault.as_warning(), "warning: unknown key `colour` (callpulse.toml)");
    }
}
