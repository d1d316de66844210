//! `text score`, `text explain`, `text eval`: what texts score, why, and how well the scores tell labels apart.

use std::io::Read;
use std::path::Path;

use super::print;
use crate::app::Failure;
use crate::event::Speaker;
use crate::text::{Reader, Reading, Scratch};

/// Labels that stand for something good; a target that is none of them is taken as bad.
const GOOD: [&str; 20] = [
    "positive",
    "pos",
    "good",
    "happy",
    "happiness",
    "joy",
    "like",
    "love",
    "thanks",
    "thankful",
    "satisfied",
    "praise",
    "surprise",
    "正面",
    "正向",
    "积极",
    "好评",
    "满意",
    "高兴",
    "开心",
];

/// The table of a CSV file.
struct Table {
    columns: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
    name: String,
}

impl Table {
    /// Reads a CSV file; `-` is stdin.
    fn read(path: &Path) -> Result<Table, Failure> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        let read = match name.as_str() {
            "-" => std::io::stdin().read_to_end(&mut bytes).map(|_| ()),
            _ => std::fs::read(path).map(|read| bytes = read),
        };
        read.map_err(|error| Failure::input(format!("`{name}` cannot be read: {error}")))?;
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let wrong = |error: csv::Error| {
            Failure::input(format!("`{name}` is no CSV: {error}"))
                .hint("a line with the names of the columns, then one line a row, in UTF-8")
        };
        let columns = reader.headers().map_err(wrong)?.clone();
        let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        Ok(Table { columns, rows, name })
    }

    /// The place of a column.
    fn column(&self, wanted: &str) -> Result<usize, Failure> {
        self.columns.iter().position(|column| column.trim() == wanted).ok_or_else(|| {
            let columns: Vec<&str> = self.columns.iter().collect();
            Failure::input(format!("`{}` has no column `{wanted}`", self.name))
                .hint(format!("its columns are `{}`", columns.join("`, `")))
        })
    }
}

/// Writes sentiment and hits of each row of a CSV.
///
/// # Errors
/// A file that cannot be read, or has no column `text`.
pub(super) fn score(reader: &Reader, path: &Path, speaker: Speaker) -> Result<(), Failure> {
    let table = Table::read(path)?;
    let text = table.column("text")?;
    let (mut scratch, mut reading) = (Scratch::default(), Reading::default());
    let mut out = csv::Writer::from_writer(Vec::new());
    let bug = |error: csv::Error| Failure::bug(error.to_string());
    out.write_record(["sentiment", "hits"]).map_err(bug)?;
    for row in &table.rows {
        reader.read_with(&mut scratch, row.get(text).unwrap_or_default(), speaker, &mut reading);
        out.write_record([format!("{:.4}", reading.score), reading.hits_text()]).map_err(bug)?;
    }
    print(&out.into_inner().map_err(|error| Failure::bug(error.to_string()))?)
}

/// Writes why a text scores what it scores.
///
/// # Errors
/// Where stdout cannot be written.
pub(super) fn explain(reader: &Reader, text: &str, speaker: Speaker) -> Result<(), Failure> {
    print(reader.explain(text, speaker).to_string().as_bytes())
}

/// How well scores tell one label from the others.
#[derive(Debug, Clone, PartialEq)]
struct Quality {
    rows: usize,
    targets: usize,
    precision: f64,
    recall: f64,
    f1: f64,
    auc: f64,
}

/// Writes precision, recall, F1 and AUC of telling the rows with this label from the others.
///
/// # Errors
/// A file that cannot be read, lacks a column, or has no row with the label or none without.
pub(super) fn eval(
    reader: &Reader,
    path: &Path,
    target: &str,
    against: Option<&str>,
    speaker: Speaker,
) -> Result<(), Failure> {
    let table = Table::read(path)?;
    let (text, label) = (table.column("text")?, table.column("label")?);
    let sign = if GOOD.contains(&target.to_lowercase().as_str()) { 1.0 } else { -1.0 };
    let (mut scratch, mut reading) = (Scratch::default(), Reading::default());
    let mut scored: Vec<(f32, bool)> = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let own = row.get(label).unwrap_or_default().trim();
        if own != target && against.is_some_and(|other| other != own) {
            continue;
        }
        reader.read_with(&mut scratch, row.get(text).unwrap_or_default(), speaker, &mut reading);
        scored.push((sign * reading.score, own == target));
    }
    let Some(quality) = quality(&mut scored) else {
        return Err(Failure::input(format!(
            "`{}` has no rows both with and without the label `{target}`",
            table.name
        ))
        .hint("`--target` takes a value of the column `label`, `--against` another one"));
    };
    let side = if sign > 0.0 { "above" } else { "below" };
    let text = format!(
        "rows       {}\ntarget     {target} ({} rows)\nthreshold  sentiment {side} 0\nprecision  {:.4}\nrecall     {:.4}\nf1         {:.4}\nauc        {:.4}\n",
        quality.rows, quality.targets, quality.precision, quality.recall, quality.f1, quality.auc
    );
    print(text.as_bytes())
}

/// The quality of scores that should be high where the flag is set; sorts them. `None` where one kind of row is missing.
fn quality(scored: &mut [(f32, bool)]) -> Option<Quality> {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let targets = scored.iter().filter(|(_, is)| *is).count();
    let others = scored.len() - targets;
    if targets == 0 || others == 0 {
        return None;
    }
    // The area under the curve by ranks (Mann and Whitney), those of equal scores shared.
    let mut ranks = 0.0;
    let mut from = 0;
    while from < scored.len() {
        let same = scored[from..].iter().take_while(|(score, _)| *score == scored[from].0).count();
        let rank = from as f64 + (same as f64 + 1.0) / 2.0;
        ranks += rank * scored[from..from + same].iter().filter(|(_, is)| *is).count() as f64;
        from += same;
    }
    let (p, n) = (targets as f64, others as f64);
    let found = scored.iter().filter(|(score, _)| *score > 0.0);
    let right = found.clone().filter(|(_, is)| *is).count() as f64;
    let found = found.count() as f64;
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let (precision, recall) = (share(right, found), right / p);
    Some(Quality {
        rows: scored.len(),
        targets,
        precision,
        recall,
        f1: share(2.0 * precision * recall, precision + recall),
        auc: (ranks - p * (p + 1.0) / 2.0) / (p * n),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_textbook() {
        let mut scored = [(0.9, true), (0.8, false), (0.7, true), (-0.1, true), (-0.2, false), (-0.2, false)];
        let quality = quality(&mut scored).expect("both kinds are there");
        // Of the nine pairs, 0.9 beats three, 0.7 and -0.1 beat two each.
        assert!((quality.auc - 7.0 / 9.0).abs() < 1e-12);
        assert!((quality.precision - 2.0 / 3.0).abs() < 1e-12);
        assert!((quality.recall - 2.0 / 3.0).abs() < 1e-12);
        assert!((quality.f1 - 2.0 / 3.0).abs() < 1e-12);
        let mut same = [(0.5, true), (0.5, false)];
        assert_eq!(super::quality(&mut same).expect("both kinds are there").auc, 0.5);
        assert_eq!(super::quality(&mut [(0.5, true)]), None);
    }
}
