//! The login page: a name and a password become a cookie.

use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::guard::{COOKIE, Peer, cookie};
use super::{Served, problem};
use crate::access::{Door, LOGIN_TIME, Outcome, Record};

/// The page.
pub(super) async fn page() -> Response {
    Html(include_str!("page/login.html")).into_response()
}

/// Its style.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page/login.css")).into_response()
}

/// Takes name and password, as a form sends them.
pub(super) async fn enter(
    State(served): State<Served>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let access = &served.site.access;
    if access.must_wait(peer.ip()) {
        return problem(StatusCode::TOO_MANY_REQUESTS, "too many wrong passwords; wait a minute", None);
    }
    let (mut user, mut password) = (String::new(), String::new());
    for (name, value) in url::form_urlencoded::parse(&body) {
        match name.as_ref() {
            "user" => user = value.into_owned(),
            "password" => password = value.into_owned(),
            _ => {}
        }
    }
    // Reckoning a password takes a while, and must not hold up the pages.
    let (checker, name) = (std::sync::Arc::clone(access), user.clone());
    let found = tokio::task::spawn_blocking(move || checker.by_password(&name, &password)).await;
    let found = found.ok().flatten();
    if let Some(audit) = served.site.engine.audit() {
        let what = format!("login as {user}");
        let outcome = if found.is_some() { Outcome::LoggedIn } else { Outcome::Refused };
        audit.note(&Record {
            who: found.as_ref(),
            peer: Some(peer),
            door: Door::Http,
            what: &what,
            outcome,
            rows: 0,
            took: Duration::ZERO,
            why: found.is_none().then_some("the password is wrong"),
        });
    }
    let Some(who) = found else {
        access.note_failure(peer.ip());
        return Redirect::to("/login?wrong").into_response();
    };
    // Sent only with requests of our own pages; and over TLS only, where there is any.
    let secure = if served.site.tls.is_some() { "; Secure" } else { "" };
    let token = access.log_in(&who);
    let life = LOGIN_TIME.as_secs();
    let cookie = format!("{COOKIE}={token}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict{secure}");
    // A browser that comes with an old login forgets it.
    if let Some(old) = self::cookie(&headers) {
        access.log_out(old);
    }
    with_cookie(Redirect::to("/").into_response(), &cookie)
}

/// Forgets the login.
pub(super) async fn leave(State(served): State<Served>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers) {
        served.site.access.log_out(token);
    }
    with_cookie(
        Redirect::to("/login").into_response(),
        &format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"),
    )
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
