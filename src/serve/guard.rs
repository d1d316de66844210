//! Who may come in, and where to.
//!
//! Without users: a client on this machine that speaks to this server itself. A page from elsewhere can make a browser on
//! this machine send requests here, under a name of its own (DNS rebinding) or as its own origin; and a proxy on this
//! machine would make the whole network look like loopback. All three show in headers.
//!
//! With users: whoever shows a token, or has logged in. A page from elsewhere still shows by its origin.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::problem;
use crate::access::{Access, Audit, Denied, Door, Identity, Outcome, Record, Role, basic};

/// The name of the cookie that a login gives.
pub(super) const COOKIE: &str = "callpulse";

/// Where platforms send their records.
const EVENTS: &str = "/api/v1/events";

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Who has come in; every handler behind the guard may ask for it.
#[derive(Debug, Clone)]
pub(super) struct Who(pub(super) Arc<Identity>);

/// The topic of the platform that sends, which may send to no other.
#[derive(Debug, Clone)]
pub(super) struct SourceTopic(pub(super) String);

/// What the guard holds requests against.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    address: IpAddr,
    access: Arc<Access>,
    audit: Option<Arc<Audit>>,
}

/// Who may ask for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Everybody, also who has not come in: nothing of the centre is there.
    Nobody,
    /// Everybody who has come in; the handler cuts down what it shows.
    Anybody,
    /// Roles that see all departments: what is there is not cut down.
    AllRows,
    /// Roles that see all departments and customers: alerts name both.
    Customers,
    /// Administrators: what comes in there changes the figures.
    Admin,
}

impl Needs {
    fn allows(self, role: Role) -> bool {
        match self {
            Self::Nobody | Self::Anybody => true,
            Self::AllRows => matches!(role, Role::Analyst | Role::Supervisor | Role::Admin),
            Self::Customers => matches!(role, Role::Supervisor | Role::Admin),
            Self::Admin => role == Role::Admin,
        }
    }
}

/// A path that is not here shows everything, so only who may see everything may ask for it.
fn needs(path: &str) -> Needs {
    // Scripts, styles and pictures are the same for everybody, and tell nothing of the centre.
    let is_file = [".js", ".css", ".svg", ".ico"].iter().any(|end| path.ends_with(end))
        && path.matches('/').count() == 1;
    match path {
        "/healthz" | "/readyz" | "/login" | "/logout" => Needs::Nobody,
        _ if is_file => Needs::Nobody,
        EVENTS | "/api/v1/fleet/rows" => Needs::Admin,
        "/api/v1/alertmanager" | "/api/v1/oncall" => Needs::Customers,
        _ if path.starts_with("/api/v1/alerts") => Needs::Customers,
        // Agents get their own.
        "/api/v1/advice" | "/api/v1/advice/stream" => Needs::Anybody,
        // What is asked of SQL, with the reader's rights.
        _ if path.starts_with("/contacts/") || path.starts_with("/api/v1/contacts/") => Needs::Anybody,
        // Pages without figures of their own: they ask for them with the reader's rights.
        "/"
        | "/alerts"
        | "/sql"
        | "/sql-examples.json"
        | "/api/v1/sql"
        | "/api/v1/live"
        | "/api/v1/stream"
        | "/api/v1/catalog"
        | "/api/v1/openapi.json" => Needs::Anybody,
        _ => Needs::AllRows,
    }
}

/// Why a request is refused.
struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn forbidden(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, reason: reason.into() }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, reason: reason.into() }
    }
}

impl Guard {
    pub(super) fn new(address: SocketAddr, access: Arc<Access>, audit: Option<Arc<Audit>>) -> Self {
        Self { address: address.ip(), access, audit }
    }

    /// Why the request is refused without users, if it is.
    fn foreign(&self, request: &Request) -> Option<String> {
        let headers = request.headers();
        let passed_on = headers.keys().map(|name| name.as_str()).find(|name| {
            *name == "forwarded" || *name == "x-real-ip" || *name == "via" || name.starts_with("x-forwarded")
        });
        if let Some(name) = passed_on {
            return Some(format!("the request was passed on by a proxy (`{name}`)"));
        }
        let Some(host) = only(headers, header::HOST) else {
            return Some("the request names no host, or several".to_owned());
        };
        let authority = request.uri().authority().map(|authority| authority.as_str());
        for name in [Some(host), authority].into_iter().flatten() {
            if !self.is_ours(name) {
                return Some(format!("the host `{name}` is foreign"));
            }
        }
        None
    }

