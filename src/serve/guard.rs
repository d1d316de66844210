//! Who may come in: a client on this machine that speaks to this server itself.
//!
//! A page from elsewhere can make a browser on this machine send requests here, under a name of its own (DNS rebinding) or
//! as its own origin; and a proxy on this machine would make the whole network look like loopback. All three show in
//! headers.

use std::net::{IpAddr, SocketAddr};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem;

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// What the guard holds requests against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    address: IpAddr,
}

impl Guard {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address: address.ip() }
    }

    /// Why the request is refused, if it is.
    fn refusal(&self, request: &Request) -> Option<String> {
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
        match headers.get(header::ORIGIN) {
            Some(origin) if origin.to_str().ok() != Some(&format!("http://{host}")) => {
                Some(format!("the origin `{}` is foreign", String::from_utf8_lossy(origin.as_bytes())))
            }
            _ => None,
        }
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
}

fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::to_str)?.ok()?;
    values.next().is_none().then_some(value)
}

/// Lets a request through or refuses it.
pub(super) async fn check(
    State(guard): State<Guard>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let Some(reason) = guard.refusal(&request) else { return next.run(request).await };
    tracing::warn!(
        target: "audit",
        %peer,
        method = %request.method(),
        path = request.uri().path(),
        reason,
        "a request was refused"
    );
    let hint = "without a users file, only clients on this machine are served, and only by its own names";
    problem(StatusCode::FORBIDDEN, &reason, Some(hint))
}
