//! One scrape: families of samples from a summary and the pipeline's stats, as text.

use std::collections::BTreeMap;

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

use super::names::{self, Metric, MetricKind};
use super::stats::Stats;
use crate::event::{AgentStateName, Speaker};
use crate::kpi::{Outcome, ServiceLevel, Totals, kpi};
use crate::time::Millis;
use crate::window::{Histogram, ROLLING, Series, SeriesKey, Summary};

/// The content type of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Outcomes that have a counter of their own; the others are labels of `legs_left_total`.
const OWN_COUNTER: [Outcome; 3] = [Outcome::Answered, Outcome::Abandoned, Outcome::AbandonedShort];

/// Makes scrapes. Cheap to keep; holds no figure.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    version: String,
}

impl Metrics {
    /// A maker of scrapes that also tells what `registry` holds, to which the collector of `process_*` is added.
    ///
    /// Fails where the registry has such a collector already.
    pub fn new(registry: Registry, version: &str) -> Result<Self, String> {
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())).map_err(
            |error| {
                format!(
                    "the collector of `process_*` was refused: {error}; hint: one registry, one `Metrics`"
                )
            },
        )?;
        Ok(Self { registry, version: version.to_owned() })
    }

    /// The scrape at `now`, in Prometheus' text format 0.0.4 ([`CONTENT_TYPE`]).
    pub fn render(&self, summary: &Summary, stats: &Stats, now: Millis) -> String {
        let mut families = Families::default();
        let slot_ms = summary.slot.map_or(0, |slot| slot.length_ms());
        for (key, series) in &summary.series {
            families.counters(key, series);
            families.gauges(key, series, now, slot_ms);
        }
        for (state, agents) in AgentStateName::ALL.iter().zip(summary.agents) {
            families.gauge(&names::AGENTS, &[state.as_str()], agents as f64);
        }
        families.words(summary);
        families.counter(&names::FOLDED, &[], summary.folded);
        families.pipeline(stats);
        families.gauge(&names::BUILD_INFO, &[&self.version], 1.0);

        let mut all: Vec<MetricFamily> = families.0.into_values().collect();
        all.extend(self.registry.gather());
        all.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new()
            .encode_to_string(&all)
            .expect("every family has a name and a sample, and text in memory can be written")
    }
}

