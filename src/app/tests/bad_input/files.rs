//! The readers of files that operators keep: rules, roster, people, lexicons, users, mappings, names; and what instances of
//! a fleet say to each other.

use std::path::Path;

use super::{Dice, RECORDS, mutate, number};
use crate::access::Users;
use crate::app::fleet;
use crate::config;
use crate::roster::{People, Roster};
use crate::rules;
use crate::text::Lexicon;
use crate::window::Summary;

const ROSTER: &str = "date,person,role,queues,start,end,department\n\
                      mon-fri,wang,supervisor,cards;loans,08:00,20:00,retail\n\
                      2026-11-20,li,lead,,20:00,08:00,\n";
const PEOPLE: &str = "id,name,phone,email,wecom,feishu,dingtalk,slack\n\
                      wang,王芳,13812345678,wang@example.com,wang1,,,U1\n\
                      li,李雷,,li@example.com,,li2,13912345678,\n";
const USERS: &str = "pseudonym_key = \"0123456789abcdef0123456789abcdef\"\n[[user]]\nname = \"ana\"\nrole = \"analyst\"\n\
                     tokens = [\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"]\n\
                     [[user]]\nname = \"lea\"\nrole = \"lead\"\ndepartments = [\"retail\"]\n";
const NAMES: &str = "[queues]\nq1 = \"cards\"\n[agents]\na1 = \"li\"\n";

fn shipped(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Feeds a reader with mutations of these inputs. It says whether it took one; where not, its faults say why.
fn feed(what: &str, inputs: &[Vec<u8>], divisor: u64, mut read: impl FnMut(&[u8]) -> Result<(), String>) {
    let (tries, seed) = (number("CALLPULSE_MUTATIONS", RECORDS) / divisor, number("CALLPULSE_SEED", 1));
    let mut dice = Dice(seed);
    let (mut right, mut wrong) = (0, 0);
    for input in inputs {
        read(input).unwrap_or_else(|why| panic!("{what}: the corpus itself is refused: {why}"));
    }
    for _ in 0..tries.max(50) {
        match read(&mutate(&mut dice, inputs)) {
            Ok(()) => right += 1,
            Err(why) => {
                wrong += 1;
                assert!(!why.trim().is_empty(), "{what}: CALLPULSE_SEED={seed}: refused without a word");
            }
        }
    }
    println!(
        "{what}: {} executions (CALLPULSE_SEED={seed}), corpus of {}: {right} right, {wrong} refused",
        right + wrong,
        inputs.len()
    );
    assert!(right > 0 && wrong > 0, "{what}: {right} right, {wrong} refused");
}

fn faults<T, F: std::fmt::Debug>(read: Result<T, Vec<F>>) -> Result<(), String> {
    match read {
        Ok(_) => Ok(()),
        Err(faults) if faults.is_empty() => Err(String::new()),
        Err(faults) => Err(format!("{faults:?}")),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn mutated_rules_rosters_and_people_are_answered() {
    let zone = chrono_tz::Asia::Shanghai;
    feed("rules", &[shipped("config/rules.toml")], 100, |bytes| {
        faults(rules::read(&[("rules.toml".to_owned(), text(bytes))], zone))
    });
    feed("roster", &[ROSTER.into()], 20, |bytes| faults(Roster::read("roster.csv", &text(bytes), zone)));
    feed("people", &[PEOPLE.into()], 20, |bytes| faults(People::read("people.csv", &text(bytes))));
}

#[test]
fn mutated_users_lexicons_and_mappings_are_answered() {
    feed("users", &[USERS.into()], 20, |bytes| faults(Users::parse("users.toml", &text(bytes))));
    let lexicons = ["config/lexicons/en.toml", "config/lexicons/zh_service.toml"].map(shipped);
    feed("lexicons", &lexicons, 200, |bytes| faults(Lexicon::parse("words.toml", &text(bytes))));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file.toml");
    feed("mapping", &[shipped("tests/samples/mapped/calls.toml")], 50, |bytes| {
        std::fs::write(&path, bytes).expect("a file");
        faults(config::load_mapping(&path))
    });
    feed("names", &[NAMES.into()], 50, |bytes| {
        std::fs::write(&path, bytes).expect("a file");
        faults(config::load_names(&path))
    });
}

#[test]
fn mutated_words_of_the_fleet_are_answered() {
    let told = |taken: bool| taken.then_some(()).ok_or_else(|| "it cannot be read".to_owned());
    feed("summary", &[Summary::default().to_bytes()], 20, |bytes| told(Summary::from_bytes(bytes).is_some()));
    let question = br#"{"now":1772413200000,"stored":[["legs","calls",3,17],["events","calls",0,2]]}"#;
    feed("question", &[question.to_vec()], 20, |bytes| fleet::read_question(bytes).map(drop));
}
