//! What each role sees of each table, decided here and nowhere else.
//!
//! Views are made over tables that are already cut down, so that they need no decision of their own; so do the catalogue,
//! the pages and every door. A table without a decision is seen by administrators only, and fails a test.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast, lit, when,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::fence::Fenced;
use super::{Error, ErrorKind};
use crate::access::{Identity, Role};
use crate::facts::{self, HANDLINGS, LEGS, Table};
use crate::privacy;

/// Which rows of a table belong to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Rows about nobody: everybody sees them.
    Everyone,
    /// Administrators only.
    Admin,
    /// Rows of agents, departments and contacts.
    Related {
        /// Columns with the agent whose row it is.
        agent: &'static [&'static str],
        /// Columns with the department whose row it is.
        department: &'static [&'static str],
        /// Whether a row belongs to whoever its contact (column `contact_id`) belongs to; to an agent only where it names no
        /// other.
        contact: bool,
    },
}

/// What is decided about a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// The table.
    pub(super) table: &'static str,
    /// Whose the rows are.
    pub(super) rows: Rows,
    /// Columns that name a person outside the house.
    pub(super) personal: &'static [&'static str],
    /// Columns with words of people.
    pub(super) texts: &'static [&'static str],
    /// Columns in which anything may stand: for administrators only, NULL for all others.
    pub(super) raw: &'static [&'static str],
}

const fn related(agent: &'static [&'static str], department: &'static [&'static str], contact: bool) -> Rows {
    Rows::Related { agent, department, contact }
}

const AGENT: &[&str] = &["agent_id"];
const DEPARTMENT: &[&str] = &["department"];
const CUSTOMER: &[&str] = &["customer_id"];

/// The decisions. Columns that a table does not have are passed over.
pub(super) const POLICIES: &[Policy] = &[
    Policy {
        table: "events",
        rows: related(AGENT, DEPARTMENT, true),
        personal: CUSTOMER,
        texts: &["text"],
        raw: &["attributes"],
    },
    Policy {
        table: "contacts",
        rows: related(&[], DEPARTMENT, true),
        personal: CUSTOMER,
        texts: &[],
        raw: &[],
    },
    // Of a contact that several agents handled, each sees the own part.
    Policy {
        table: "legs",
        rows: related(AGENT, DEPARTMENT, false),
        personal: CUSTOMER,
        texts: &[],
        raw: &[],
    },
    Policy {
        table: "handlings",
        rows: related(AGENT, DEPARTMENT, false),
        personal: CUSTOMER,
        texts: &[],
        raw: &[],
    },
    Policy { table: "messages", rows: related(&[], &[], true), personal: &[], texts: &["text"], raw: &[] },
    Policy {
        table: "agent_states",
        rows: related(AGENT, DEPARTMENT, false),
        personal: &[],
        texts: &[],
        raw: &[],
    },
    Policy {
        table: "surveys",
        rows: related(AGENT, &[], true),
        personal: CUSTOMER,
        texts: &["comment"],
        raw: &[],
    },
    Policy {
        table: "complaints",
        rows: related(AGENT, DEPARTMENT, true),
        personal: CUSTOMER,
        texts: &["text"],
        raw: &[],
    },
    Policy { table: "promises", rows: related(AGENT, &[], true), personal: CUSTOMER, texts: &[], raw: &[] },
    Policy { table: "shifts", rows: related(AGENT, DEPARTMENT, false), personal: &[], texts: &[], raw: &[] },
    Policy { table: "rejects", rows: Rows::Admin, personal: &[], texts: &[], raw: &[] },
    Policy {
        table: "restatements",
        rows: related(&[], &[], true),
        personal: &[],
        texts: &[],
        raw: &["old", "new"],
    },
    Policy {
        table: "alerts",
        rows: related(AGENT, DEPARTMENT, true),
        personal: CUSTOMER,
        texts: &["text", "sample", "phrases", "evidence"],
        // What is known about the customer, in one text.
        raw: &["dossier"],
    },
    Policy {
        table: "contact_findings",
        rows: related(AGENT, DEPARTMENT, true),
        personal: CUSTOMER,
        texts: &[],
        raw: &[],
    },
    Policy { table: "forecasts", rows: related(&[], DEPARTMENT, false), personal: &[], texts: &[], raw: &[] },
];

