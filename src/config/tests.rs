//! What may be written in a configuration, and what every fault says.

use std::fs;

use proptest::prelude::*;

use super::super::oidc::Jwks;
use super::super::raw::{key_paths, variable_name};
use super::*;
use crate::access::Role;

/// Loads a file of this text, these variables (`A=b`) and settings; faults as they are shown, in order.
fn load(text: &str, env: &[&str], sets: &[&str]) -> Result<Config, Vec<String>> {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let file = directory.path().join("c.toml");
    fs::write(&file, text).expect("the test's file is written");
    fs::write(directory.path().join("secret"), "hush\n").expect("the test's file is written");
    let env = env.iter().map(|entry| {
        let (name, value) = entry.split_once('=').expect("A=b");
        (name.to_owned(), value.to_owned())
    });
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    let place = format!("{}/", directory.path().display());
    let show =
        |faults: Vec<Fault>| faults.iter().map(|fault| fault.to_string().replace(&place, "")).collect();
    Config::load(Some(&file), env, &sets).map_err(show)
}

/// The faults of a file of this text.
fn faults(text: &str) -> Vec<String> {
    load(text, &[], &[]).expect_err("there are faults")
}

fn good(text: &str, env: &[&str], sets: &[&str]) -> Config {
    load(text, env, sets).unwrap_or_else(|faults| panic!("{}", faults.join("\n")))
}

#[test]
fn the_defaults_are_what_the_contract_says() {
    let config = Config::load(None, std::iter::empty(), &[]).expect("the defaults are right");
    assert_eq!((config.timezone, config.slot_minutes), (Tz::Asia__Shanghai, 30));
    assert_eq!(config.data_dir, "./data");
    assert_eq!((config.lateness_secs, config.correlation_secs, config.acw_timeout_secs), (600, 3600, 1800));
    let (http, pg) = (config.listeners.http.expect("on"), config.listeners.pg.expect("on"));
    assert_eq!(
        (http.to_string(), pg.to_string()),
        ("127.0.0.1:8080".to_owned(), "127.0.0.1:5433".to_owned())
    );
    assert_eq!(config.listeners.flight.expect("on").to_string(), "127.0.0.1:50051");
    let queue = QueueDefaults {
        target_wait_secs: 20,
        short_abandon_secs: 5,
        service_level_formula: ServiceLevel::Offered,
    };
    assert_eq!(config.queue_defaults, queue);
    assert_eq!(config.kafka.topics[0].format, "callpulse");
    assert!(config.queues.is_empty() && config.kafka.properties.0.is_empty() && config.warnings.is_empty());
    assert_eq!(config.grid().slot_minutes(), 30);
}

#[test]
fn every_default_is_explained_where_it_stands() {
    let mut previous = "";
    for line in DEFAULTS.lines() {
        let key = line.split_once(" = ").filter(|_| !line.starts_with('#'));
        if let Some((key, _)) = key {
            assert!(previous.starts_with('#'), "`{key}` has no comment above it");
        }
        previous = line;
    }
    // The keys that have no default because they stand in lists.
    for key in ["name", "department", "target_wait_secs", "short_abandon_secs", "service_level_formula"] {
        assert!(DEFAULTS.contains(&format!("#   {key} = ")), "`{key}` of [[queue]] is not explained");
    }
    assert!(DEFAULTS.contains("format:"), "`format` of a topic is not explained");
    for formula in ServiceLevel::ALL {
        assert!(DEFAULTS.contains(formula.id()), "{}", formula.id());
    }
}

#[test]
fn every_key_that_is_read_has_a_default_and_every_default_is_read() {
    // Read: an unread key is an unknown one, and the defaults load. Has a default: without it, the key is missing.
    let lines: Vec<_> = DEFAULTS.lines().collect();
    let mut keys = 0;
    for (at, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        let rest = [&lines[..at], &lines[at + 1..]].concat().join("\n");
        let layers = Layers::new(&rest);
        let faults = RefCell::new(layers.faults);
        read(Section::root(&layers.merged, &faults), &[]);
        let said: Vec<_> = faults.into_inner().iter().map(|fault| fault.message.clone()).collect();
        assert!(said.iter().any(|said| said.contains(&format!("{key}` is missing"))), "{key}: {said:?}");
        keys += 1;
    }
    assert_eq!(
        keys,
        key_paths(&Layers::new(DEFAULTS).merged).len() - 1,
        "all but the empty kafka.properties"
    );
}

