//! The dashboards and rules against the metrics that exist, and against the rules that dashboards keep.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use callpulse::metrics::{METRICS, MetricKind};
use serde_json::Value;

const DASHBOARDS: [&str; 2] = ["operations-now.json", "pipeline-health.json"];
const RULES: &str = "rules/callpulse.rules.yml";
const FLEET_RULES: &str = "rules/callpulse-fleet.rules.yml";
const RULE_TESTS: &str = "rules/callpulse_test.yml";
/// What looks back a week is tested in coarser steps.
const WEEK_TESTS: &str = "rules/callpulse_week_test.yml";
const GREENS: [&str; 5] = ["green", "dark-green", "semi-dark-green", "light-green", "super-light-green"];

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboard(name: &str) -> Value {
    serde_json::from_str(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("`{key}` is no list in {value}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("`{key}` is no text in {value}"))
}

/// Every panel with the expressions of its targets, over all dashboards.
fn panels() -> Vec<(String, Value, Vec<String>)> {
    let mut all = Vec::new();
    for name in DASHBOARDS {
        for panel in list(&dashboard(name), "panels") {
            let place = format!("{name}: `{}`", panel["title"].as_str().unwrap_or("without title"));
            let expressions = list(panel, "targets").iter().map(|target| text(target, "expr").to_owned());
            all.push((place, panel.clone(), expressions.collect()));
        }
    }
    all
}

/// The words of an expression that can be names of metrics, with what follows each.
fn words(expression: &str) -> impl Iterator<Item = (&str, &str)> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut rest = expression;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(part)?..];
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some((word, after))
    })
}

/// The metrics in a text, `process_*` among them.
fn metrics_in(text: &str) -> Vec<(&str, &str)> {
    words(text).filter(|(word, _)| word.contains("callpulse_") || word.starts_with("process_")).collect()
}

/// Whether a scrape can hold the name: a family's own, or with the suffixes of a histogram; or it is awaited.
fn exists(name: &str) -> bool {
    let histogram = |family: &str| {
        ["_bucket", "_sum", "_count"].iter().any(|suffix| name.strip_suffix(suffix) == Some(family))
    };
    let known = METRICS.iter().any(|metric| match metric.kind {
        MetricKind::Histogram => histogram(metric.name),
        MetricKind::Counter | MetricKind::Gauge => name == metric.name,
    });
    let mut awaited = AWAITED.lines().filter_map(|line| line.strip_prefix("metric "));
    known || name.starts_with("process_") || awaited.any(|family| name == family || histogram(family))
}

/// Names that the contract has and this build may not have yet.
const AWAITED: &str = include_str!("../real/awaited.txt");

fn without_comments(yaml: &str) -> String {
    yaml.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

fn after<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    yaml.lines()
        .filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(key))
        .map(str::trim)
        .collect()
}

#[test]
fn every_metric_exists() {
    let rules = without_comments(&file(RULES)) + "\n" + &without_comments(&file(FLEET_RULES));
    let recorded: BTreeSet<&str> = after(&rules, "record:").into_iter().collect();
    assert!(recorded.len() > 10, "only {recorded:?} recorded");
    let tests = without_comments(&file(RULE_TESTS)) + &without_comments(&file(WEEK_TESTS));
    let tests = tests.replace("callpulse_test", "");
    let mut seen = 0;
    for (place, text) in [(RULES, &rules), (RULE_TESTS, &tests)] {
        for (name, _) in metrics_in(text) {
            seen += 1;
            assert!(recorded.contains(name) || exists(name), "{place}: no metric `{name}`");
        }
    }
    for (place, _, expressions) in panels() {
        for expression in &expressions {
            for (name, _) in metrics_in(expression) {
                seen += 1;
                assert!(exists(name) || name.starts_with("process_"), "{place}: no metric `{name}`");
            }
        }
    }
    for name in DASHBOARDS {
        for variable in list(&dashboard(name)["templating"], "list") {
            if variable["type"] == "query" {
                let query = text(&variable["query"], "query");
                assert!(metrics_in(query).iter().all(|(name, _)| exists(name)), "{name}: {query}");
                assert_eq!(query, text(variable, "definition"), "{name}");
            }
        }
    }
    assert!(seen > 150, "only {seen} names were looked at");
}

