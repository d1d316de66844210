//! Rows that no longer hold: the pairs (contact_id, revision) of `restatements`, and how a query leaves their rows out.
//!
//! Pairs are never taken back, and those of old dates hardly grow. So what was read is kept, and of a newer version of the
//! table only dates whose files have changed are read again.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArrayType};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, not,
};
use futures::TryStreamExt;
use hashbrown::HashTable;
use smallvec::SmallVec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::history::{Dates, only};

/// A contact whose rows stand under more dates than these is taken to have some under every date.
const DATES_MAX: i32 = 62;
/// Of so many changed dates the pairs are read anew for each query; when there are more, all are read once.
const RECENT_MAX: usize = 4;

/// Pairs (contact_id, revision) of rows that no longer hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Superseded {
    settled: Arc<Pairs>,
    recent: Pairs,
}

#[derive(Debug, Clone, Default)]
struct Pairs {
    contacts: HashTable<Restated>,
    /// A bit of each contact's hash: nearly every row that is looked up is of a contact that was never restated, and its bit
    /// is not set. It stays in the cache of the processor, which the table does not.
    filter: Vec<u64>,
    /// By date, the sum of what tells apart the pairs that name rows of it.
    dates: HashMap<i32, u64>,
    /// The same of pairs whose dates are not known.
    everywhere: u64,
}

/// A contact, and its revisions that no longer hold.
#[derive(Debug, Clone)]
struct Restated {
    contact: Box<str>,
    revisions: SmallVec<[i64; 2]>,
}

/// Bits of the filter for each contact, at least.
const FILTER_BITS: usize = 16;

impl Pairs {
    fn contains(&self, hash: u64, contact: &str, revision: i64) -> bool {
        if self.filter.is_empty() || self.filter[self.word(hash)] & (1 << (hash >> 58)) == 0 {
            return false;
        }
        let found = self.contacts.find(hash, |restated| *restated.contact == *contact);
        found.is_some_and(|restated| restated.revisions.contains(&revision))
    }

    /// The word of the filter in which a contact has its bit; there are a power of two of them.
    fn word(&self, hash: u64) -> usize {
        (hash >> 20) as usize & (self.filter.len() - 1)
    }

    fn insert(&mut self, hash: u64, contact: &str, revision: i64, dates: Option<(i32, i32)>) {
        let hash_of = |restated: &Restated| xxh3_64(restated.contact.as_bytes());
        let entry = self.contacts.entry(hash, |restated| *restated.contact == *contact, hash_of);
        let mut entry =
            entry.or_insert_with(|| Restated { contact: contact.into(), revisions: SmallVec::default() });
        entry.get_mut().revisions.push(revision);
        if self.filter.len() * 64 < self.contacts.len() * FILTER_BITS {
            self.filter = vec![0; (self.contacts.len() * 2 * FILTER_BITS / 64).next_power_of_two()];
            let hashes: Vec<u64> = self.contacts.iter().map(hash_of).collect();
            hashes.into_iter().for_each(|hash| self.mark(hash));
        }
        self.mark(hash);
        let sum = xxh3_64_with_seed(contact.as_bytes(), revision as u64);
        let dates = dates.filter(|(first, last)| last.saturating_sub(*first) <= DATES_MAX);
        match dates {
            Some((first, last)) => {
                for date in first..=last {
                    let of_date = self.dates.entry(date).or_default();
                    *of_date = of_date.wrapping_add(sum);
                }
            }
            None => self.everywhere = self.everywhere.wrapping_add(sum),
        }
    }

    fn mark(&mut self, hash: u64) {
        let word = self.word(hash);
        self.filter[word] |= 1 << (hash >> 58);
    }
}

