//! What a back-test found, as text for people.

use std::fmt::Write;

use crate::calendar::Calendar;
use crate::forecast::{Accuracy, BackTest, History, Learned, Model, Step, bands, slot_errors};

/// Independent origins below which two models cannot be told apart by a few percent: absolute errors scatter by about three quarters
/// of their mean, so that 30 of them tell the mean within 14 %, and the difference of two models that err alike within a few.
const FEW_ORIGINS: f64 = 30.0;

/// The table of a series of days or months.
pub(super) fn of_steps(title: &str, test: &BackTest, step: Step) -> String {
    let unit = if step == Step::Month { "months" } else { "days" };
    let mut out = format!("{title}: WAPE (bias) of {unit} by horizon\n\n");
    if test.tried.is_empty() {
        out.push_str("too short for a back-test\n\n");
        return out;
    }
    table(&mut out, step, &test.table(step), &test.independent_origins(step), None);
    out
}

/// The tables of a history of slots: by day, and by slot.
pub(super) fn of_slots(title: &str, history: &History, calendar: &Calendar, test: &BackTest) -> String {
    let mut out = of_steps(title, test, Step::Day);
    if test.tried.is_empty() {
        return out;
    }
    let (errors, floor) = slot_errors(history, calendar, test);
    let rows: Vec<_> = errors.into_iter().collect();
    let _ = writeln!(out, "{title}: WAPE (bias) of slots by horizon\n");
    table(&mut out, Step::Day, &rows, &test.independent_origins(Step::Day), Some(floor));
    out
}

fn table(
    out: &mut String,
    step: Step,
    rows: &[(Model, [Accuracy; 4])],
    origins: &[f64; 4],
    floor: Option<[Option<f64>; 4]>,
) {
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2} %", 100.0 * share));
    let cell = |accuracy: &Accuracy| match (accuracy.wape(), accuracy.bias()) {
        (Some(wape), Some(bias)) => format!("{:.2} % ({:+.1} %)", 100.0 * wape, 100.0 * bias),
        _ => "-".to_owned(),
    };
    let mut names: Vec<String> = bands(step).iter().map(|band| band.name.to_owned()).collect();
    names.push("all".to_owned());
    let _ = writeln!(
        out,
        "{:<16}{}  pairs",
        "model",
        names.iter().map(|name| format!("{name:>20}")).collect::<String>()
    );
    let mut whole = 0;
    for (model, by_band) in rows {
        let all = together(by_band);
        whole = whole.max(all.n);
        let cells: String =
            by_band.iter().chain([&all]).map(|accuracy| format!("{:>20}", cell(accuracy))).collect();
        let name = if *model == Model::Blend { "chosen" } else { model.name() };
        let _ = writeln!(out, "{name:<16}{cells}  {}", all.n);
    }
    if let Some(floor) = floor {
        let cells: String = floor.iter().map(|share| format!("{:>20}", percent(*share))).collect();
        let _ = writeln!(out, "{:<16}{cells}", "chance alone");
    }
    let cells: String = origins.iter().map(|origins| format!("{origins:>20.0}")).collect();
    let _ = writeln!(out, "{:<16}{cells}", "independent n");
    if origins.iter().any(|origins| (0.5..FEW_ORIGINS).contains(origins)) {
        let _ = writeln!(
            out,
            "\nForecasts of a band that were made closer together than it is wide are about the same time, so that n is how many \
             speak of different times. Below {FEW_ORIGINS:.0} a difference of a few percent between two models is chance."
        );
    }
    if rows.iter().any(|(_, by_band)| together(by_band).n < whole) {
        out.push_str("\nA model with fewer pairs could not say anything at the others: its figures are of other days.\n");
    }
    out.push('\n');
}

fn together(by_band: &[Accuracy; 4]) -> Accuracy {
    let mut all = Accuracy::default();
    for accuracy in by_band {
        all.n += accuracy.n;
        all.actual += accuracy.actual;
        all.forecast += accuracy.forecast;
        all.absolute += accuracy.absolute;
        all.within_10 += accuracy.within_10;
    }
    all
}

/// One line: which model leads, and how wrong the choice was on the past.
pub(super) fn says_of_itself(name: &str, learned: &Learned) -> String {
    if learned.is_cold() {
        return format!(
            "{name}: less than a week of history; a day's shape is assumed and may be off by half"
        );
    }
    let errors = bands(Step::Day).iter().enumerate().filter_map(|(at, band)| {
        let wape = learned.back_test.wape(Step::Day, at)?;
        Some(format!("{} {:.0} %", band.name, 100.0 * wape))
    });
    let errors: Vec<String> = errors.collect();
    let leads = learned.chosen.model(0).name();
    match errors.is_empty() {
        true => format!("{name}: {leads}; too little history to tell the error"),
        false => {
            format!("{name}: {leads} for the next day; WAPE of days in the back-test: {}", errors.join(", "))
        }
    }
}