    /// Why the request's origin is not a page of ours, if it is not.
    fn foreign_origin(request: &Request) -> Option<String> {
        let headers = request.headers();
        let origin = headers.get(header::ORIGIN)?;
        let host = only(headers, header::HOST).unwrap_or_default();
        let ours = [format!("http://{host}"), format!("https://{host}")];
        let is_ours = origin.to_str().is_ok_and(|origin| ours.iter().any(|ours| ours == origin));
        (!is_ours).then(|| format!("the origin `{}` is foreign", String::from_utf8_lossy(origin.as_bytes())))
    }

    /// Tells whether a host, with or without a port, is a name of this machine's own.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let known: [IpAddr; 3] = [
            IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
            self.address,
        ];
        name.parse::<IpAddr>().is_ok_and(|address| known.contains(&address))
    }

    /// The topic of the platform whose token the request has.
    fn source(&self, request: &Request) -> Option<String> {
        let value = only(request.headers(), header::AUTHORIZATION)?;
        let (word, token) = value.split_once(' ')?;
        word.eq_ignore_ascii_case("bearer")
            .then(|| self.access.source(token.trim()).map(str::to_owned))
            .flatten()
    }

    /// Who asks.
    fn identify(&self, request: &Request, peer: SocketAddr) -> Result<Identity, Refusal> {
        if !self.access.asks() {
            if let Some(reason) = self.foreign(request) {
                return Err(Refusal::forbidden(reason));
            }
            let nobody = || Refusal::forbidden("without users, only clients on this machine are served");
            return self.access.unasked(peer.ip()).ok_or_else(nobody);
        }
        let headers = request.headers();
        let (word, secret) = match headers.get(header::AUTHORIZATION).map(HeaderValue::to_str) {
            Some(Ok(value)) => value.split_once(' ').unwrap_or((value, "")),
            Some(Err(_)) => return Err(Refusal::unknown("the authorization is no text")),
            None => match cookie(headers) {
                Some(token) => ("bearer", token),
                None => return Err(Refusal::unknown("nobody is logged in")),
            },
        };
        if self.access.must_wait(peer.ip()) {
            return Err(Refusal {
                status: StatusCode::TOO_MANY_REQUESTS,
                reason: "too many wrong passwords or tokens from this address; wait a minute".to_owned(),
            });
        }
        let found = if word.eq_ignore_ascii_case("bearer") {
            self.access.by_token(secret.trim())
        } else if word.eq_ignore_ascii_case("basic") {
            let found = basic(secret).and_then(|(user, password)| self.access.by_password(&user, &password));
            found.ok_or(Denied::Unknown)
        } else {
            return Err(Refusal::unknown(format!("`{word}` is not a way to come in; Bearer and Basic are")));
        };
        found.map_err(|denied| {
            // Whoever shows what the issuer has signed does not guess.
            if denied == Denied::Unknown {
                self.access.note_failure(peer.ip());
            }
            Refusal::unknown(denied.reason())
        })
    }

    fn note(&self, who: Option<&Identity>, peer: SocketAddr, request: &Request, reason: &str) {
        let Some(audit) = &self.audit else {
            tracing::warn!(
                target: "audit",
                %peer,
                method = %request.method(),
                path = request.uri().path(),
                reason,
                "a request was refused"
            );
            return;
        };
        let what = format!("{} {}", request.method(), request.uri().path());
        audit.note(&Record {
            who,
            peer: Some(peer),
            door: Door::Http,
            what: &what,
            outcome: Outcome::Refused,
            rows: 0,
            took: Duration::ZERO,
            why: Some(reason),
        });
    }
}

fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::to_str)?.ok()?;
    values.next().is_none().then_some(value)
}

