//! Asks a running server, for `sql --url`.

use futures::StreamExt;

use super::print;
use crate::app::{Failure, cause_of};
use crate::query::output::Format;

/// Sends one statement and prints the answer as it comes.
///
/// # Errors
/// A server that does not answer (69), a statement that fails (65).
pub(super) async fn sql(url: &str, sql: &str, format: Format) -> Result<(), Failure> {
    let address = format!("{}/api/v1/sql", url.trim_end_matches('/'));
    let outside = |error: reqwest::Error| {
        Failure::outside(format!("`{address}` does not answer: {}", cause_of(&error)))
            .hint("is the server running, and is the address the one it printed?")
    };
    let answer = reqwest::Client::new()
        .post(&address)
        .header("accept", format.media_type())
        .header("content-type", "application/json")
        .body(serde_json::json!({ "sql": sql }).to_string())
        .send()
        .await
        .map_err(outside)?;
    let status = answer.status();
    if !status.is_success() {
        let text = answer.text().await.unwrap_or_default();
        let fault: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let message = fault["error"].as_str().map_or_else(|| format!("{status}: {text}"), str::to_owned);
        let failure =
            if status.is_client_error() { Failure::sql(message) } else { Failure::outside(message) };
        return Err(match fault["hint"].as_str() {
            Some(hint) => failure.hint(hint),
            None => failure,
        });
    }
    if let Some(missing) = answer.headers().get("x-callpulse-missing").and_then(|value| value.to_str().ok()) {
        eprintln!("warning: open contacts and the last seconds of these are missing: {missing}");
    }
    let mut bytes = answer.bytes_stream();
    while let Some(bytes) = bytes.next().await {
        print(&bytes.map_err(outside)?)?;
    }
    Ok(())
}