#[test]
fn every_label_of_a_selector_exists() {
    let mut seen = 0;
    for (place, _, expressions) in panels() {
        for expression in &expressions {
            for (name, rest) in metrics_in(expression) {
                let Some(metric) = METRICS.iter().find(|m| name.starts_with(m.name)) else { continue };
                let selector = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let (selector, _) = selector.unwrap_or_else(|| panic!("{place}: `{name}` without selector"));
                for matcher in selector.split(", ") {
                    let end = matcher.find(['=', '!']).expect("a matcher has an operator");
                    let label = &matcher[..end];
                    seen += 1;
                    assert!(
                        ["job", "instance"].contains(&label) || metric.labels.contains(&label),
                        "{place}: `{name}` has no label `{label}`"
                    );
                }
            }
        }
    }
    assert!(seen > 200, "only {seen} labels were looked at");
}

#[test]
fn expressions_select_job_and_instance_and_rate_their_counters() {
    for (place, _, expressions) in panels() {
        for expression in &expressions {
            for (name, rest) in metrics_in(expression) {
                assert!(
                    rest.starts_with(r#"{job=~"$job", instance=~"$instance""#),
                    "{place}: `{name}` does not select job and instance in `{expression}`"
                );
                let before = &expression[..name.as_ptr() as usize - expression.as_ptr() as usize];
                let rated = ["rate(", "increase("].iter().any(|function| before.ends_with(function));
                let adds =
                    ["_total", "_bucket", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix));
                assert_eq!(rated, adds, "{place}: `{name}` in `{expression}`");
            }
            let ranges = expression.matches('[').count();
            let right = expression.matches("[$__rate_interval]").count();
            assert_eq!(ranges, right, "{place}: another range than $__rate_interval in `{expression}`");
        }
    }
}

#[test]
fn every_panel_explains_itself_and_shows_what_is_missing() {
    for (place, panel, expressions) in panels() {
        assert!(!expressions.is_empty(), "{place} asks nothing");
        assert!(!text(&panel, "title").is_empty(), "{place}");
        assert!(text(&panel, "description").len() > 15, "{place} has no definition");
        assert_eq!(text(&panel["datasource"], "uid"), "${prometheus_datasource}", "{place}");
        for target in list(&panel, "targets") {
            assert_eq!(text(&target["datasource"], "uid"), "${prometheus_datasource}", "{place}");
        }
        let field = &panel["fieldConfig"]["defaults"];
        assert!(!text(field, "unit").is_empty(), "{place} has no unit");
        assert!(!text(field, "noValue").is_empty(), "{place} does not say that there is no data");
        let missing =
            list(field, "mappings").iter().find(|mapping| mapping["options"]["match"] == "null+nan");
        let missing =
            &missing.unwrap_or_else(|| panic!("{place} does not map missing values"))["options"]["result"];
        assert!(!GREENS.contains(&text(missing, "color")), "{place} paints missing data green");
        assert_eq!(missing["text"], field["noValue"], "{place}");

        let overrides = panel["fieldConfig"]["overrides"].as_array().into_iter().flatten();
        let overridden = overrides
            .flat_map(|one| list(one, "properties"))
            .filter(|property| property["id"] == "thresholds")
            .map(|property| &property["value"]);
        for thresholds in std::iter::once(&field["thresholds"]).chain(overridden) {
            let base = &list(thresholds, "steps")[0];
            assert!(base["value"].is_null(), "{place}: the first step is the base");
            assert!(!GREENS.contains(&text(base, "color")), "{place} paints missing data green");
        }
    }
}