/// What is decided about the table of this name; without a decision it is for administrators.
pub(super) fn policy(table: &str) -> Policy {
    let undecided = Policy { table: "", rows: Rows::Admin, personal: &[], texts: &[], raw: &[] };
    POLICIES.iter().copied().find(|policy| policy.table == table).unwrap_or(undecided)
}

/// Views about how single people fare: for themselves, their leads, and who answers for all; not for analysts.
const ABOUT_PEOPLE: &[&str] = &["exposure"];

/// Whether everybody may ask for a table or view of this name. Views are as open as what they are made of, but for those
/// about people.
pub(super) fn is_open(name: &str) -> bool {
    !ABOUT_PEOPLE.contains(&name) && (facts::table(name).is_none() || policy(name).rows != Rows::Admin)
}

/// Whether this user sees the table or view of this name at all.
pub(super) fn may_see(who: &Identity, name: &str) -> bool {
    who.is_admin() || is_open(name) || (ABOUT_PEOPLE.contains(&name) && who.role != Role::Analyst)
}

/// Says who may see a view about people.
pub(super) fn about_people(view: &str) -> Error {
    Error::new(ErrorKind::Denied, format!("`{view}` is for the agents themselves and for who leads them"))
        .hint("`agent_month` and `agent_day` have what an analyst may compare")
}

/// Whether this user sees a part of the rows only.
pub(super) fn is_restricted(who: &Identity) -> bool {
    matches!(who.role, Role::Agent | Role::Lead)
}

