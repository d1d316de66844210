//! `convert`: a platform's records as canonical events, one JSON object a line.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::Failure;
use crate::config::{load_mapping, load_names};
use crate::decode::{Format, Source, write_event};
use crate::event::{Reject, RejectReason};
use crate::ingest::FileBlocks;

/// Rejects that are shown one by one; all are counted.
const SHOWN_MAX: u64 = 10;

/// How records are read, as the command line says.
///
/// # Errors
/// An unknown format, a mapping or names file that is wrong.
pub(super) fn source(format: &str, mapping: Option<&Path>, names: Option<&Path>) -> Result<Source, Failure> {
    let Some(known) = Format::from_name(format) else {
        return Err(Failure::usage(format!("unknown format `{format}`"))
            .hint(format!("there are: {}", Format::names().join(", "))));
    };
    match (known, mapping) {
        (Format::Mapped, None) => {
            return Err(
                Failure::usage("the format `mapped` needs a mapping").hint("name its file: --mapping FILE")
            );
        }
        (Format::Mapped, Some(_)) | (_, None) => {}
        (other, Some(_)) => {
            let message = format!("the format `{}` takes no mapping", other.name());
            return Err(Failure::usage(message).hint("a mapping is for --format mapped"));
        }
    }
    let mapping = mapping.map(|path| load_mapping(path).map_err(|faults| Failure::of_faults(&faults)));
    let names = names.map(|path| load_names(path).map_err(|faults| Failure::of_faults(&faults)));
    Ok(Source {
        format: known,
        mapping: mapping.transpose()?.map(Arc::new),
        names: names.transpose()?.map(Arc::new),
        registry: None,
    })
}

/// What was read, for the totals.
#[derive(Debug, Default)]
struct Counted {
    records: u64,
    events: u64,
    rejects: BTreeMap<&'static str, u64>,
}

/// Writes the events of the files to stdout, or with `explain` what becomes of each record.
///
/// # Errors
/// A path that cannot be read. Rejected records are counted and named on stderr.
pub(super) fn convert(source: &Source, paths: &[PathBuf], explain: bool) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
    let mut counted = Counted::default();
    let mut decoder = source.decoder();
    let mut line = String::new();
    for path in paths {
        let name = path.display().to_string();
        for block in FileBlocks::open(path).map_err(|error| Failure::of_ingest(&error))? {
            let block = block.map_err(|error| Failure::of_ingest(&error))?;
            for record in &block.records {
                counted.records += 1;
                let value = block.value(record).unwrap_or_default();
                let read = if record.cut {
                    let detail = "the line has more than 1 MiB".to_owned();
                    Err(Reject { reason: RejectReason::TooLarge, detail })
                } else {
                    decoder.read(value, None)
                };
                line.clear();
                if explain {
                    line.push_str(&format!("{name}:{}\n", record.offset));
                }
                match read {
                    Ok(events) => {
                        for event in events {
                            counted.events += 1;
                            if !explain {
                                write_event(&event, &mut line);
                                line.push('\n');
                            } else if source.mapping.is_none() {
                                line.push_str("  => ");
                                write_event(&event, &mut line);
                                line.push('\n');
                            }
                        }
                    }
                    Err(reject) => {
                        let rejected: u64 = counted.rejects.values().sum();
                        *counted.rejects.entry(reject.reason.as_str()).or_default() += 1;
                        if explain && source.mapping.is_none() {
                            line.push_str(&format!(
                                "  => reject {}: {}\n",
                                reject.reason.as_str(),
                                reject.detail
                            ));
                        } else if !explain && rejected < SHOWN_MAX {
                            eprintln!(
                                "{name}:{}: {}: {}",
                                record.offset,
                                reject.reason.as_str(),
                                reject.detail
                            );
                        }
                    }
                }
                if explain && let Some(mapping) = &source.mapping {
                    for explained in mapping.explain(&String::from_utf8_lossy(value)).lines() {
                        line.push_str(&format!("  {explained}\n"));
                    }
                }
                write(&mut out, line.as_bytes())?;
            }
        }
    }
    match out.flush() {
        Ok(()) => {}
        Err(error) => broken(&error)?,
    }
    report(&counted, decoder.silent(), decoder.unknown_fields());
    Ok(())
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    out.write_all(bytes).or_else(|error| broken(&error))
}

/// A reader that has gone away (`head`) is no failure.
fn broken(error: &std::io::Error) -> Result<(), Failure> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    Err(Failure::outside(format!("stdout cannot be written: {error}")))
}

fn report(counted: &Counted, silent: u64, unknown_fields: u64) {
    let rejected: u64 = counted.rejects.values().sum();
    eprintln!(
        "{} records: {} events, {silent} records without one, {rejected} rejected, {unknown_fields} unknown fields",
        counted.records, counted.events
    );
    for (reason, count) in &counted.rejects {
        eprintln!("  {count} rejected as {reason}");
    }
}
