//! The real binary in a directory of its own, and files of simulated events.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callpulse::simulate::Books;
use callpulse::time::format_time;

/// The figures that the simulated centre's books have.
pub(crate) const BOOKED: &str = "offered,answered,abandoned,abandoned_short,overflow,callback,exit_key,timeout,no_agent,closed,error,waiting,answered_in_time,wait_ms_sum";

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Holds that the command succeeded; its stdout.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callpulse"));
    // What the developer's shell says must not matter.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CALLPULSE_"))
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).env("RUST_BACKTRACE", "0");
    command
}

/// Runs the binary to its end.
pub(crate) fn callpulse<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    let done = binary().args(arguments).output().expect("the binary can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: done.status.code().unwrap_or(-1), out: text(done.stdout), err: text(done.stderr) }
}

/// A directory that is gone after the test.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("a directory of its own") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file of its own can be written");
        path
    }

    /// Simulated events, and the centre's books as CSV.
    pub(crate) fn simulated(&self, contacts: u32, seed: u32) -> (PathBuf, String) {
        let (events, books) =
            (self.path(&format!("events-{seed}.jsonl")), self.path(&format!("books-{seed}.csv")));
        let (contacts, seed) = (contacts.to_string(), seed.to_string());
        let arguments = ["simulate", "--contacts", &contacts, "--seed", &seed, "--rate", "20", "--out"];
        let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        all.extend([events.as_os_str(), OsStr::new("--books"), books.as_os_str()]);
        callpulse(all).ok();
        let books = std::fs::read_to_string(&books).expect("the books were written");
        (events, books)
    }

    /// Replays these files into the lake of this name.
    pub(crate) fn replay(&self, lake: &str, files: &[&Path]) -> Ran {
        let lake = self.path(lake);
        let mut all = vec![OsStr::new("replay"), OsStr::new("--data-dir"), lake.as_os_str()];
        all.extend(files.iter().map(|path| path.as_os_str()));
        callpulse(all)
    }

    /// Asks the lake of this name; the answer as CSV.
    pub(crate) fn sql(&self, lake: &str, sql: &str) -> Ran {
        let lake = self.path(lake);
        callpulse([
            OsStr::new("sql"),
            OsStr::new(sql),
            OsStr::new("--format"),
            OsStr::new("csv"),
            OsStr::new("--data-dir"),
            lake.as_os_str(),
        ])
    }

    /// One number of the lake of this name.
    #[track_caller]
    pub(crate) fn number(&self, lake: &str, sql: &str) -> i64 {
        let answer = self.sql(lake, sql).ok();
        let cell = answer.lines().nth(1).unwrap_or_default();
        cell.parse().unwrap_or_else(|_| panic!("`{sql}` answered {answer:?}"))
    }
}

/// The query whose answer is the books.
pub(crate) fn as_books() -> String {
    format!(
        "select to_char(slot_start, '%Y-%m-%dT%H:%M:%S.000Z') as slot_start, channel, queue, {BOOKED} \
         from kpi_slot where offered > 0 order by slot_start, channel, queue"
    )
}

/// The books as the query [`as_books`] answers them: rows of slots in which something was offered.
pub(crate) fn books_csv(books: &Books) -> String {
    let mut csv = format!("slot_start,channel,queue,{BOOKED}\n");
    for ((slot, channel, queue), row) in books.rows().iter().filter(|(_, row)| row.offered > 0) {
        let figures = [
            row.offered,
            row.answered,
            row.abandoned,
            row.abandoned_short,
            row.overflow,
            row.callback,
            row.exit_key,
            row.timeout,
            row.no_agent,
            row.closed,
            row.error,
            row.waiting,
            row.answered_in_time,
            row.wait_ms_sum,
        ];
        let figures: Vec<String> = figures.iter().map(ToString::to_string).collect();
        csv.push_str(&format!("{},{channel},{queue},{}\n", format_time(*slot), figures.join(",")));
    }
    csv
}

