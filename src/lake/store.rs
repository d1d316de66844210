//! The place: its address, the mark that says whose it is, and what makes a local write durable.

use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};

use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{LogStoreRef, StorageConfig, logstore_for};
use deltalake::{ObjectStoreError, Path};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use url::Url;

use super::Error;

/// The file at the root that says how the lake's dates and slots are to be read.
const MARK: &str = "callpulse.json";
/// The version of the layout below the root. A greater one is not understood.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Mark {
    format: u32,
    pub zone: String,
    pub slot_minutes: u32,
}

/// Where the lake lies.
#[derive(Clone)]
pub(super) struct Place {
    /// The root, with a slash at its end.
    pub root: Url,
    /// The root as a directory, when the store is the local file system.
    pub local: Option<PathBuf>,
    /// The store, with the root as its root.
    pub store: Arc<dyn ObjectStore>,
    storage: HashMap<String, String>,
    /// Files and logs are written plainly, and read without the library's log reader: for simulations, which run thousands
    /// of lakes. Never so outside of tests.
    pub light: bool,
}

impl Place {
    /// Understands an address: a path, `file://…` or the address of an object store.
    pub(super) fn new(address: &str, storage: &HashMap<String, String>) -> Result<Place, Error> {
        let bad = |why: &dyn std::fmt::Display| {
            Error::Config(format!(
                "data directory `{address}` cannot be used: {why}\nhint: give a path, or `s3://bucket/prefix` with a \
                 build that has the feature `s3`"
            ))
        };
        let mut root = match Url::parse(address) {
            // A scheme of one letter is a drive, not a store.
            Ok(url) if url.scheme().len() > 1 => url,
            _ => {
                let path = std::path::absolute(address).map_err(|e| bad(&e))?;
                Url::from_directory_path(&path).map_err(|()| bad(&"it is not a path"))?
            }
        };
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        let local = match root.scheme() {
            "file" => Some(root.to_file_path().map_err(|()| bad(&"it is not a local path"))?),
            _ => None,
        };
        let place = Place {
            root,
            local,
            store: Arc::new(object_store::memory::InMemory::new()),
            storage: storage.clone(),
            light: false,
        };
        let store = place.log_store_at(&place.root).map_err(|e| bad(&e))?.object_store(None);
        Ok(Place { store, ..place })
    }

    /// A place in this store, for simulations.
    #[cfg(test)]
    pub(super) fn light(store: Arc<dyn ObjectStore>) -> Place {
        let root = Url::parse("memory:///").expect("an address");
        Place { root, local: None, store, storage: HashMap::new(), light: true }
    }

    /// The log store of one table.
    pub(super) fn log_store(&self, table: &str) -> Result<LogStoreRef, Error> {
        #[cfg(test)]
        if self.light {
            let inner = object_store::prefix::PrefixStore::new(Arc::clone(&self.store), table);
            let options = StorageConfig::default();
            let root = Arc::clone(&self.store);
            return Ok(deltalake::logstore::default_logstore(Arc::new(inner), root, &self.root, &options));
        }
        let url = self.root.join(&format!("{table}/")).map_err(|e| Error::Config(e.to_string()))?;
        self.log_store_at(&url).map_err(|e| Error::Config(format!("table `{table}` cannot be opened: {e}")))
    }

    fn log_store_at(&self, url: &Url) -> deltalake::DeltaResult<LogStoreRef> {
        logstore_for(url, StorageConfig::parse_options(self.storage.clone())?)
    }

