//! The command line: what may be typed, and which part of the house does it.

mod backtest;
mod convert;
mod demo;
mod follow;
mod forecast;
mod maintain;
mod remote;
mod replay;
pub(in crate::app) mod sql;
mod telling;
mod text;
mod users;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::app::issuer::Issuer;
use crate::app::service::Service;
use crate::app::{Failure, doors, duty, lexicons, settings};
use crate::config::Config;
use crate::deliver::Post;
use crate::event::Speaker;
use crate::query::catalog;
use crate::time::{Clock, Millis, SystemClock, parse_time};

/// Real-time analytics for customer-service centres: call and chat events from Kafka become figures that add up.
#[derive(Debug, Parser)]
#[command(name = "callpulse", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Configuration file (TOML); every key has a default.
    #[arg(short = 'c', long = "config", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the lake is: a directory, or s3://bucket/prefix (feature `s3`). Overrides `data_dir`.
    #[arg(long, global = true, value_name = "D")]
    data_dir: Option<String>,
    /// Overrides one key of the configuration; repeatable.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// How log lines are written.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    log: String,
}

#[derive(Debug, Args)]
struct Listeners {
    /// Address of the pages, metrics and HTTP API; port 0 picks a free one.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address of the PostgreSQL wire, for psql, JDBC, Grafana and others.
    #[arg(long, value_name = "ADDR")]
    pg: Option<SocketAddr>,
    /// Address of Arrow Flight SQL.
    #[arg(long, value_name = "ADDR")]
    flight: Option<SocketAddr>,
}

/// How records are written.
#[derive(Debug, Args)]
struct Records {
    /// The records' format: callpulse, amazon-connect, genesys, twilio, asterisk-queue-log, freeswitch-callcenter, chatwoot
    /// or mapped.
    #[arg(long, default_value = "callpulse", value_name = "NAME")]
    format: String,
    /// The mapping of the format `mapped`.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Names for ids of queues and agents.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
}