/// Rows of a books file in which something was offered.
pub(crate) fn offered_only(books: &str) -> String {
    let rows = books.lines().filter(|line| line.split(',').nth(3) != Some("0"));
    rows.map(|line| format!("{line}\n")).collect()
}

/// A process that is watched; it ends with its watcher.
pub(crate) struct Running {
    child: Child,
    err: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Running {
        let mut child = binary()
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let err = Arc::new(Mutex::new(String::new()));
        let (lines, into) = (child.stderr.take().expect("stderr is piped"), Arc::clone(&err));
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let mut err = into.lock().expect("nobody panics with the lock");
                err.push_str(&line);
                err.push('\n');
            }
        });
        Running { child, err }
    }

    pub(crate) fn err(&self) -> String {
        self.err.lock().expect("nobody panics with the lock").clone()
    }

    /// The first `http://…` that it prints.
    #[track_caller]
    pub(crate) fn address(&mut self) -> String {
        self.until("an address", Duration::from_secs(60), |running| {
            let err = running.err();
            let at = err.find("http://127.0.0.1:")?;
            let rest = &err[at..];
            let end = rest["http://".len()..].find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')));
            end.map(|end| rest[.."http://".len() + end].to_owned())
        })
    }

    /// Looks again until there is an answer; the process must go on meanwhile.
    #[track_caller]
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        max: Duration,
        mut look: impl FnMut(&Running) -> Option<T>,
    ) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            if let Some(status) = self.child.try_wait().expect("its state can be asked for") {
                panic!("waiting for {what}, the process ended with {status}:\n{}", self.err());
            }
            assert!(began.elapsed() < max, "no {what} within {max:?}:\n{}", self.err());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state can be asked for").is_none()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for the end; its exit code.
    #[track_caller]
    pub(crate) fn end(mut self, max: Duration) -> (i32, String) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state can be asked for") {
                // What it said last may still be on its way.
                std::thread::sleep(Duration::from_millis(100));
                return (status.code().unwrap_or(-1), self.err());
            }
            assert!(began.elapsed() < max, "no end within {max:?}:\n{}", self.err());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// SIGTERM, and waits for the end.
    #[track_caller]
    pub(crate) fn terminate(self) -> (i32, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill is there");
        assert!(sent.success(), "process {id} can be told to end");
        self.end(Duration::from_secs(90))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page or an answer over HTTP; `None` while nobody answers.
pub(crate) fn get(url: &str) -> Option<String> {
    over_http(reqwest::Client::new().get(url))
}

/// One statement over HTTP; the answer as JSON rows.
pub(crate) fn ask(address: &str, sql: &str) -> Option<Vec<serde_json::Value>> {
    let request = reqwest::Client::new()
        .post(format!("{address}/api/v1/sql"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(serde_json::json!({ "sql": sql }).to_string());
    serde_json::from_str(&over_http(request)?).ok()
}

/// Whether an answer over HTTP says that it lacks rows, and which; `None` while nobody answers.
pub(crate) fn ask_missing(address: &str, sql: &str) -> Option<Option<String>> {
    let request = reqwest::Client::new()
        .post(format!("{address}/api/v1/sql"))
        .header("content-type", "application/json")
        .body(serde_json::json!({ "sql": sql }).to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let answer = request.timeout(Duration::from_secs(20)).send().await.ok()?;
        let missing =
            answer.headers().get("x-callpulse-missing").map(|value| value.to_str().ok().map(str::to_owned));
        answer.status().is_success().then(|| missing.flatten())
    })
}

/// A POST of JSON; the status and the answer as JSON.
pub(crate) fn post(url: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
    let request =
        reqwest::Client::new().post(url).header("content-type", "application/json").body(body.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let answer = request.timeout(Duration::from_secs(20)).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap_or_default()).unwrap_or_default())
    })
}

fn over_http(request: reqwest::RequestBuilder) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let answer = request.timeout(Duration::from_secs(20)).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.text().await.ok()
    })
}
