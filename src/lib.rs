//! callpulse: call and chat events from Kafka become figures that add up.
//!
//! The rooms, in reading order (ARCHITECTURE.md is the map; a room imports rooms above it only):

pub mod access; // who may come in: users, roles, passwords, tokens, and the log of what they asked
pub mod alert; // the life of alerts: raised, delivered, acknowledged, resolved; who is told, and who next
pub mod app; // the only place where rooms meet
pub mod calendar; // which days are worked, and what is due by a time of day of a later one
pub mod config; // the file as written, and what the rooms need
pub mod correlate; // joins the events of one contact into legs and handlings, in any order
pub mod decode; // bytes of one record to one event, or a reject with its reason
pub mod deliver; // Alertmanager, webhooks, group robots, mail, SMS
pub mod event; // what can happen in a centre: call, chat, agent state, transcript, survey, complaint
pub mod facts; // the tables: columns, their meaning, rows and builders (Arrow)
pub mod flight; // Arrow Flight SQL: large answers in Arrow batches
pub mod forecast; // staff needed for a load: Erlang C and A
pub mod ingest; // Kafka: assignment, positions, back-pressure; files for replay; the embedded broker
pub mod kpi; // the sums a slot keeps, and the catalogue: each figure's name, unit, meaning and formula
pub mod lake; // Delta tables and snapshots: appends closed rows once, finds them again
pub mod metrics; // gives numbers their Prometheus names
pub mod mimic; // speaks the languages of platforms: canonical events to the records they would have written
pub mod postgres; // the PostgreSQL wire: psql, JDBC, psycopg, Grafana
pub mod privacy; // masks personal data in texts, before they are stored
pub mod query; // DataFusion: tables, views, functions
pub mod roster; // who is on duty when, for which queues
pub mod rules; // what in a contact or in the figures is worth somebody's attention
pub mod serve; // HTTP: pages, metrics, SQL, health
pub mod simulate; // a centre that looks real, with its own books
pub mod text; // reads what people say: sentiment and phrases, by published rules
pub mod time; // event time, slots of the centre's day, and the one clock
pub mod window; // folds legs and handlings into slots, rolling windows and counters