impl Superseded {
    /// Adds the pairs of a batch of `restatements`.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), DataFusionError> {
        let missing = |name| DataFusionError::Internal(format!("`restatements` has no column `{name}`"));
        let contacts = batch.column_by_name("contact_id").ok_or_else(|| missing("contact_id"))?;
        let contacts = arrow::compute::cast(contacts, &DataType::Utf8)?;
        let revisions =
            batch.column_by_name("old_revision").and_then(|array| array.as_primitive_opt::<Int64Type>());
        let revisions = revisions.ok_or_else(|| missing("old_revision"))?;
        let date = |name| {
            batch
                .column_by_name(name)
                .and_then(|array| array.as_primitive_opt::<Date32Type>())
                .ok_or_else(|| missing(name))
        };
        let (first, last) = (date("old_first_date")?, date("old_last_date")?);
        let dates = first.iter().zip(last).map(|(first, last)| first.zip(last));
        for ((contact, revision), dates) in contacts.as_string::<i32>().iter().zip(revisions).zip(dates) {
            if let (Some(contact), Some(revision)) = (contact, revision)
                && !self.contains(contact, revision)
            {
                self.recent.insert(xxh3_64(contact.as_bytes()), contact, revision, dates);
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.settled.contacts.is_empty() && self.recent.contacts.is_empty()
    }

    fn contains(&self, contact: &str, revision: i64) -> bool {
        let hash = xxh3_64(contact.as_bytes());
        self.settled.contains(hash, contact, revision) || self.recent.contains(hash, contact, revision)
    }

    /// A number that tells the pairs that may name rows of this date from any others.
    pub(super) fn of_date(&self, date: i32) -> u64 {
        let of = |pairs: &Pairs| pairs.everywhere.wrapping_add(pairs.dates.get(&date).copied().unwrap_or(0));
        of(&self.settled).wrapping_add(of(&self.recent))
    }

    /// The condition that a row holds.
    pub(super) fn holds(self: Arc<Self>) -> Expr {
        let column = |name: &str| Expr::Column(Column::new_unqualified(name));
        let pair = vec![column("contact_id"), column("revision")];
        not(ScalarUDF::from(IsSuperseded::new(self)).call(pair))
    }
}

/// What was read, kept between queries.
#[derive(Debug, Clone, Default)]
pub(super) struct SupersededCache(Arc<Mutex<Kept>>);

#[derive(Debug, Clone, Default)]
struct Kept {
    /// The files of the pairs that are settled.
    settled: Arc<Dates>,
    /// The files of all pairs.
    dates: Arc<Dates>,
    superseded: Arc<Superseded>,
}

impl SupersededCache {
    /// The pairs of the table `restatements`, whose rows lie in files of these dates.
    pub(super) async fn read(
        &self,
        state: &SessionState,
        restatements: &Arc<dyn TableProvider>,
        dates: Arc<Dates>,
    ) -> Result<Arc<Superseded>, DataFusionError> {
        let kept = self.kept().clone();
        if kept.dates == dates && !kept.dates.is_empty() {
            return Ok(kept.superseded);
        }
        let changed: Vec<Option<i32>> = dates
            .iter()
            .filter(|(date, files)| kept.settled.get(date) != Some(files))
            .map(|(date, _)| *date)
            .collect();
        let gone = kept.settled.keys().any(|date| !dates.contains_key(date));
        let kept = if gone || changed.len() > RECENT_MAX {
            let all = read(Superseded::default(), state, restatements).await?;
            let superseded = Arc::new(Superseded { settled: Arc::new(all.recent), recent: Pairs::default() });
            Kept { settled: Arc::clone(&dates), dates, superseded }
        } else {
            let settled =
                Superseded { settled: Arc::clone(&kept.superseded.settled), recent: Pairs::default() };
            let superseded = Arc::new(read(settled, state, &only(restatements, &changed)?).await?);
            Kept { settled: kept.settled, dates, superseded }
        };
        *self.kept() = kept.clone();
        Ok(kept.superseded)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What is known, and the pairs of these rows of `restatements`.
pub(super) async fn read(
    mut known: Superseded,
    state: &SessionState,
    restatements: &Arc<dyn TableProvider>,
) -> Result<Superseded, DataFusionError> {
    let columns = ["contact_id", "old_revision", "old_first_date", "old_last_date"];
    let plan = LogicalPlanBuilder::scan("restatements", provider_as_source(Arc::clone(restatements)), None)?
        .project(columns.map(|name| Expr::Column(Column::new_unqualified(name))))?
        .build()?;
    let plan = state.create_physical_plan(&plan).await?;
    let mut rows = datafusion::physical_plan::execute_stream(plan, state.task_ctx())?;
    while let Some(batch) = rows.try_next().await? {
        known.add(&batch)?;
    }
    Ok(known)
}

/// Tells for (contact_id, revision) whether a restatement has replaced the row.
#[derive(Debug)]
struct IsSuperseded {
    pairs: Arc<Superseded>,
    signature: Signature,
}

impl IsSuperseded {
    fn new(pairs: Arc<Superseded>) -> Self {
        let signature = Signature::exact(vec![DataType::Utf8, DataType::Int64], Volatility::Immutable);
        Self { pairs, signature }
    }
}

impl PartialEq for IsSuperseded {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pairs, &other.pairs)
    }
}

impl Eq for IsSuperseded {}

impl Hash for IsSuperseded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.pairs).hash(state);
    }
}

impl ScalarUDFImpl for IsSuperseded {
    fn name(&self) -> &str {
        "is_superseded"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let revisions = arrays[1].as_primitive::<Int64Type>();
        // A scan that filters while it reads may hand in text as its files hold it.
        let superseded = match arrays[0].as_string_view_opt() {
            Some(contacts) => self.probe(contacts, revisions),
            None => {
                self.probe(arrow::compute::cast(&arrays[0], &DataType::Utf8)?.as_string::<i32>(), revisions)
            }
        };
        Ok(ColumnarValue::Array(Arc::new(superseded) as ArrayRef))
    }
}

impl IsSuperseded {
    fn probe<'a>(&self, contacts: impl StringArrayType<'a>, revisions: &Int64Array) -> BooleanArray {
        let superseded = BooleanBuffer::collect_bool(contacts.len(), |row| {
            contacts.is_valid(row)
                && revisions.is_valid(row)
                && self.pairs.contains(contacts.value(row), revisions.value(row))
        });
        BooleanArray::new(superseded, None)
    }
}
