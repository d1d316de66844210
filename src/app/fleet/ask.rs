//! Asks the other instances for their rows in memory.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;

use super::{Overview, wire};
use crate::app::worker::TaskBeyond;
use crate::app::{Failure, cause_of};
use crate::config::Config;
use crate::lake::Positions;
use crate::time::Millis;

/// How long an instance may take: a query waits for it.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer that are taken.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// What is asked.
#[derive(Debug, Clone)]
pub(in crate::app) struct Asked {
    /// The present.
    pub now: Millis,
    /// What the asker's tables have.
    pub stored: Arc<Positions>,
}

/// What came of asking.
#[derive(Debug, Default)]
pub(in crate::app) struct Answers {
    /// What each task has.
    pub tasks: Vec<TaskBeyond>,
    /// The instances that did not answer, and why.
    pub failed: Vec<String>,
}

/// The way to the others.
pub(super) struct Asking {
    client: reqwest::Client,
    token: Option<String>,
}

impl Asking {
    /// Makes the client. The certificate of this instance is trusted too: those of one fleet have one, or one authority.
    pub(super) fn new(config: &Config) -> Result<Asking, Failure> {
        let mut builder = reqwest::Client::builder().timeout(ANSWER_MAX).no_proxy();
        if let Some(tls) = &config.tls {
            let fault = |why: String| Failure::config(format!("`tls.certificate` cannot be read: {why}"));
            let pem = std::fs::read(&tls.certificate).map_err(|error| fault(error.to_string()))?;
            let chain =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| fault(error.to_string()))?;
            for certificate in chain {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(|error| Failure::bug(error.to_string()))?;
        Ok(Asking { client, token: Some(config.fleet.token.clone()).filter(|token| !token.is_empty()) })
    }

    /// A way to nobody.
    #[cfg(test)]
    pub(super) fn none() -> Asking {
        Asking { client: reqwest::Client::new(), token: None }
    }

    /// Asks all at once.
    pub(super) async fn ask(&self, overview: &Overview, asked: &Asked) -> Answers {
        let question = wire::question(asked.now, &asked.stored);
        let others = overview.counted.iter().filter(|other| !other.places.is_empty());
        let told = join_all(others.map(|other| async {
            let told = self.ask_one(&other.url, question.clone()).await;
            told.map_err(|why| match other.url.as_str() {
                "" => "an instance without an address (its `http.listen` is off) cannot be asked".to_owned(),
                url => format!("{url}: {why}"),
            })
        }))
        .await;
        let mut answers = Answers::default();
        for told in told {
            match told {
                Ok(tasks) => answers.tasks.extend(tasks),
                Err(why) => answers.failed.push(why),
            }
        }
        answers
    }

    async fn ask_one(&self, url: &str, question: Vec<u8>) -> Result<Vec<TaskBeyond>, String> {
        let mut request = self.client.post(format!("{url}/api/v1/fleet/rows")).body(question);
        request = request.header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|error| cause_of(&error))?;
        if !answer.status().is_success() {
            return Err(format!("it answers `{}`", answer.status()));
        }
        let mut bytes = Vec::new();
        let mut parts = answer.bytes_stream();
        while let Some(part) = parts.next().await {
            bytes.extend_from_slice(&part.map_err(|error| cause_of(&error))?);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(format!("its answer has more than {ANSWER_BYTES_MAX} bytes"));
            }
        }
        wire::read_answer(&bytes)
    }
}
