//! The manual of every figure: KPIs, metrics, tables, views and functions, as Markdown or JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::views::{self, View};
use super::{Options, functions};
use crate::facts::{self, ColumnType, Written};
use crate::kpi::{CATALOGUE, Measure, ServiceLevel, Sum};

/// One metric, as the room that names them declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its full name.
    pub name: String,
    /// counter, gauge or histogram.
    pub kind: String,
    /// What it is counted in.
    pub unit: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// What it means.
    pub means: String,
}

/// The manual as one JSON object: `kpis`, `sums`, `service_levels`, `metrics`, `tables`, `views`, `functions`.
pub fn as_json(options: &Options, metrics: &[Metric]) -> Value {
    let kpis = CATALOGUE.iter().map(|kpi| {
        json!({
            "name": kpi.name, "unit": kpi.unit.name(), "means": kpi.means, "means_zh": kpi.means_zh,
            "formula": formula(kpi.measure), "clock": kpi.clock.name(), "source": kpi.source.table(),
        })
    });
    let sums = Sum::ALL.iter().map(|sum| {
        json!({
            "name": sum.name(), "unit": sum.unit().name(), "means": sum.means(), "means_zh": sum.means_zh(),
            "clock": sum.clock().name(),
        })
    });
    let levels =
        ServiceLevel::ALL.iter().map(|level| json!({ "id": level.id(), "formula": level.formula().sql() }));
    let metrics = metrics.iter().map(|metric| {
        json!({
            "name": metric.name, "kind": metric.kind, "unit": metric.unit, "labels": metric.labels,
            "means": metric.means,
        })
    });
    let tables = facts::TABLES.iter().map(|table| {
        let columns = table.columns.iter().map(|column| {
            json!({
                "name": column.name, "type": type_name(column.kind), "unit": unit(column.name),
                "means": column.means.trim(),
            })
        });
        json!({
            "name": table.name, "means": table.means.trim(), "key": table.key, "written": written(table.written),
            "columns": columns.collect::<Vec<_>>(),
        })
    });
    let views = views::all(options);
    let views = views.iter().map(|view| {
        let columns = view.columns.iter().map(|column| {
            json!({
                "name": column.name, "unit": column.unit, "means": column.means, "formula": column.formula,
            })
        });
        json!({ "name": view.name, "means": view.means, "columns": columns.collect::<Vec<_>>() })
    });
    let functions = functions::DOCS
        .iter()
        .map(|doc| json!({ "call": doc.call, "means": doc.means, "example": doc.example }));
    json!({
        "kpis": kpis.collect::<Vec<_>>(),
        "sums": sums.collect::<Vec<_>>(),
        "service_levels": levels.collect::<Vec<_>>(),
        "metrics": metrics.collect::<Vec<_>>(),
        "tables": tables.collect::<Vec<_>>(),
        "views": views.collect::<Vec<_>>(),
        "functions": functions.collect::<Vec<_>>(),
    })
}

/// The manual as Markdown.
pub fn as_markdown(options: &Options, metrics: &[Metric]) -> String {
    let mut out = String::new();
    section(&mut out, "KPIs", "Figures over the sums of a slot. Without traffic a figure is NULL.");
    let kpis = CATALOGUE.iter().map(|kpi| {
        let made = formula(kpi.measure);
        [
            kpi.name.to_owned(),
            kpi.unit.name().to_owned(),
            code(&made),
            kpi.means.to_owned(),
            kpi.means_zh.to_owned(),
        ]
    });
    rows(&mut out, ["name", "unit", "formula", "meaning", "含义"], kpis);
    section(&mut out, "Sums", "What the figures are made from.");
    let sums = Sum::ALL.iter().map(|sum| {
        [sum.name(), sum.unit().name(), sum.clock().name(), sum.means(), sum.means_zh()].map(str::to_owned)
    });
    rows(&mut out, ["name", "unit", "clock", "meaning", "含义"], sums);
    section(&mut out, "Service levels", "The formulas that a queue may choose, by id.");
    let levels = ServiceLevel::ALL.iter().map(|level| [code(level.id()), code(&level.formula().sql())]);
    rows(&mut out, ["id", "formula"], levels);
    section(&mut out, "Metrics", "What `/metrics` shows.");
    let metrics = metrics.iter().map(|metric| {
        let labels = metric.labels.join(", ");
        [metric.name.clone(), metric.kind.clone(), metric.unit.clone(), labels, metric.means.clone()]
    });
    rows(&mut out, ["name", "kind", "unit", "labels", "meaning"], metrics);

    section(&mut out, "Tables", "Rows as they happened. Times are timestamps in UTC.");
    for table in facts::TABLES {
        let _ = writeln!(
            out,
            "### {}\n\n{} Key: {}. {}\n",
            table.name,
            table.means.trim(),
            table.key.join(", "),
            written(table.written)
        );
        let columns = table.columns.iter().map(|column| {
            [column.name, type_name(column.kind), unit(column.name), column.means.trim()].map(str::to_owned)
        });
        rows(&mut out, ["column", "type", "unit", "meaning"], columns);
    }
    section(&mut out, "Views", "Figures made from the tables, fresh with each query.");
    for view in views::all(options) {
        view_section(&mut out, &view);
    }
    section(&mut out, "Functions", "Beside those of DataFusion.");
    let functions =
        functions::DOCS.iter().map(|doc| [code(doc.call), doc.means.to_owned(), code(doc.example)]);
    rows(&mut out, ["function", "meaning", "example"], functions);
    out
}

fn view_section(out: &mut String, view: &View) {
    let _ = writeln!(out, "### {}\n\n{}\n", view.name, view.means);
    let columns = view.columns.iter().map(|column| {
        let made = column.formula.as_deref().map(code).unwrap_or_default();
        [column.name.to_owned(), column.unit.to_owned(), column.means.clone(), made]
    });
    rows(out, ["column", "unit", "meaning", "formula"], columns);
}

fn section(out: &mut String, title: &str, text: &str) {
    let _ = writeln!(out, "## {title}\n\n{text}\n");
}

fn rows<const N: usize>(out: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let _ = writeln!(out, "| {} |\n|{}", head.join(" | "), " --- |".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    out.push('\n');
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// How a figure is made, as SQL over the sums.
fn formula(measure: Measure) -> String {
    match measure {
        Measure::WaitQuantile(share) => format!("sketch_seconds(wait_sketch, {share})"),
        _ => measure.sql(ServiceLevel::default()).unwrap_or_default(),
    }
}

fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Text => "VARCHAR",
        ColumnType::Int => "BIGINT",
        ColumnType::Float => "DOUBLE",
        ColumnType::Bool => "BOOLEAN",
        ColumnType::Time => "TIMESTAMP",
        ColumnType::Date => "DATE",
    }
}

/// The unit that a column's name tells.
fn unit(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("_ms") => "ms",
        "bytes" => "bytes",
        "paid_minutes" => "min",
        _ => "",
    }
}

fn written(written: Written) -> &'static str {
    match written {
        Written::Once => "A row never changes.",
        Written::PerContact => "A restatement replaces all rows of its contact; only the newest are seen.",
        Written::Newest => "Of each key the row with the greatest revision is seen.",
    }
}