/// Hands out base tables whole; the rights are cut from these.
#[async_trait]
pub(super) trait Whole: Send + Sync {
    /// All rows of a table.
    async fn whole(&self, table: &'static Table) -> Result<Arc<dyn TableProvider>, DataFusionError>;
}

/// The name of the column that marks rows of the reader's own contacts.
const MARK: &str = "callpulse_own_contact";
/// The name under which contacts stand beside a table.
const MARKED: &str = "callpulse_marked_contact";

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn one_of(name: &str, values: &[String]) -> Expr {
    column(name).in_list(values.iter().map(lit).collect(), false)
}

/// The rows of `table` that `who` may see, as this user may see them.
pub(super) async fn visible(
    who: &Identity,
    key: &PseudonymKey,
    table: &'static Table,
    whole: &dyn Whole,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    if who.is_admin() {
        return whole.whole(table).await;
    }
    let policy = policy(table.name);
    let has = |name: &&&str| table.columns.iter().any(|column| column.name == **name);
    let (agent, department, by_contact) = match policy.rows {
        Rows::Admin => return Err(denied(table.name).into_datafusion()),
        Rows::Everyone => (Vec::new(), Vec::new(), false),
        Rows::Related { agent, department, contact } => (
            agent.iter().filter(has).copied().collect(),
            department.iter().filter(has).copied().collect(),
            contact && has(&&"contact_id"),
        ),
    };
    let provider = whole.whole(table).await?;
    let mut plan = LogicalPlanBuilder::scan(table.name, provider_as_source(provider), None)?;

    // Whether the row is of the reader's own: for agents and leads the rows they see, for supervisors the texts.
    let mut own: Vec<Expr> = Vec::new();
    match who.role {
        Role::Agent => {
            if let Some(me) = &who.agent_id {
                own.extend(agent.iter().map(|name| column(name).eq(lit(me))));
            }
        }
        _ => own.extend(department.iter().map(|name| one_of(name, &who.departments))),
    }
    let wants_own = policy.rows != Rows::Everyone && who.role != Role::Analyst;
    let texts: Vec<&str> = policy.texts.iter().filter(has).copied().collect();
    if by_contact && wants_own && (is_restricted(who) || !texts.is_empty()) {
        let contacts = own_contacts(who, whole).await?;
        let keys = (vec![Column::new_unqualified("contact_id")], vec![Column::new_unqualified(MARKED)]);
        plan = plan.join(contacts, JoinType::Left, keys, None)?;
        let mine = column(MARK).is_true();
        own.push(match who.role {
            // Of a contact that several agents handled, each sees what names nobody else.
            Role::Agent => agent.iter().map(|name| column(name).is_null()).fold(mine, Expr::and),
            _ => mine,
        });
    }
    // NULL is not the own either.
    let own = own.into_iter().reduce(Expr::or).unwrap_or(lit(false)).is_true();

    if is_restricted(who) && policy.rows != Rows::Everyone {
        plan = plan.filter(own.clone())?;
    }
    let columns = table.columns.iter().map(|declared| {
        let name = declared.name;
        let seen = if policy.raw.contains(&name) {
            cast(lit(ScalarValue::Null), declared.kind.data_type())
        } else if texts.contains(&name) {
            let masked = ScalarUDF::from(MaskText::new()).call(vec![column(name)]);
            match who.role {
                Role::Supervisor => when(own.clone(), column(name)).otherwise(masked)?,
                _ => masked,
            }
        } else if policy.personal.contains(&name) && who.role == Role::Analyst {
            ScalarUDF::from(Pseudonym::new(key.clone())).call(vec![column(name)])
        } else {
            return Ok(column(name));
        };
        Ok(seen.alias(name))
    });
    let columns: Vec<Expr> = columns.collect::<Result<_, DataFusionError>>()?;
    let plan = plan.project(columns)?.build()?;
    Ok(match is_restricted(who) {
        true => Arc::new(Fenced::new(plan)),
        false => Arc::new(ViewTable::new(plan, None)),
    })
}

/// The contacts that belong to the reader: an agent's are those the agent handled; a department's are those that stood in
/// one of its queues or were handled in it.
async fn own_contacts(
    who: &Identity,
    whole: &dyn Whole,
) -> Result<datafusion::logical_expr::LogicalPlan, DataFusionError> {
    let mut parts = Vec::new();
    let tables: &[(&'static Table, &str)] = match who.role {
        Role::Agent => &[(&HANDLINGS, "agent_id")],
        _ => &[(&HANDLINGS, "department"), (&LEGS, "department")],
    };
    let values: Vec<String> = match who.role {
        Role::Agent => who.agent_id.iter().cloned().collect(),
        _ => who.departments.clone(),
    };
    for (table, name) in tables {
        let provider = whole.whole(table).await?;
        let part =
            LogicalPlanBuilder::scan(format!("own_{}", table.name), provider_as_source(provider), None)?
                .filter(one_of(name, &values))?
                .project(vec![column("contact_id").alias(MARKED)])?;
        parts.push(part);
    }
    let mut plan = parts.remove(0);
    for part in parts {
        plan = plan.union(part.build()?)?;
    }
    plan.distinct()?.project(vec![column(MARKED), lit(true).alias(MARK)])?.build()
}

fn denied(table: &str) -> Error {
    Error::new(ErrorKind::Denied, format!("`{table}` is for administrators"))
        .hint("ask for another role, or for the figures you need as a view")
}

/// Makes pseudonyms: the same person has the same one, and nobody gets from it to the person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct PseudonymKey(Arc<[u8]>);

impl PseudonymKey {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(key.into())
    }

    fn pseudonym(&self, of: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(of.as_bytes());
        let mut text = String::from("p_");
        for byte in &mac.finalize().into_bytes()[..8] {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PseudonymKey(..)")
    }
}

/// A function of one text.
fn of_text(
    args: &ScalarFunctionArgs,
    work: impl Fn(&str) -> String,
) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(&args.args)?;
    let texts = arrow::compute::cast(&arrays[0], &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let worked: StringArray = texts.iter().map(|text| text.map(&work)).collect();
    debug_assert_eq!(worked.len(), texts.len());
    Ok(ColumnarValue::Array(Arc::new(worked) as ArrayRef))
}

/// Stands for a person. No statement can call it: it has no name in the catalogue.
#[derive(Debug, PartialEq, Eq)]
struct Pseudonym {
    key: PseudonymKey,
    signature: Signature,
}

impl Pseudonym {
    fn new(key: PseudonymKey) -> Self {
        Self { key, signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable) }
    }
}

impl Hash for Pseudonym {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl ScalarUDFImpl for Pseudonym {
    fn name(&self) -> &str {
        "pseudonym"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        of_text(&args, |text| self.key.pseudonym(text))
    }
}

/// Masks words of people.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MaskText {
    signature: Signature,
}

impl MaskText {
    fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for MaskText {
    fn name(&self) -> &str {
        "masked"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        of_text(&args, |text| privacy::mask(text).into_owned())
    }
}

#[cfg(test)]
mod tests;
