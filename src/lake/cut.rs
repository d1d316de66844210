//! A cut: which versions of the tables and which snapshots belong together.
//!
//! The tables and the snapshots move one after the other. A reader outside this process that took the newest of
//! each would see a contact twice (closed in the table, still open in the snapshot) or not at all. The
//! writer knows when they agree, and says so here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::loaded::Loaded;
use super::snapshot::STATE;
use super::{Error, Lake, Version};
use crate::facts::TABLES;

/// Versions and snapshots that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The Delta version of each table that exists; see [`Version::numbers`].
    pub tables: BTreeMap<String, u64>,
    /// The snapshot of each task, by its number.
    pub tasks: BTreeMap<String, u64>,
}

impl Lake {
    /// Says what belongs together, in place of what was said before.
    ///
    /// One process writes the cut of a lake: several that own different partitions of one lake would need
    /// a common one, so there the readers ask the processes instead.
    pub async fn write_cut(&self, cut: &Cut) -> Result<(), Error> {
        self.writable()?;
        let text = serde_json::to_vec_pretty(cut).expect("a cut is plain data");
        self.inner.place.put(&format!("{STATE}/cut.json"), text).await
    }

    /// The newest cut; `None` when none was written.
    pub async fn read_cut(&self) -> Result<Option<Cut>, Error> {
        let name = format!("{STATE}/cut.json");
        let Some(bytes) = self.inner.place.get(&name).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Error::Corrupt(format!(
                "`{}{name}` cannot be read: {e}\nhint: delete it; the next snapshot writes it anew",
                self.inner.place.root
            ))
        })
    }

    /// The tables as they were at a cut; a table that the cut does not name had no rows then.
    ///
    /// Errors: `Unavailable` when a version is gone (the log is kept for 7 days) or cannot be read.
    pub async fn version_at(&self, cut: &Cut) -> Result<Arc<Version>, Error> {
        let mut tables = Vec::with_capacity(cut.tables.len());
        for table in TABLES {
            if let Some(number) = cut.tables.get(table.name) {
                let loaded = Loaded::new(table, self.inner.place.log_store(table.name)?);
                loaded.at(Some(*number)).await?;
                tables.push((loaded, *number));
            }
        }
        Ok(Arc::new(Version::default().next(tables.into_iter())))
    }
}
