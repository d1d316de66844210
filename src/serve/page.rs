//! The pages with their scripts and styles, all in the binary; nothing comes from elsewhere.

use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

/// A file of the page; the browser asks each time whether it is still the same release's.
fn file(kind: &'static str, text: &'static str) -> ([(HeaderName, &'static str); 2], &'static str) {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
}

pub(super) async fn index() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("page/index.html"))
}

pub(super) async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/wallboard.js"))
}

pub(super) async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("page/wallboard.css"))
}

pub(super) async fn alerts() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("page/alerts.html"))
}

pub(super) async fn alerts_script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/alerts.js"))
}

pub(super) async fn alerts_style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("page/alerts.css"))
}

pub(super) async fn icon() -> impl IntoResponse {
    file("image/svg+xml", include_str!("page/favicon.svg"))
}

pub(super) async fn common() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/common.js"))
}

pub(super) async fn chart() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/chart.js"))
}

pub(super) async fn contact() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("page/contact.html"))
}

pub(super) async fn contact_script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/contact.js"))
}

pub(super) async fn contact_style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("page/contact.css"))
}

pub(super) async fn sql() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("page/sql.html"))
}

pub(super) async fn sql_script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("page/sql.js"))
}

pub(super) async fn sql_style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("page/sql.css"))
}

pub(super) async fn sql_examples() -> impl IntoResponse {
    file("application/json", include_str!("page/examples.json"))
}