/// The token of the login cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Lets a request through or refuses it.
pub(super) async fn check(
    State(guard): State<Guard>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let needs = needs(request.uri().path());
    if let Some(reason) = Guard::foreign_origin(&request) {
        return refuse(&guard, None, peer, &request, Refusal::forbidden(reason));
    }
    if request.uri().path() == EVENTS
        && let Some(topic) = guard.source(&request)
    {
        request.extensions_mut().insert(SourceTopic(topic));
        return next.run(request).await;
    }
    let who = match guard.identify(&request, peer) {
        Ok(who) => who,
        Err(refusal) if needs == Needs::Nobody && refusal.status == StatusCode::UNAUTHORIZED => {
            return next.run(request).await;
        }
        Err(refusal) => return refuse(&guard, None, peer, &request, refusal),
    };
    if !needs.allows(who.role) {
        let reason = format!("the role `{}` may not see or do this", who.role.name());
        return refuse(&guard, Some(&who), peer, &request, Refusal::forbidden(reason));
    }
    request.extensions_mut().insert(Who(Arc::new(who)));
    next.run(request).await
}

fn refuse(
    guard: &Guard,
    who: Option<&Identity>,
    peer: SocketAddr,
    request: &Request,
    refusal: Refusal,
) -> Response {
    guard.note(who, peer, request, &refusal.reason);
    // A browser that asks for a page is sent to the login.
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_page = request.method() == Method::GET && accepts.is_some_and(|kinds| kinds.contains("text/html"));
    if refusal.status == StatusCode::UNAUTHORIZED && is_page {
        return Redirect::to("/login").into_response();
    }
    let hint = match (guard.access.asks(), refusal.status) {
        (false, _) => {
            "without a users file, only clients on this machine are served, and only by its own names"
        }
        (true, StatusCode::UNAUTHORIZED) => "send `Authorization: Bearer TOKEN`, or log in at /login",
        (true, _) => "ask for another role",
    };
    let mut response = problem(refusal.status, &refusal.reason, Some(hint));
    if refusal.status == StatusCode::UNAUTHORIZED {
        let ways = HeaderValue::from_static("Bearer realm=\"callpulse\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, ways);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_platform_opens_one_topic_and_nothing_else() {
        let token = "a token that nobody guesses".to_owned();
        let access = Access::local_only().with_sources([(token.clone(), "pbx".to_owned())]);
        let guard = Guard::new(SocketAddr::from(([127, 0, 0, 1], 8080)), Arc::new(access), None);
        let topic = |authorization: &str| {
            let request = Request::builder().uri(EVENTS).header(header::AUTHORIZATION, authorization);
            guard.source(&request.body(axum::body::Body::empty()).expect("a request"))
        };
        assert_eq!(topic(&format!("Bearer {token}")).as_deref(), Some("pbx"));
        assert_eq!(topic(&format!("bearer  {token}")).as_deref(), Some("pbx"));
        assert_eq!(topic("Bearer another token"), None);
        assert_eq!(topic(&format!("Basic {token}")), None);
        assert_eq!(topic(""), None);
    }

    #[test]
    fn a_path_that_nobody_decided_upon_is_for_those_who_see_everything() {
        assert_eq!(needs("/metrics"), Needs::AllRows);
        assert_eq!(needs("/api/v1/what-comes-next"), Needs::AllRows);
        assert_eq!(needs("/contacts/x.js"), Needs::Anybody);
        assert_eq!(needs("/api/v1/alerts/1/ack"), Needs::Customers);
        assert_eq!(needs("/api/v1/advice/stream"), Needs::Anybody);
        assert_eq!(needs("/api/v1/events"), Needs::Admin);
        assert_eq!(needs("/healthz"), Needs::Nobody);
        assert_eq!(needs("/wallboard.js"), Needs::Nobody);
        assert_eq!(needs("/api/v1/sql"), Needs::Anybody);
    }

    #[test]
    fn the_login_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; callpulse=cp_x; callpulse2=no"));
        assert_eq!(cookie(&headers), Some("cp_x"));
        headers.clear();
        headers.append(header::COOKIE, HeaderValue::from_static("callpulse2=no"));
        assert_eq!(cookie(&headers), None);
    }
}