#[test]
fn dashboards_keep_the_structure_that_linters_ask_for() {
    let mut uids = BTreeSet::new();
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        assert!(uids.insert(text(&dashboard, "uid").to_owned()), "{name}: uid twice");
        assert_eq!(dashboard["editable"], false, "{name}");
        assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 39), "{name}");
        let ids: BTreeSet<_> = list(&dashboard, "panels").iter().map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), list(&dashboard, "panels").len(), "{name}: a panel's id twice");

        let variables: Vec<&Value> = list(&dashboard["templating"], "list")
            .iter()
            .filter(|variable| variable["type"] != "textbox")
            .collect();
        assert_eq!(text(variables[0], "type"), "datasource", "{name}");
        assert_eq!(text(variables[0], "name"), "prometheus_datasource", "{name}");
        assert_eq!(text(variables[0], "label"), "Prometheus data source", "{name}");
        let names: Vec<&str> = variables[1..].iter().map(|variable| text(variable, "name")).collect();
        assert!(names.starts_with(&["job", "instance"]), "{name}: {names:?}");
        for (place, variable) in variables[1..].iter().enumerate() {
            let of = text(variable, "name");
            // Each chooses among what the ones before it have left.
            let query = text(&variable["query"], "query");
            for chosen in names[..place].iter().filter(|chosen| **chosen != "channel") {
                let matcher = format!(r#"{chosen}=~"${chosen}""#);
                assert!(query.contains(&matcher), "{name}: {of} does not select by {chosen}: `{query}`");
            }
            assert_eq!(text(variable, "type"), "query", "{name}: {of}");
            assert_eq!(variable["refresh"], 2, "{name}: {of}");
            assert_eq!(
                (&variable["multi"], &variable["includeAll"]),
                (&true.into(), &true.into()),
                "{name}: {of}"
            );
            let (label, all) = match of {
                "job" => ("Job", ".+"),
                "instance" => ("Instance", ".+"),
                "queue" => ("Queue", ".*"),
                "channel" => ("Channel", ".*"),
                other => panic!("{name}: variable `{other}`"),
            };
            assert_eq!((text(variable, "label"), text(variable, "allValue")), (label, all), "{name}: {of}");
        }
    }
    let operations = dashboard("operations-now.json");
    let linked = list(&operations, "links").iter().any(|link| link["url"] == "/d/callpulse-pipeline-health");
    assert!(
        linked && uids.contains("callpulse-pipeline-health"),
        "operations-now does not lead to pipeline-health"
    );
}

#[test]
fn every_alert_has_severity_texts_a_runbook_and_a_test() {
    let rules = without_comments(&file(RULES));
    let tests = file(RULE_TESTS) + &file(WEEK_TESTS);
    let alerts: Vec<&str> = rules.split("- alert:").skip(1).collect();
    assert!(alerts.len() >= 10, "{} alerts", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default().trim();
        assert!(name.starts_with("Callpulse"), "`{name}`");
        let severities = ["critical", "warning", "info"];
        assert!(
            severities.iter().any(|severity| alert.contains(&format!("severity: {severity}"))),
            "`{name}` has no severity"
        );
        for key in ["summary:", "description:"] {
            assert_eq!(after(alert, key).len(), 1, "`{name}`: {key}");
        }
        let runbook = format!("docs/runbooks/{name}.md");
        assert_eq!(after(alert, "runbook_url:"), [runbook.as_str()], "`{name}`");
        let page =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&runbook)).unwrap_or_default();
        assert!(page.starts_with(&format!("# {name}\n")), "{runbook} is missing or another's");
        assert!(page.contains("**Look at.**") && page.contains("**Do.**"), "{runbook}");

        let mine = tests.split("alertname: ").skip(1).filter(|case| {
            case.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        });
        assert!(mine.clone().any(|case| case.contains("exp_annotations")), "`{name}` is never seen to fire");
    }
}
