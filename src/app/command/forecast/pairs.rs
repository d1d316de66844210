//! Every forecast of a back-test beside what came, as a CSV for those who want to look behind its table.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::app::Failure;
use crate::calendar::{Calendar, civil};
use crate::forecast::{BackTest, History, Model, Step, Tried, band_of, bands, slot_pairs};

/// The columns: the series (a file, or a queue and its channel), what it counts by, the first day or month that was not known,
/// the one that was forecast, its steps ahead and their band, who forecast, what it said, what came.
const COLUMNS: [&str; 9] =
    ["series", "unit", "origin", "target", "ahead", "band", "model", "forecast", "actual"];

/// The file that is written.
pub(super) struct Pairs {
    path: PathBuf,
    out: csv::Writer<BufWriter<File>>,
}

impl Pairs {
    /// An empty file with its head.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn create(path: &Path) -> Result<Pairs, Failure> {
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        let mut pairs = Pairs { path: path.to_owned(), out: csv::Writer::from_writer(BufWriter::new(file)) };
        pairs.row(&COLUMNS)?;
        Ok(pairs)
    }

    /// The days or months of a back-test.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn steps(&mut self, series: &str, test: &BackTest, step: Step) -> Result<(), Failure> {
        let unit = if step == Step::Month { "months" } else { "days" };
        test.tried.iter().try_for_each(|tried| {
            let target = date(step, tried.target());
            self.pair(series, (unit, step), tried, &target, tried.forecast, tried.actual)
        })
    }

    /// The slots of its days.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn slots(
        &mut self,
        series: &str,
        history: &History,
        calendar: &Calendar,
        test: &BackTest,
    ) -> Result<(), Failure> {
        let length = 24 * 60 / history.slots_per_day();
        let mut done = Ok(());
        slot_pairs(history, calendar, test, |tried, slot, forecast, actual| {
            if done.is_ok() {
                let (day, minute) = (date(Step::Day, tried.target()), slot * length);
                let target = format!("{day} {:02}:{:02}", minute / 60, minute % 60);
                done = self.pair(series, ("slots", Step::Day), tried, &target, forecast, actual);
            }
        });
        done
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| unwritable(&self.path, &error))
    }

    fn pair(
        &mut self,
        series: &str,
        (unit, step): (&str, Step),
        tried: &Tried,
        target: &str,
        forecast: f64,
        actual: f64,
    ) -> Result<(), Failure> {
        self.row(&[
            series,
            unit,
            &date(step, tried.origin),
            target,
            &tried.ahead.to_string(),
            bands(step)[band_of(step, tried.ahead)].name,
            if tried.model == Model::Blend { "chosen" } else { tried.model.name() },
            &format!("{forecast:.4}"),
            &actual.to_string(),
        ])
    }

    fn row(&mut self, fields: &[&str]) -> Result<(), Failure> {
        self.out.write_record(fields).map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::input(format!("`{}` cannot be written: {error}", path.display()))
}

/// A day or a month as a series writes it; a table of months without dates begins with `0000-01`.
fn date(step: Step, at: i32) -> String {
    match step {
        Step::Day => {
            let (year, month, day) = civil(at);
            format!("{year:04}-{month:02}-{day:02}")
        }
        Step::Month => format!("{:04}-{:02}", at.div_euclid(12), at.rem_euclid(12) + 1),
    }
}
