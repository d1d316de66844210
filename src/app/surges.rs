//! Surges, as the views `surges` and `theme_surges` tell them: looked at now and then for the rules that ask for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use tokio_util::sync::CancellationToken;

use super::alerting::Alerting;
use crate::query::views::surges_of_now;
use crate::query::{self, Engine};
use crate::rules::Surging;
use crate::time::Clock;

/// How often surges are looked for: they are about slots of half an hour …
const LOOK: Duration = Duration::from_secs(30);
/// … and more seldom where a look takes long: one part of so many of the time goes into looks …
const LOOK_SHARE: u32 = 20;
/// … but at least this often.
const LOOK_AT_LEAST: Duration = Duration::from_secs(300);

/// Looks for surges until `stop`, while a rule asks for them.
pub(super) async fn run(
    alerting: Arc<Alerting>,
    engine: Arc<Engine>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut pause = LOOK;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if !alerting.rules.load().watches_surges() {
            continue;
        }
        let began = Instant::now();
        let of_now = surges_of_now(&engine.options().grid, clock.now());
        let found = look(&engine, &of_now, "lasts").await;
        pause = (began.elapsed() * LOOK_SHARE).clamp(LOOK, LOOK_AT_LEAST);
        match found {
            Ok(found) => {
                alerting.surges.store(Arc::new(found.into_iter().map(|(_, _, surge)| surge).collect()))
            }
            // What was found last stays until the next look.
            Err(error) => tracing::warn!(error = error.message, "surges could not be looked for"),
        }
    }
}

/// The surges for which the condition holds: start and end in microseconds, and what surges. The statement begins with `with`.
pub(super) async fn look(
    engine: &Engine,
    with: &str,
    condition: &str,
) -> Result<Vec<(i64, i64, Surging)>, query::Error> {
    let sql = format!(
        "{with} SELECT CAST(arrow_cast(start, 'Int64') AS DOUBLE) AS start, CAST(arrow_cast(until, 'Int64') AS DOUBLE) AS until, \
             queue, CAST('' AS VARCHAR) AS category, channel, CAST(contacts AS DOUBLE) AS contacts, expected, deviations \
         FROM surges WHERE {condition} \
         UNION ALL \
         SELECT CAST(arrow_cast(start, 'Int64') AS DOUBLE), CAST(arrow_cast(until, 'Int64') AS DOUBLE), \
             CAST('' AS VARCHAR), theme, CAST('' AS VARCHAR), CAST(contacts AS DOUBLE), expected, deviations \
         FROM theme_surges WHERE kind = 'category' AND {condition}"
    );
    let mut found = Vec::new();
    for batch in engine.query(&sql).await?.collect().await? {
        let number = |column: usize| batch.column(column).as_primitive::<Float64Type>();
        let text =
            |column: usize| arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8);
        let texts = [2, 3, 4].map(text);
        let [Ok(queues), Ok(categories), Ok(channels)] = texts else { continue };
        for row in 0..batch.num_rows() {
            let word = |array: &Arc<dyn Array>| array.as_string::<i32>().value(row).to_owned();
            let surge = Surging {
                queue: word(&queues),
                category: word(&categories),
                channel: word(&channels),
                contacts: number(5).value(row),
                expected: number(6).value(row),
                deviations: number(7).value(row),
            };
            found.push((number(0).value(row) as i64, number(1).value(row) as i64, surge));
        }
    }
    Ok(found)
}
