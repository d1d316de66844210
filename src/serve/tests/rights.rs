//! The matrix of the pages: every role and every path. Paths come from the router itself, so that one without a decision
//! here fails.

use super::*;
use crate::access::{Role, Users};

/// Who may come in by a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Also who has not said who it is.
    Everybody,
    /// Who has come in; what is shown is cut down to them.
    Known,
    /// Who sees all departments.
    AllRows,
    /// Who sees departments and customers.
    Customers,
    /// Administrators.
    Admins,
}

impl For {
    fn lets_in(self, role: Option<Role>) -> bool {
        match (self, role) {
            (For::Everybody, _) => true,
            (_, None) => false,
            (For::Known, Some(_)) => true,
            (For::AllRows, Some(role)) => matches!(role, Role::Analyst | Role::Supervisor | Role::Admin),
            (For::Customers, Some(role)) => matches!(role, Role::Supervisor | Role::Admin),
            (For::Admins, Some(role)) => role == Role::Admin,
        }
    }
}

/// What was decided, path by path. Who adds a path decides here too.
const DECISIONS: &[(&str, For)] = &[
    ("/", For::Known),
    ("/login", For::Everybody),
    ("/logout", For::Everybody),
    ("/login.css", For::Everybody),
    ("/wallboard.js", For::Everybody),
    ("/wallboard.css", For::Everybody),
    ("/common.js", For::Everybody),
    ("/chart.js", For::Everybody),
    ("/contacts/{id}", For::Known),
    ("/contact.js", For::Everybody),
    ("/contact.css", For::Everybody),
    ("/sql", For::Known),
    ("/sql.js", For::Everybody),
    ("/sql.css", For::Everybody),
    ("/sql-examples.json", For::Known),
    ("/favicon.svg", For::Everybody),
    ("/favicon.ico", For::Everybody),
    ("/metrics", For::AllRows),
    ("/healthz", For::Everybody),
    ("/readyz", For::Everybody),
    ("/api/v1/live", For::Known),
    ("/api/v1/stream", For::Known),
    ("/api/v1/contacts/{id}", For::Known),
    ("/api/v1/catalog", For::Known),
    ("/alerts", For::Known),
    ("/alerts.js", For::Everybody),
    ("/alerts.css", For::Everybody),
    ("/api/v1/alerts", For::Customers),
    ("/api/v1/alerts/stream", For::Customers),
    ("/api/v1/alerts/silence", For::Customers),
    ("/api/v1/alerts/{id}/ack", For::Customers),
    ("/api/v1/alerts/{id}/resolve", For::Customers),
    ("/api/v1/alertmanager", For::Customers),
    ("/api/v1/oncall", For::Customers),
    ("/api/v1/advice", For::Known),
    ("/api/v1/advice/stream", For::Known),
    ("/api/v1/sql", For::Known),
    ("/api/v1/events", For::Admins),
    ("/api/v1/fleet/rows", For::Admins),
    ("/api/v1/openapi.json", For::Known),
];