impl Records {
    fn source(&self) -> Result<crate::decode::Source, Failure> {
        convert::source(&self.format, self.mapping.as_deref(), self.names.as_deref())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything on this machine with nothing installed: broker, simulated centre, pipeline, pages.
    Demo(demo::Demo),
    /// Runs the service on a real Kafka.
    Run {
        #[command(flatten)]
        listeners: Listeners,
    },
    /// Reads the configuration and prints every fault with file, line and hint.
    Check,
    /// Feeds files through the same pipeline as Kafka and commits everything.
    Replay {
        #[command(flatten)]
        records: Records,
        /// Files with one record a line, plain, .gz or .zst.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Writes a platform's records as canonical events, one JSON object a line.
    Convert {
        #[command(flatten)]
        records: Records,
        /// Says for each record what becomes of it, and with a mapping where each field comes from.
        #[arg(long)]
        explain: bool,
        /// Files with one record a line, plain, .gz or .zst.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Sends the lines of a log that grows and is rotated into a topic, such as Asterisk's queue_log.
    ///
    /// How far it was read is kept, so that a restart goes on there, also after the log was rotated.
    Follow(follow::Follow),
    /// Writes a realistic centre as canonical events.
    Simulate(demo::Simulation),
    /// Runs one SQL query, or a prompt without SQL text.
    Sql {
        /// The query.
        sql: Option<String>,
        /// A running server instead of a data directory, e.g. http://127.0.0.1:8080.
        #[arg(long, value_name = "U")]
        url: Option<String>,
        /// How the answer is written.
        #[arg(long, default_value = "table", value_parser = ["table", "csv", "json", "arrow"])]
        format: String,
    },
    /// Tidies the data directory at once, as the service does beside its work: joins small files, applies retention, and sums
    /// up the dates that are over.
    Maintain,
    /// Expects contacts, handle time and staff per slot, from what is in the data directory.
    ///
    /// Each forecast is kept as a version in the table `forecasts`. With --backtest it prints instead how wrong each model
    /// would have been; with --roster, coverage and scores under another roster.
    Forecast(forecast::Request),
    /// Runs alert rules over the stored history: hits, hits a day, samples, and how two files of rules differ.
    Backtest(backtest::Asked),
    /// Reads texts as messages are read: what they score, why, and how well that tells labels apart.
    Text {
        #[command(subcommand)]
        job: TextJob,
    },
    /// Prints every KPI, metric, table and column with unit, meaning and formula.
    Catalog {
        /// How it is written.
        #[arg(long, default_value = "md", value_parser = ["md", "json"])]
        format: String,
    },
    /// Keeps the users file: who may come in, with what role.
    User {
        #[command(subcommand)]
        what: UserCommand,
    },
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page.
    Man,
}

#[derive(Debug, Subcommand)]
enum TextJob {
    /// Writes sentiment and hits for each row of a CSV with a column `text`, as CSV.
    Score {
        /// The file; - is stdin.
        path: PathBuf,
        /// Who says the texts.
        #[arg(long, default_value = "customer", value_parser = speaker, value_name = "WHO")]
        speaker: Speaker,
    },
    /// Writes why a text scores what it scores.
    Explain {
        /// The text.
        text: String,
        /// Who says it.
        #[arg(long, default_value = "customer", value_parser = speaker, value_name = "WHO")]
        speaker: Speaker,
    },
    /// Writes precision, recall, F1 and AUC on a CSV with columns `label` and `text`.
    Eval {
        /// The file; - is stdin.
        path: PathBuf,
        /// The label to be told from the others.
        #[arg(long, value_name = "LABEL")]
        target: String,
        /// Looks only at rows with the target's label or this one.
        #[arg(long, value_name = "LABEL")]
        against: Option<String>,
        /// Who says the texts.
        #[arg(long, default_value = "customer", value_parser = speaker, value_name = "WHO")]
        speaker: Speaker,
    },
}

fn speaker(text: &str) -> Result<Speaker, String> {
    let known: Vec<&str> = Speaker::ALL.iter().map(|speaker| speaker.as_str()).collect();
    Speaker::parse(text).ok_or_else(|| format!("`{text}` is none of {}", known.join(", ")))
}

/// What is done with users.
#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Adds a user, or replaces one; without --password-stdin a password or token is made up and printed once.
    Add {
        /// The name.
        name: String,
        /// What the user may see.
        #[arg(long, value_name = "ROLE", value_parser = ["agent", "lead", "analyst", "supervisor", "admin"])]
        role: String,
        /// Which agent the user is; needed by role agent.
        #[arg(long, value_name = "ID")]
        agent_id: Option<String>,
        /// A department of the user; repeatable; needed by role lead.
        #[arg(long = "department", value_name = "NAME")]
        departments: Vec<String>,
        /// A token instead of a password, for programs.
        #[arg(long, conflicts_with = "password_stdin")]
        token: bool,
        /// Reads the password from the first line of stdin.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Prints the users, without secrets.
    List,
    /// Takes a user out.
    Remove {
        /// The name.
        name: String,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is not a time such as 60s, 5m or 2h"))?;
    let secs = match unit {
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "ms" => number / 1000.0,
        _ => return Err(format!("`{unit}` is no unit of time; there are ms, s, m and h")),
    };
    Duration::try_from_secs_f64(secs).map_err(|_| format!("`{text}` is no time that can be waited for"))
}

fn days(text: &str) -> Result<usize, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    number
        .parse()
        .ok()
        .filter(|days| (1..=366).contains(days))
        .ok_or_else(|| format!("`{text}` is not a number of days from 1d to 366d"))
}

fn time(text: &str) -> Result<Millis, String> {
    parse_time(text)
        .ok_or_else(|| format!("`{text}` is not RFC 3339 with an offset, such as 2026-03-02T08:00:00+08:00"))
}

/// Runs the command of these arguments.
///
/// # Errors
/// The failure that decides message and exit code.
pub fn run(arguments: Vec<std::ffi::OsString>) -> Result<(), Failure> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let text = error.render().to_string();
            return Err(Failure::usage(text.trim().trim_start_matches("error: ").to_owned()));
        }
        Err(help) => {
            print(help.render().to_string().as_bytes())?;
            return Ok(());
        }
    };
    start_log(&cli.common.log);
    let load = |extra: Vec<String>| load(&cli.common, extra);
    match cli.command {
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "callpulse", &mut out);
            print(&out)
        }
        Command::Man => {
            let mut out = Vec::new();
            let page = clap_mangen::Man::new(Cli::command());
            page.render(&mut out).map_err(|error| Failure::bug(error.to_string()))?;
            print(&out)
        }
        Command::Check => {
            let config = load(vec![])?;
            for warning in &config.warnings {
                eprintln!("{}", warning.as_warning());
            }
            let reader = lexicons::read(&config.lexicons)?;
            settings::consumer(&config)?;
            if let Some(users) = &config.users {
                doors::read_users(std::path::Path::new(users))?;
            }
            if let Some(oidc) = &config.oidc {
                Issuer::of(oidc, Arc::new(SystemClock))?;
            }
            let books = duty::read(&config).map_err(|faults| Failure::of_faults(&faults))?;
            for warning in duty::warnings(&config, &books, reader.categories(), SystemClock.now()) {
                eprintln!("{}", warning.as_warning());
            }
            for target in settings::targets(&config) {
                Post::check(&target).map_err(|why| {
                    Failure::config(format!("the target `{}` cannot be used: {why}", target.name))
                })?;
            }
            eprintln!("the configuration is right");
            Ok(())
        }
        Command::User { what } => {
            let config = load(vec![])?;
            match what {
                UserCommand::List => users::list(&config),
                UserCommand::Remove { name } => users::remove(&config, &name),
                UserCommand::Add { name, role, agent_id, departments, token, password_stdin } => {
                    let role = role.parse().map_err(Failure::usage)?;
                    users::add(
                        &config,
                        users::Add { name, role, agent_id, departments, token, password_stdin },
                    )
                }
            }
        }
        Command::Catalog { format } => {
            let config = load(vec![])?;
            let options = settings::query(&config, None);
            let metrics = sql::metric_descriptions();
            let text = match format.as_str() {
                "json" => serde_json::to_string_pretty(&catalog::as_json(&options, &metrics))
                    .map_err(|error| Failure::bug(error.to_string()))?,
                _ => catalog::as_markdown(&options, &metrics),
            };
            print(text.as_bytes())?;
            print(b"\n")
        }
        Command::Text { job } => {
            let reader = lexicons::read(&load(vec![])?.lexicons)?;
            match job {
                TextJob::Score { path, speaker } => text::score(&reader, &path, speaker),
                TextJob::Explain { text, speaker } => text::explain(&reader, &text, speaker),
                TextJob::Eval { path, target, against, speaker } => {
                    text::eval(&reader, &path, &target, against.as_deref(), speaker)
                }
            }
        }
        Command::Backtest(request) => {
            let config = load(vec![])?;
            runtime()?.block_on(backtest::backtest(&config, &request))
        }
        Command::Replay { records, paths } => {
            let source = records.source()?;
            let config = load(vec![])?;
            runtime()?.block_on(replay::replay(&config, &source, &paths))
        }
        Command::Convert { records, explain, paths } => {
            load(vec![])?;
            convert::convert(&records.source()?, &paths, explain)
        }
        Command::Simulate(request) => demo::simulate(&load(vec![])?, request),
        Command::Sql { sql, url, format } => match url {
            Some(url) => runtime()?.block_on(sql::remote(&url, sql.as_deref(), &format)),
            None => {
                let config = load(vec![])?;
                runtime()?.block_on(sql::local(&config, sql.as_deref(), &format))
            }
        },
        Command::Maintain => {
            let config = load(vec![])?;
            runtime()?.block_on(maintain::maintain(&config))
        }
        Command::Follow(request) => {
            let config = load(vec![])?;
            runtime()?.block_on(follow::follow(&config, request))
        }
        Command::Forecast(request) => {
            let config = load(vec![])?;
            runtime()?.block_on(forecast::forecast(&config, request))
        }
        Command::Run { listeners } => {
            let config = load(listener_sets(&listeners))?;
            warn(&config);
            runtime()?.block_on(serve(&config))
        }
        Command::Demo(request) => {
            let mut sets = listener_sets(&request.listeners);
            sets.extend(demo::sets(request.brokers.as_deref(), cli.common.data_dir.is_none())?);
            sets.extend(doors::free_doors(&[
                ("pg", request.listeners.pg),
                ("flight", request.listeners.flight),
            ]));
            let config = load(sets)?;
            let mut broker = None;
            let outcome = runtime()?.block_on(demo::demo(&config, request, &mut broker));
            drop(broker);
            outcome
        }
    }
}