#[test]
fn every_key_has_a_name_of_its_own_in_the_environment() {
    let keys = Layers::new(DEFAULTS).keys;
    let names: BTreeSet<_> = keys.iter().map(|path| variable_name(path)).collect();
    assert_eq!(names.len(), keys.len());
    assert!(names.contains("KAFKA_BROKERS") && names.contains("QUEUE_DEFAULTS_TARGET_WAIT_SECS"));
    // `__` is read as `_`, so that no name may hold it.
    assert!(names.iter().all(|name| !name.contains("__")));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name_and_its_line() {
    assert_eq!(
        faults("# mine\nslot_minute = 15\n\n[kafka]\nbroker = \"a:1\"\n"),
        [
            "error: unknown key `slot_minute` (c.toml, line 2)\n\nhint: the nearest key is `slot_minutes`",
            "error: unknown key `kafka.broker` (c.toml, line 5)\n\nhint: the nearest key is `kafka.brokers`",
        ]
    );
    assert_eq!(
        faults("brokers = \"a:1\""),
        ["error: unknown key `brokers` (c.toml, line 1)\n\nhint: there is a key `kafka.brokers`"]
    );
    assert_eq!(
        faults("[pg]\ncolour = 1"),
        ["error: unknown key `pg.colour` (c.toml, line 2)\n\nhint: known here are `listen`"]
    );
    assert_eq!(
        faults("[[queue]]\nname = \"a\"\n[[queue]]\nname = \"b\"\ntarget_wait_sec = 3"),
        [
            "error: unknown key `queue.target_wait_sec` (c.toml, line 5)\n\nhint: the nearest key is `queue.target_wait_secs`"
        ]
    );
    // Keys of later work are not taken in silence.
    assert!(
        faults("licences = [\"a.toml\"]")[0].starts_with("error: unknown key `licences` (c.toml, line 1)")
    );
}

#[test]
fn a_wrong_kind_of_value_is_refused_with_its_line() {
    let wrong = "timezone = 8\nslot_minutes = \"30\"\nlateness_secs = 1.5\nqueue = 3\n[lake]\nevents = \"yes\"\n[http]\nlisten = [1]";
    assert_eq!(
        faults(wrong),
        [
            "error: `timezone` must be text, and is a whole number (c.toml, line 1)",
            "error: `slot_minutes` must be a whole number, and is text (c.toml, line 2)",
            "error: `lateness_secs` must be a whole number, and is a number with a fraction (c.toml, line 3)",
            "error: `queue` must be a list of tables, and is a whole number (c.toml, line 4)",
            "error: `lake.events` must be true or false, and is text (c.toml, line 6)",
            "error: `http.listen` must be text, and is a list (c.toml, line 8)",
        ]
    );
    assert_eq!(
        faults("kafka = 3"),
        ["error: `kafka` must be a table, and is a whole number (c.toml, line 1)"]
    );
    assert_eq!(
        faults("queue = [\n3]"),
        ["error: `queue` must be a table, and is a whole number (c.toml, line 2)"]
    );
}

#[test]
fn values_out_of_range_are_refused() {
    for (text, message) in [
        ("slot_minutes = 20", "a slot of `20` minutes is not supported; take 15, 30 or 60"),
        ("slot_minutes = 0", "`slot_minutes` is out of range: `0`"),
        ("lateness_secs = -1", "`lateness_secs` is out of range: `-1`"),
        (
            "lateness_secs = 99999999999999999999",
            "`lateness_secs` must be a whole number, and is a whole number beyond 64 bits",
        ),
        ("data_dir = \"\"", "`data_dir` is empty"),
        ("data_dir = \"gs://bucket\"", "`data_dir` is of an unknown kind: `gs://bucket`"),
        ("data_dir = \"s3://\"", "`data_dir` names no bucket: `s3://`"),
        ("kafka.brokers = \"a\"", "`kafka.brokers` must be host:port: `a`"),
        ("kafka.brokers = \"a:1,:2\"", "`kafka.brokers` must be host:port: `a:1,:2`"),
        ("kafka.group = \"\"", "`kafka.group` is empty"),
        ("kafka.topics = []", "`kafka.topics` names no topic"),
        ("kafka.topics = [{ format = \"callpulse\" }]", "`kafka.topics.name` is missing"),
        ("kafka.topics = [{ name = \"a b\" }]", "`a b` is no name of a topic"),
        ("kafka.topics = [{ name = \"a\" }, { name = \"a\" }]", "the topic `a` is listed twice"),
        ("kafka.topics = [{ name = \"a\", format = \"xml\" }]", "unknown format `xml`"),
        (
            "kafka.dead_letter_topic = \"callpulse.events\"",
            "the dead-letter topic `callpulse.events` is read too",
        ),
        ("pg.listen = \"here\"", "`pg.listen` must be an address and a port: `here`"),
        (
            "queue_defaults.service_level_formula = \"ans_T/offerd\"",
            "unknown formula of the service level: `ans_T/offerd`",
        ),
        ("[[queue]]\ndepartment = \"a\"", "`queue.name` is missing"),
        ("[[queue]]\nname = \"\"", "`queue.name` is empty"),
        ("[[queue]]\nname = \"a\"\n[[queue]]\nname = \"a\"", "the queue `a` is listed twice"),
    ] {
        let said = faults(text);
        assert!(said[0].starts_with(&format!("error: {message} (c.toml, line ")), "{text}: {said:?}");
        let warns = text.contains("\"a\" }, { name = \"a\"");
        assert!(said.len() == 1 || warns, "{text}: {said:?}");
    }
}

#[test]
fn an_unknown_zone_is_refused_with_the_nearest_name() {
    assert_eq!(
        faults("timezone = \"Asia/Shangai\""),
        [
            "error: unknown time zone `Asia/Shangai` (c.toml, line 1)\n\nhint: the nearest name is `Asia/Shanghai`"
        ]
    );
    assert!(faults("timezone = \"\"")[0].contains("IANA"));
    assert_eq!(good("timezone = \"Europe/Berlin\"", &[], &[]).timezone, Tz::Europe__Berlin);
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let said = faults("timezone = \"UTC\"\nslot_minutes = = 3\n");
    assert!(said[0].starts_with("error: not TOML: ") && said[0].ends_with("(c.toml, line 2)"), "{said:?}");
    let said = faults("slot_minutes = 15\nslot_minutes = 30\n");
    assert!(said[0].ends_with("(c.toml, line 2)"), "{said:?}");
    let missing = Config::load(Some(Path::new("no/such/file.toml")), std::iter::empty(), &[]);
    let said = missing.expect_err("there is no such file")[0].to_string();
    assert!(
        said.starts_with("error: cannot read the configuration: ") && said.contains("no/such/file.toml"),
        "{said}"
    );
}

#[test]
fn later_layers_override_key_by_key() {
    let text = "slot_minutes = 15\nlateness_secs = 1\n[kafka]\ngroup = \"file\"\n";
    let config =
        good(text, &["CALLPULSE_LATENESS_SECS=2", "CALLPULSE_KAFKA__GROUP=env"], &["lateness_secs=3"]);
    assert_eq!((config.slot_minutes, config.lateness_secs), (15, 3));
    assert_eq!(config.kafka.group, "env");
    // What the file does not say stays, also in a table that it opens.
    assert_eq!((config.kafka.brokers.as_str(), config.correlation_secs), ("127.0.0.1:9092", 3600));
    let config = good("", &["CALLPULSE_KAFKA_BROKERS=a:1,b:2"], &["lateness_secs=1", "lateness_secs=2"]);
    assert_eq!((config.kafka.brokers.as_str(), config.lateness_secs), ("a:1,b:2", 2));
    assert_eq!(good("kafka.brokers = [\"a:1\", \"b:2\"]", &[], &[]).kafka.brokers, "a:1,b:2");
}

#[test]
fn settings_are_toml_or_else_text() {
    let sets = [
        "timezone=Asia/Tokyo",
        "kafka.group=7",
        "kafka.dead_letter_topic=",
        "lake.events=false",
        "kafka.topics=[{name='a'},{name='b'}]",
        "kafka.properties.\"sasl.username\"=li",
        "kafka.properties.sasl.password=a=b",
        "queue=[{name='x=y', target_wait_secs=15}]",
        "data_dir = '/var/lib'",
    ];
    let config = good("", &[], &sets);
    assert_eq!((config.timezone, config.kafka.group.as_str()), (Tz::Asia__Tokyo, "7"));
    assert_eq!((config.kafka.dead_letter_topic, config.lake.events), (None, false));
    assert_eq!(config.kafka.topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.kafka.properties.0["sasl.username"], "li");
    assert_eq!(config.kafka.properties.0["sasl.password"], "a=b");
    assert_eq!(config.queues["x=y"].target_wait_secs, 15);
    assert_eq!(config.data_dir, "/var/lib");

    let said = load("", &["CALLPULSE_SLOT_MINUTES=soon"], &["slot_minute=15", "lateness_secs", "a b=1"]);
    assert_eq!(
        said.expect_err("there are faults"),
        [
            "error: a setting has no `=` (--set)\n\nhint: write `--set key=value`, e.g. `--set slot_minutes=15`",
            "error: `a b` is not a key (--set a b)\n\nhint: keys are joined by dots, e.g. `kafka.group`",
            "error: unknown key `slot_minute` (--set slot_minute)\n\nhint: the nearest key is `slot_minutes`",
            "error: `slot_minutes` must be a whole number, and is text (environment variable CALLPULSE_SLOT_MINUTES)",
        ]
    );
}

#[test]
fn a_variable_that_nearly_names_a_key_is_warned_of() {
    let config =
        good("", &["CALLPULSE_KAFKA_BROKER=a:1", "CALLPULSE_SERVICE_HOST=10.0.0.1", "PATH=/bin"], &[]);
    assert_eq!(
        config.warnings.iter().map(Fault::as_warning).collect::<Vec<_>>(),
        ["warning: `CALLPULSE_KAFKA_BROKER` names no key (environment variable CALLPULSE_KAFKA_BROKER)\n\n\
          hint: the nearest name is `CALLPULSE_KAFKA_BROKERS`"]
    );
}

#[test]
fn variables_and_files_are_replaced_in_texts() {
    let text = r#"
        data_dir = "${ROOT}/lake/${PART:-main}/$${x}/${EMPTY:-full}"
        slot_minutes = "${SLOT}"
        kafka.group = "a$b"
        kafka.properties.sasl.password = "${file:secret}"
        [[queue]]
        name = "${ROOT}"
    "#;
    let config = good(text, &["ROOT=/srv", "SLOT=15", "EMPTY="], &[]);
    assert_eq!(config.data_dir, "/srv/lake/main/${x}/full");
    assert_eq!((config.slot_minutes, config.kafka.group.as_str()), (15, "a$b"));
    assert_eq!(config.kafka.properties.0["sasl.password"], "hush");
    assert!(config.queues.contains_key("/srv"));
    // What a variable holds is not read once more.
    assert_eq!(good("data_dir = \"${A}\"", &["A=${B}"], &[]).data_dir, "${B}");

    let said = faults(
        "kafka.group = \"${NOT_SET}\"\ndata_dir = \"${file:nowhere}\"\ntimezone = \"${A\"\nqueue = [{ name = \"${a b}\" }]",
    );
    let starts = [
        "error: the environment variable `NOT_SET` is not set (c.toml, line 1)",
        "error: cannot read `${file:nowhere}`: ",
        "error: `${` is not closed in `${A` (c.toml, line 3)",
        "error: `${a b}` is no variable (c.toml, line 4)",
    ];
    assert_eq!(said.len(), starts.len(), "{said:?}");
    for (said, start) in said.iter().zip(starts) {
        assert!(said.starts_with(start), "{said}");
    }
}

#[test]
fn no_secret_is_shown() {
    let text = r#"
        [kafka.properties]
        security.protocol = "SASL_SSL"
        sasl.password = "hush-1"
        ssl.key.pem = "hush-2"
        sasl.jaas.config = "hush-3"
        sasl.oauthbearer.client.secret = "hush-4"
        sasl.oauthbearer.token.endpoint.url = "hush-5"
    "#;
    let config = good(text, &[], &[]);
    assert_eq!(config.kafka.properties.0.len(), 6);
    let shown = format!("{config:?} {config:#?}");
    assert!(
        shown.contains("SASL_SSL") && shown.contains("sasl.password") && !shown.contains("hush"),
        "{shown}"
    );
    // Nor by a fault, wherever a secret was put by mistake.
    let wrong = "timezone = \"${P}\"\nslot_minutes = \"${P}\"\ndata_dir = \"x://${P}\"\nkafka.brokers = \"${P}\"\nkafka.topics = [{ name = \"${P} \" }, { name = \"${P} \", format = \"${P}\" }]\nkafka.dead_letter_topic = \"${P} \"\nhttp.listen = \"${P}\"\nqueue_defaults.service_level_formula = \"${P}\"\nlake.events = \"${P}\"\nqueue = [{ name = \"${P}\" }, { name = \"${P}\" }]\nkafka.properties.sasl.password = [\"hush\"]";
    let said = load(wrong, &["P=hush"], &[]).expect_err("there are faults");
    assert!(said.len() >= 13, "{}: {said:?}", said.len());
    assert!(said.iter().all(|said| !said.contains("hush")), "{said:?}");
    let said = load("", &[], &["hush"]).expect_err("there is a fault");
    assert!(!said[0].contains("hush"), "{said:?}");
}

#[test]
fn only_loopback_listeners_start() {
    for address in ["0.0.0.0:8080", "10.1.2.3:80", "[::]:1", "[2001:db8::1]:80", "[::ffff:10.0.0.1]:80"] {
        for listener in ["http", "pg", "flight"] {
            let said = faults(&format!("{listener}.listen = \"{address}\""));
            let message =
                format!("error: `{listener}.listen` is not a loopback address: `{address}` (c.toml, line 1)");
            assert!(said[0].starts_with(&message), "{said:?}");
        }
    }
    let config =
        good("http.listen = \"localhost:0\"\npg.listen = \"off\"\nflight.listen = \"[::1]:7\"", &[], &[]);
    assert_eq!(config.listeners.http.expect("on").to_string(), "127.0.0.1:0");
    assert_eq!((config.listeners.pg, config.listeners.flight.expect("on").port()), (None, 7));
}

#[test]
fn queues_take_what_they_leave_open_from_the_defaults() {
    let text = r#"
        [queue_defaults]
        target_wait_secs = 15
        service_level_formula = "ans_T/ans"
        [[queue]]
        name = "cards"
        department = "retail"
        short_abandon_secs = 0
        [[queue]]
        name = "loans"
        target_wait_secs = 30
        service_level_formula = "removed_T/queued"
    "#;
    let config = good(text, &[], &[]);
    let cards = Queue {
        department: Some("retail".to_owned()),
        target_wait_secs: 15,
        short_abandon_secs: 0,
        service_level_formula: ServiceLevel::Answered,
    };
    let loans = Queue {
        department: None,
        target_wait_secs: 30,
        short_abandon_secs: 5,
        service_level_formula: ServiceLevel::RemovedInTime,
    };
    assert_eq!(config.queues, BTreeMap::from([("cards".to_owned(), cards), ("loans".to_owned(), loans)]));
}

#[test]
fn topics_that_may_tear_contacts_apart_are_warned_of() {
    let two = "kafka.topics = [{ name = \"a\" }, { name = \"b\" }]\n";
    assert_eq!(good(two, &[], &[]).warnings.len(), 1);
    assert!(good(two, &[], &["kafka.co_partitioned=true"]).warnings.is_empty());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(\\[\\[?|queue|kafka|topics|name|[a-z]|=|\\.|\"|\\]|\\{|\\}|[0-9]|\n| |\\$\\{){0,40}", set in ".{0,30}") {
        let mut layers = Layers::new(DEFAULTS);
        let env = BTreeMap::from([("CALLPULSE_KAFKA".to_owned(), set.clone()), ("CALLPULSE_QUEUE".to_owned(), text.clone())]);
        layers.add_environment(&env);
        layers.add_set(&set, &env);
        layers.add_set(&text, &env);
        let faults = RefCell::new(std::mem::take(&mut layers.faults));
        read(Section::root(&layers.merged, &faults), &[]);
    }
}

#[test]
fn a_login_elsewhere_is_whole_or_refused() {
    assert_eq!(good("", &[], &[]).oidc, None);
    let whole = "users = \"u.toml\"\n[access.oidc]\nissuer = \"https://login.example\"\naudience = \"callpulse\"\n\
                 jwks = \"https://login.example/keys\"\nroles = [{ value = \"a\", role = \"admin\" }]\n";
    let oidc = good(whole, &[], &[]).oidc.expect("it is on");
    assert_eq!(oidc.jwks, Jwks::Address("https://login.example/keys".to_owned()));
    assert_eq!(oidc.options.roles, [("a".to_owned(), Role::Admin)]);
    assert_eq!(oidc.options.user_claim, "sub");
    let jwks =
        |text: &str| good(&whole.replace("https://login.example/keys", text), &[], &[]).oidc.map(|o| o.jwks);
    assert_eq!(jwks("/etc/keys.json"), Some(Jwks::File("/etc/keys.json".to_owned())));
    assert_eq!(jwks("http://127.0.0.1:9/keys"), Some(Jwks::Address("http://127.0.0.1:9/keys".to_owned())));
    let wrong = [
        (
            whole.replace("https://login.example/keys", "http://login.example/keys"),
            "must be a file or an https address",
        ),
        (
            whole.replace("https://login.example/keys", "http://localhost.example/keys"),
            "must be a file or an https",
        ),
        (whole.replace("\"callpulse\"", "\"\""), "`access.oidc.audience` is empty"),
        (whole.replace("users = \"u.toml\"\n", ""), "need `users`"),
        (whole.replace("\"admin\"", "\"boss\""), "unknown role `boss`"),
        (whole.replace("issuer", "issue"), "unknown key `access.oidc.issue`"),
    ];
    for (text, want) in wrong {
        let said = faults(&text).join("\n");
        assert!(said.contains(want), "{want}: {said}");
    }
}