    /// Makes the lake's mark, or compares with the one that is there; `None` when there is none. A reader
    /// that names no zone takes the lake as it is.
    pub(super) async fn mark(
        &self,
        zone: &str,
        slot_minutes: u32,
        may_create: bool,
    ) -> Result<Option<Mark>, Error> {
        let ours = Mark { format: FORMAT, zone: zone.to_owned(), slot_minutes };
        if may_create {
            if let Some(dir) = &self.local {
                std::fs::create_dir_all(dir).map_err(|e| {
                    Error::Config(format!(
                        "data directory `{}` cannot be created: {e}\nhint: choose another `data_dir`, or give the user \
                         of this process the right to write there",
                        dir.display()
                    ))
                })?;
            }
            let text = serde_json::to_vec_pretty(&ours).expect("a mark is plain data");
            match self.put_new(MARK, text).await {
                Ok(()) => return Ok(Some(ours)),
                Err(PutError::Exists) => {}
                Err(PutError::Failed(error)) => return Err(error),
            }
        }
        let Some(bytes) = self.get(MARK).await? else { return Ok(None) };
        let theirs: Mark = serde_json::from_slice(&bytes).map_err(|e| {
            Error::Corrupt(format!("`{}{MARK}` cannot be read: {e}\nhint: restore it from a copy", self.root))
        })?;
        if theirs.format > FORMAT {
            return Err(Error::Config(format!(
                "data directory `{}` has format `{}`, this program knows `{FORMAT}`\nhint: use the newer program that \
                 wrote it",
                self.root, theirs.format
            )));
        }
        let any = zone.is_empty() && !may_create;
        if theirs != ours && !any {
            return Err(Error::Config(format!(
                "data directory `{}` was made with timezone `{}` and slot_minutes `{}`, the configuration says `{zone}` \
                 and `{slot_minutes}`\nhint: the operator sets them back, or starts a new data directory and replays",
                self.root, theirs.zone, theirs.slot_minutes
            )));
        }
        Ok(Some(theirs))
    }

    /// Reads a whole object; `None` when there is none.
    pub(super) async fn get(&self, name: &str) -> Result<Option<bytes::Bytes>, Error> {
        let what = || format!("`{}{name}` cannot be read", self.root);
        match self.store.get(&Path::from(name)).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(|e| Error::store(what(), e))?)),
            Err(ObjectStoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(Error::store(what(), e)),
        }
    }

    /// Writes a whole object that must not exist.
    pub(super) async fn put_new(&self, name: &str, bytes: Vec<u8>) -> Result<(), PutError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&Path::from(name), bytes.into(), options).await {
            Ok(_) => self.sync(vec![name.to_owned()]).await.map_err(PutError::Failed),
            Err(ObjectStoreError::AlreadyExists { .. }) => Err(PutError::Exists),
            Err(e) => {
                Err(PutError::Failed(Error::store(format!("`{}{name}` cannot be written", self.root), e)))
            }
        }
    }

    /// Writes a whole object, in place of an older one if there is one. A reader sees the old or the new.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        self.store
            .put(&Path::from(name), bytes.into())
            .await
            .map_err(|e| Error::store(format!("`{}{name}` cannot be written", self.root), e))?;
        self.sync(vec![name.to_owned()]).await
    }

    /// Makes files under the root survive a loss of power. Object stores answer a write only when it is
    /// durable; the local store of the library does not ask the disk, so the room does: the file, then each
    /// directory up to the root, since the name of a new file is written in its directory.
    pub(super) async fn sync(&self, names: Vec<String>) -> Result<(), Error> {
        let Some(root) = self.local.clone() else { return Ok(()) };
        tokio::task::spawn_blocking(move || sync_all(&root, &names))
            .await
            .expect("syncing files does not panic")
            .map_err(|e| Error::store("files could not be made durable", e))
    }
}

/// Why an object was not created.
#[derive(Debug)]
pub(super) enum PutError {
    /// There is one already.
    Exists,
    /// The store failed.
    Failed(Error),
}

fn sync_all(root: &FilePath, names: &[String]) -> std::io::Result<()> {
    let mut directories = std::collections::BTreeSet::new();
    for name in names {
        let path = root.join(name);
        std::fs::File::open(&path)?.sync_all()?;
        let mut parent = path.parent();
        while let Some(directory) = parent.filter(|directory| directory.starts_with(root)) {
            if !directories.insert(directory.to_owned()) {
                break;
            }
            parent = directory.parent();
        }
    }
    // The deepest first: a directory's entry is in its parent.
    for directory in directories.iter().rev() {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// True when a commit failed because another commit has its number.
pub(super) fn is_conflict(error: &TransactionError) -> bool {
    matches!(error, TransactionError::VersionAlreadyExists(_))
        || matches!(error, TransactionError::ObjectStore { source: ObjectStoreError::AlreadyExists { .. } })
}
