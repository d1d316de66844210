//! The people who can be told: their names, numbers and names in chat.

use std::collections::BTreeMap;

use super::Fault;
use super::read::{Columns, rows};

/// The language in which somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Language {
    /// Chinese.
    #[default]
    Chinese,
    /// English.
    English,
}

impl Language {
    /// Reads `zh` or `en`.
    pub fn parse(text: &str) -> Option<Language> {
        match text {
            "zh" => Some(Language::Chinese),
            "en" => Some(Language::English),
            _ => None,
        }
    }
}

/// Somebody who can be on duty. What is empty is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// As the roster and the events name them (`agent_id`).
    pub id: String,
    /// As people say it.
    pub name: String,
    /// Mobile number: SMS, and mentions in DingTalk and WeCom.
    pub phone: String,
    /// Mail address.
    pub email: String,
    /// User id in WeCom.
    pub wecom: String,
    /// Open id in Feishu.
    pub feishu: String,
    /// Mobile number in DingTalk, where it differs from `phone`.
    pub dingtalk: String,
    /// Member id in Slack.
    pub slack: String,
}

impl Person {
    /// Somebody of whom nothing but the id is known.
    pub fn unknown(id: &str) -> Person {
        Person { id: id.to_owned(), name: id.to_owned(), ..Person::default() }
    }
}

/// Everybody who is known, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct People {
    people: BTreeMap<String, Person>,
}

const COLUMNS: Columns = Columns {
    required: &["id", "name"],
    optional: &["phone", "email", "wecom", "feishu", "dingtalk", "slack"],
    aliases: &[("person", "id"), ("agent_id", "id"), ("mobile", "phone"), ("mail", "email")],
};

impl People {
    /// Reads people from CSV: `id,name` and any of `phone,email,wecom,feishu,dingtalk,slack`.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn read(file: &str, text: &str) -> Result<People, Vec<Fault>> {
        let (rows, mut faults) = rows(file, text, &COLUMNS);
        let mut people = BTreeMap::new();
        for row in rows {
            let id = row.get("id");
            if id.is_empty() {
                faults.push(Fault::at(file, row.line, "a person without `id`"));
                continue;
            }
            let email = row.get("email");
            if !email.is_empty() && !email.contains('@') {
                faults.push(Fault::at(file, row.line, format!("`{email}` is no mail address")));
            }
            let person = Person {
                id: id.to_owned(),
                name: if row.get("name").is_empty() { id } else { row.get("name") }.to_owned(),
                phone: row.get("phone").to_owned(),
                email: email.to_owned(),
                wecom: row.get("wecom").to_owned(),
                feishu: row.get("feishu").to_owned(),
                dingtalk: row.get("dingtalk").to_owned(),
                slack: row.get("slack").to_owned(),
            };
            if people.insert(id.to_owned(), person).is_some() {
                faults.push(Fault::at(file, row.line, format!("`{id}` is listed twice")));
            }
        }
        if faults.is_empty() { Ok(People { people }) } else { Err(faults) }
    }

    /// The person of this id; one of whom only the id is known where there is none.
    pub fn get(&self, id: &str) -> Person {
        self.people.get(id).cloned().unwrap_or_else(|| Person::unknown(id))
    }

    /// Tells whether somebody of this id is known.
    pub fn knows(&self, id: &str) -> bool {
        self.people.contains_key(id)
    }

    /// True when nobody is known, as without a file.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Every id.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.people.keys().map(String::as_str)
    }
}