/// Families by name; a family appears with its first sample.
#[derive(Default)]
struct Families(BTreeMap<&'static str, MetricFamily>);

impl Families {
    fn counters(&mut self, key: &SeriesKey, series: &Series) {
        let labels = [&*key.queue, key.channel.as_str()];
        let counters = &series.counters;
        self.counter(&names::LEGS_OFFERED, &labels, counters.offered);
        self.counter(&names::LEGS_ANSWERED, &labels, counters.outcome(Outcome::Answered));
        self.counter(&names::LEGS_ANSWERED_IN_TIME, &labels, counters.answered_in_time);
        self.counter(&names::LEGS_ABANDONED, &labels, counters.outcome(Outcome::Abandoned));
        self.counter(&names::LEGS_ABANDONED_SHORT, &labels, counters.outcome(Outcome::AbandonedShort));
        for outcome in Outcome::ALL.into_iter().filter(|outcome| !OWN_COUNTER.contains(outcome)) {
            let labels = [labels[0], labels[1], outcome.name()];
            self.counter(&names::LEGS_LEFT, &labels, counters.outcome(outcome));
        }
        self.counter(&names::CONTACTS, &labels, counters.contacts);
        let histograms = [
            (&names::WAIT, &counters.wait),
            (&names::HANDLE, &counters.handle),
            (&names::TALK, &counters.talk),
            (&names::HOLD, &counters.hold),
            (&names::ACW, &counters.acw),
            (&names::FIRST_RESPONSE, &counters.first_response),
        ];
        for (metric, histogram) in histograms {
            // A histogram has twenty samples: only queues of the configuration have empty ones.
            if series.configured || histogram.count() > 0 {
                self.histogram(metric, &labels, histogram);
            }
        }
    }

    fn gauges(&mut self, key: &SeriesKey, series: &Series, now: Millis, slot_ms: i64) {
        let labels = [&*key.queue, key.channel.as_str()];
        let longest = series.oldest_waiting_at.map_or(0, |at| now.saturating_sub(at).max(0));
        self.gauge(&names::LEGS_WAITING, &labels, series.waiting as f64);
        self.gauge(&names::LONGEST_WAIT, &labels, seconds(longest));
        self.gauge_if(&names::OLDEST_WAITING, &labels, series.oldest_waiting_at.map(seconds));
        self.gauge(&names::HANDLINGS_ACTIVE, &labels, series.active as f64);
        self.gauge(&names::SLOT_OFFERED, &labels, series.slot.offered as f64);
        self.gauge(&names::SLOT_ANSWERED, &labels, series.slot.answered as f64);
        let figure = |name, totals| figure(name, totals, slot_ms, series.service_level);
        self.gauge_if(&names::SLOT_ANSWER_RATE, &labels, figure("answer_rate", &series.slot));
        self.gauge_if(&names::SLOT_LOAD, &labels, figure("load_erlangs", &series.slot));
        self.gauge(&names::LEDGER_GAP, &labels, series.ledger_gap as f64);
        for (window, totals) in ROLLING.iter().zip(&series.rolling) {
            let labels = [labels[0], labels[1], window.name];
            self.gauge_if(&names::ROLLING_ANSWER_RATE, &labels, figure("answer_rate", totals));
            self.gauge_if(&names::ROLLING_ABANDON_RATE, &labels, figure("abandon_rate", totals));
            self.gauge_if(&names::ROLLING_SERVICE_LEVEL, &labels, figure("service_level", totals));
            self.gauge_if(&names::ROLLING_ASA, &labels, figure("asa_seconds", totals));
            self.gauge_if(&names::ROLLING_AHT, &labels, figure("aht_seconds", totals));
        }
    }

    /// What was said.
    fn words(&mut self, summary: &Summary) {
        for (key, &times) in &summary.keywords {
            self.counter(&names::KEYWORD_HITS, &[&key.category, key.speaker.as_str(), &key.queue], times);
        }
        for ((rule, queue), &times) in &summary.findings {
            self.counter(&names::FINDINGS, &[rule.as_str(), queue], times);
        }
        for (window, moods) in ROLLING.iter().zip(&summary.moods) {
            for (speaker, mood) in Speaker::ALL.iter().zip(moods) {
                self.gauge_if(&names::ROLLING_SENTIMENT, &[speaker.as_str(), window.name], mood.mean());
            }
        }
    }

    fn pipeline(&mut self, stats: &Stats) {
        for ((topic, kind), &count) in &stats.events {
            self.counter(&names::EVENTS, &[topic, kind.as_str()], count);
        }
        for ((topic, reason), &count) in &stats.rejects {
            self.counter(&names::REJECTS, &[topic, reason.as_str()], count);
        }
        self.counter(&names::DUPLICATES, &[], stats.duplicates());
        self.counter(&names::LATE_EVENTS, &[], stats.late_events);
        self.counter(&names::RESTATEMENTS, &[], stats.restatements);
        self.counter(&names::UNKNOWN_FIELDS, &[], stats.unknown_fields);
        self.counter(&names::SPLIT_CONTACTS, &[], stats.split_contacts);
        if let Some((instances, missing)) = stats.fleet {
            self.gauge(&names::FLEET_INSTANCES, &[], instances as f64);
            self.gauge(&names::FLEET_MISSING, &[], missing as f64);
        }
        for ((topic, partition), of) in &stats.partitions {
            let partition = partition.to_string();
            let labels = [topic.as_str(), partition.as_str()];
            self.counter(&names::RECORDS_CONSUMED, &labels, of.consumed);
            self.counter(&names::RECORDS_APPLIED, &labels, of.applied);
            self.counter(&names::RECORDS_DUPLICATE, &labels, of.duplicates);
            self.counter(&names::RECORDS_REJECTED, &labels, of.rejects);
            self.counter(&names::RECORDS_MISSING, &labels, of.missing);
            self.gauge_if(&names::CONSUMER_LAG, &labels, of.lag.map(|lag| lag as f64));
            self.gauge_if(&names::WATERMARK, &labels, of.watermark.map(seconds));
        }
        self.gauge(&names::OPEN_CONTACTS, &[], stats.open_contacts as f64);
        self.histogram(&names::LAKE_COMMIT, &[], &stats.lake_commit);
        self.counter(&names::LAKE_FAILURES, &[], stats.lake_failures);
        self.histogram(&names::EVENT_LATENCY, &[], &stats.event_latency);
        for ((rule, severity), &count) in &stats.alerts_raised {
            self.counter(&names::ALERTS_RAISED, &[rule, severity], count);
        }
        for ((rule, severity), &count) in &stats.alerts_open {
            self.gauge(&names::ALERTS_OPEN, &[rule, severity], count as f64);
        }
        for ((target, result), &count) in &stats.alert_deliveries {
            self.counter(&names::ALERT_DELIVERIES, &[target, result], count);
        }
        self.histogram(&names::ALERT_LATENCY, &[], &stats.alert_latency);
        self.counter(&names::ALERTS_UNSTAFFED, &[], stats.alerts_unstaffed);
        self.counter(&names::ALERT_ESCALATIONS, &[], stats.alert_escalations);
        for ((file, result), &count) in &stats.reloads {
            self.counter(&names::RELOADS, &[file, result], count);
        }
        for ((queue, channel), plan) in &stats.plans {
            let labels = [queue.as_str(), channel.as_str()];
            self.gauge_if(&names::SLOT_FORECAST, &labels, plan.forecast_contacts);
            self.gauge_if(&names::SLOT_REQUIRED, &labels, plan.agents_required.map(|agents| agents as f64));
            self.gauge_if(&names::SLOT_STAFFED, &labels, plan.agents_staffed);
        }
    }

    fn counter(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        let mut counter = proto::Counter::default();
        counter.set_value(value as f64);
        self.sample(metric, labels, |sample| sample.set_counter(counter));
    }

    fn gauge(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        self.sample(metric, labels, |sample| sample.set_gauge(gauge));
    }

    /// A gauge that is absent where there is nothing to tell.
    fn gauge_if(&mut self, metric: &'static Metric, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.gauge(metric, labels, value);
        }
    }

    fn histogram(&mut self, metric: &'static Metric, labels: &[&str], histogram: &Histogram) {
        let buckets = histogram.cumulative().map(|(edge, below)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(seconds(edge));
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut out = proto::Histogram::default();
        out.set_bucket(buckets.collect());
        out.set_sample_count(histogram.count());
        out.set_sample_sum(seconds(histogram.sum_ms()));
        self.sample(metric, labels, |sample| sample.set_histogram(out));
    }

    fn sample(&mut self, metric: &'static Metric, labels: &[&str], fill: impl FnOnce(&mut proto::Metric)) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let pairs = metric.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut sample = proto::Metric::default();
        sample.set_label(pairs.collect());
        fill(&mut sample);
        let family = self.0.entry(metric.name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                MetricKind::Counter => MetricType::COUNTER,
                MetricKind::Gauge => MetricType::GAUGE,
                MetricKind::Histogram => MetricType::HISTOGRAM,
            });
            family
        });
        family.mut_metric().push(sample);
    }
}

/// The figure of the catalogue over `totals`; `None` without traffic.
pub(super) fn figure(name: &str, totals: &Totals, slot_ms: i64, formula: ServiceLevel) -> Option<f64> {
    let kpi = kpi(name).expect("the names stand in the catalogue, which a test checks");
    kpi.measure.value(totals, slot_ms, formula)
}

/// ms as seconds.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}