/// A server with a user of each role, whose token is the role's name.
async fn with_roles() -> Running {
    use sha2::{Digest, Sha256};
    let mut users = String::new();
    for role in Role::ALL {
        let name = role.name();
        let hash = Sha256::digest(name).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        users.push_str(&format!(
            "[[user]]\nname = \"{name}\"\nrole = \"{name}\"\nagent_id = \"a1\"\ndepartments = [\"retail\"]\n\
             tokens = [\"sha256:{hash}\"]\n"
        ));
    }
    let access = Access::of(Users::parse("users.toml", &users).expect("users"));
    let departments = [("sales", "retail"), ("cards", "bank")];
    let departments = departments.map(|(queue, department)| (queue.to_owned(), department.to_owned()));
    let options = Options::new(Grid::new(Shanghai, 30).expect("a grid"));
    let audit = Arc::new(crate::access::Audit::kept_in_memory(Arc::new(Still)));
    let site = Site {
        engine: Arc::new(Engine::new(options, Arc::new(Nothing)).expect("an engine").with_audit(audit)),
        metrics: Arc::new(|| "callpulse_x 1\n".to_owned()),
        live: Arc::new(|| {
            json!({
                "now": NOW, "agents": { "busy": 7 }, "missing": ["calls-3"], "what comes next": 1,
                "queues": [{ "queue": "sales" }, { "queue": "cards" }],
            })
        }),
        health: Arc::new(|| Health { alive: true, ready: true, reasons: Vec::new() }),
        intake: None,
        alerts: Alerts::none(),
        clock: Arc::new(Still),
        access: Arc::new(access),
        tls: None,
        departments: Arc::new(HashMap::from(departments)),
        fleet: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let ended = tokio::spawn(run(listener, site, stop.clone()));
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    Running { address, stop, client, ended }
}

#[tokio::test]
async fn each_role_comes_in_by_the_paths_that_were_decided() {
    let running = with_roles().await;
    let mut decided: Vec<&str> = DECISIONS.iter().map(|(path, _)| *path).collect();
    let mut refused = 0;
    for (path, method, _) in routes() {
        let decision = DECISIONS.iter().find(|(decided, _)| *decided == path);
        let (_, decision) =
            decision.unwrap_or_else(|| panic!("`{path}` is new: decide here who may come in"));
        decided.retain(|other| *other != path);
        for role in std::iter::once(None).chain(Role::ALL.map(Some)) {
            let url = running.url(&path.replace("{id}", "x"));
            let request = if method == "post" { running.client.post(url) } else { running.client.get(url) };
            let request = match role {
                Some(role) => request.bearer_auth(role.name()),
                None => request,
            };
            let status = request.send().await.expect("an answer").status();
            let who = role.map_or("nobody", Role::name);
            match (decision.lets_in(role), role) {
                (true, _) => {
                    let out = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
                    assert!(!out.contains(&status), "{who} is kept out of {path}: {status}");
                }
                (false, Some(_)) => assert_eq!(status, StatusCode::FORBIDDEN, "{who} comes in by {path}"),
                (false, None) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{who} comes in by {path}"),
            }
            refused += usize::from(!decision.lets_in(role));
        }
    }
    assert!(decided.is_empty(), "these paths are gone: {decided:?}");
    assert!(refused > 40, "{refused} refusals");
}

#[tokio::test]
async fn figures_and_streams_are_cut_down_to_their_reader() {
    let running = with_roles().await;
    for role in Role::ALL {
        let get = |path: &str| running.get(path).bearer_auth(role.name()).send();
        let live: Value = get("/api/v1/live").await.expect("an answer").json().await.expect("JSON");
        let mut stream = get("/api/v1/stream").await.expect("an answer");
        let first = stream.chunk().await.expect("bytes").expect("an event");
        let first = String::from_utf8_lossy(&first).into_owned();
        let data = first.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        // The stream says what the page says.
        assert_eq!(serde_json::from_str::<Value>(data).expect("JSON"), live, "{role:?}");
        let queues: Vec<&str> = live["queues"]
            .as_array()
            .expect("queues")
            .iter()
            .filter_map(|queue| queue["queue"].as_str())
            .collect();
        let wanted: &[&str] = match role {
            Role::Agent => &[],
            Role::Lead => &["sales"],
            Role::Analyst | Role::Supervisor | Role::Admin => &["sales", "cards"],
        };
        assert_eq!(queues, wanted, "{role:?}");
        let whole = matches!(role, Role::Analyst | Role::Supervisor | Role::Admin);
        for member in ["agents", "what comes next"] {
            assert_eq!(live.get(member).is_some(), whole, "{role:?} {member}: {live}");
        }
        // What is missing is said to everybody: nobody takes a part for the whole.
        assert_eq!(live["missing"], json!(["calls-3"]), "{role:?}");
    }
}