fn listener_sets(listeners: &Listeners) -> Vec<String> {
    let all = [("http", listeners.http), ("pg", listeners.pg), ("flight", listeners.flight)];
    all.iter().filter_map(|(door, address)| Some(format!("{door}.listen=\"{}\"", (*address)?))).collect()
}

fn load(common: &Common, extra: Vec<String>) -> Result<Config, Failure> {
    // What a command needs stands below what was typed.
    let mut sets = extra;
    sets.extend(common.sets.iter().cloned());
    if let Some(dir) = &common.data_dir {
        sets.push(format!("data_dir={}", toml::Value::String(dir.clone())));
    }
    Config::load(common.config.as_deref(), std::env::vars(), &sets)
        .map_err(|faults| Failure::of_faults(&faults))
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{}", warning.as_warning());
    }
}

async fn serve(config: &Config) -> Result<(), Failure> {
    let mut service = Service::start(config, Arc::new(SystemClock)).await?;
    if let Some(address) = service.http {
        tracing::info!("pages, metrics and SQL: {}", doors::http_url(config, address));
    }
    if let Some(door) = &service.postgres {
        tracing::info!("PostgreSQL wire: postgresql://{}/callpulse", door.address);
    }
    if let Some(door) = &service.flight {
        tracing::info!("Arrow Flight SQL: {}", doors::flight_url(config, door.address));
    }
    let failure = tokio::select! {
        () = stop_signal() => None,
        failure = service.failed() => Some(failure),
    };
    if failure.is_none() {
        tracing::info!("stopping: what was read is made durable; a second signal ends at once");
        tokio::spawn(async {
            stop_signal().await;
            std::process::exit(130);
        });
    }
    match failure {
        Some(failure) => Err(failure),
        None => service.stop().await,
    }
}

/// Returns at SIGINT or SIGTERM.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::outside(format!("no threads can be started: {error}")))
}

fn start_log(format: &str) {
    use std::io::IsTerminal;

    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_from_env("CALLPULSE_LOG").unwrap_or_else(|_| {
        EnvFilter::new("warn,callpulse=info,audit=info,deltalake_core=error,buoyant_kernel=error")
    });
    let log =
        fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // A second start in one process (a test) keeps the first log.
    let _ = match format {
        "json" => log.json().try_init(),
        _ => log.with_target(false).try_init(),
    };
}

/// Writes data to stdout. A reader that has gone away (`head`) is no failure.
///
/// # Errors
/// Where stdout cannot be written for another reason.
pub(in crate::app) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::outside(format!("stdout cannot be written: {error}"))),
    }
}
