//! Rows of a light lake: Arrow files instead of Parquet, found again by reading the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use deltalake::Path;
use deltalake::kernel::Add;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::facts::{TABLES, Table};
use crate::lake::{Cut, Error, Lake};

/// Names of files differ, whoever writes them.
static FILES: AtomicU64 = AtomicU64::new(0);

/// Writes the batches as one file.
pub(in crate::lake) async fn write(
    store: &Arc<dyn ObjectStore>,
    table: &'static Table,
    batches: &[RecordBatch],
) -> Result<Vec<Add>, Error> {
    let mut bytes = Vec::new();
    let mut stream = StreamWriter::try_new(&mut bytes, &table.schema()).expect("a schema can be written");
    for batch in batches {
        stream.write(batch).expect("rows have the table's columns");
    }
    stream.finish().expect("memory takes bytes");
    drop(stream);
    let path = format!("{}.arrow", FILES.fetch_add(1, Ordering::Relaxed));
    let size = bytes.len() as i64;
    let whole = Path::from(format!("{}/{path}", table.name));
    store.put(&whole, bytes.into()).await.map_err(|e| Error::store("rows could not be written", e))?;
    Ok(vec![Add { path, size, data_change: true, ..Add::default() }])
}

impl Lake {
    /// The rows of every table at a cut, or all of them.
    pub(crate) async fn plain_rows(&self, cut: Option<&Cut>) -> BTreeMap<&'static str, Vec<RecordBatch>> {
        let store = &self.inner.place.store;
        let mut rows = BTreeMap::new();
        for table in TABLES {
            let mut of_table = Vec::new();
            let last = cut.map_or(u64::MAX, |cut| cut.version.number(table.name).unwrap_or(0));
            let mut version = 1;
            while version <= last {
                let log = Path::from(format!("{}/_delta_log/{version:020}.json", table.name));
                let Ok(found) = store.get(&log).await else { break };
                let bytes = found.bytes().await.expect("memory reads");
                for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let line: serde_json::Value = serde_json::from_slice(line).expect("a commit is JSON");
                    let Some(path) = line["add"]["path"].as_str() else { continue };
                    let path = Path::from(format!("{}/{path}", table.name));
                    let file = store.get(&path).await.expect("a committed file is there");
                    let file = file.bytes().await.expect("memory reads");
                    let stream = StreamReader::try_new(&file[..], None).expect("it is an Arrow file");
                    of_table.extend(stream.map(|batch| batch.expect("it is whole")));
                }
                version += 1;
            }
            rows.insert(table.name, of_table);
        }
        rows
    }
}
