//! The files of one table, read when somebody asks and kept for the next who asks.
//!
//! Reading a table's log costs milliseconds and more with each file. A commit needs none of it (it needs the
//! number of the last commit and the stored positions), so the writer does not pay for it; the first query after
//! some commits reads them in one go, on top of what was read before.

use std::sync::Arc;

use deltalake::kernel::Version as Number;
use deltalake::logstore::LogStoreRef;
use deltalake::table::state::DeltaTableState;
use tokio::sync::Mutex;

use super::Error;
use super::encode::delta_schema;
use crate::facts::Table;

/// One table's newest state that was read.
pub(super) struct Loaded {
    pub table: &'static Table,
    pub log_store: LogStoreRef,
    newest: Mutex<Option<DeltaTableState>>,
}

impl Loaded {
    pub(super) fn new(table: &'static Table, log_store: LogStoreRef) -> Arc<Loaded> {
        Arc::new(Loaded { table, log_store, newest: Mutex::new(None) })
    }

    fn unreadable(&self, cause: impl std::fmt::Display) -> Error {
        Error::store(format!("table `{}`: log cannot be read", self.table.name), cause)
    }

    /// The state that was read last, whichever it is.
    pub(super) async fn any(&self) -> Result<DeltaTableState, Error> {
        let newest = self.newest.lock().await.clone();
        match newest {
            Some(state) => Ok(state),
            None => self.at(None).await,
        }
    }

    /// The table at a version; `None` is the newest there is.
    pub(super) async fn at(&self, number: Option<Number>) -> Result<DeltaTableState, Error> {
        let mut newest = self.newest.lock().await;
        if let Some(state) = newest.as_ref()
            && number.is_none_or(|number| number >= state.version())
        {
            if number == Some(state.version()) {
                return Ok(state.clone());
            }
            let mut next = state.clone();
            next.update(self.log_store.as_ref(), number).await.map_err(|e| self.unreadable(e))?;
            check_columns(self.table, &next)?;
            *newest = Some(next.clone());
            return Ok(next);
        }
        let state = DeltaTableState::try_new(self.log_store.as_ref(), number).await;
        let state = state.map_err(|e| self.unreadable(e))?;
        check_columns(self.table, &state)?;
        // An older version than the newest is for one reader only.
        if newest.is_none() {
            *newest = Some(state.clone());
        }
        Ok(state)
    }
}

/// Refuses a state whose columns are not the declared ones: another version of the program wrote it.
fn check_columns(table: &Table, state: &DeltaTableState) -> Result<(), Error> {
    let (schema, declared) = (state.schema(), delta_schema(table));
    let stored: Vec<_> = schema.fields().map(|field| (field.name(), field.data_type())).collect();
    let wanted: Vec<_> = declared.iter().map(|field| (field.name(), field.data_type())).collect();
    if stored == wanted {
        return Ok(());
    }
    let odd: Vec<&str> = stored
        .iter()
        .filter(|column| !wanted.contains(column))
        .chain(wanted.iter().filter(|column| !stored.contains(column)))
        .map(|(name, _)| name.as_str())
        .collect();
    Err(Error::Config(format!(
        "table `{}` of the data directory has other columns than this program: `{}`\nhint: another version of the \
         program wrote it; use that version, or start a new data directory and replay",
        table.name,
        if odd.is_empty() { "another order".to_owned() } else { odd.join("`, `") }
    )))
}
