//! Views that look beyond the stretch of time that is asked for tell of it what they tell of all times, however they are read.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const FIRST: &str = "2026-01-01T00:00:00Z";
const DAYS: i64 = 300;
/// Views, the column by which they are asked, and their order.
const VIEWS: [(&str, &str, &str); 9] = [
    ("agent_day", "day", "day, agent_id"),
    ("exposure", "day", "day, agent_id"),
    ("fcr_day", "day", "day, channel, queue"),
    ("repeat_contacts", "started_at", "contact_id"),
    ("bot_day", "day", "day, channel"),
    ("bot_handover", "day", "day, channel, topic"),
    ("sentiment_hour", "hour", "hour, channel, queue, speaker"),
    ("keyword_day", "day", "day, category, phrase, speaker, queue"),
    ("survey_slot", "slot_start", "slot_start, channel, queue, agent_id"),
];

/// Knows the dates of contacts, so that all times are read in pieces.
#[derive(Debug)]
struct Dated;

#[async_trait]
impl History for Dated {
    async fn dates(&self, _: &'static Table) -> Result<Arc<Dates>, Error> {
        let first = grid("Asia/Shanghai").date(at(FIRST));
        Ok(Arc::new((first..first + DAYS as i32).map(|date| (Some(date), 1)).collect()))
    }

    fn sums(&self, _: u64, _: &arrow::datatypes::SchemaRef) -> Option<Sums> {
        None
    }
}

/// Customers who come again and again, now and then on both sides of the end of a piece, a day or a question.
fn centre(seed: u64) -> Cut {
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut rows = Facts::default();
    let grid = grid("Asia/Shanghai");
    let pick = |dice: &mut SmallRng, of: &[Option<&'static str>]| of[dice.random_range(0..of.len())];
    for number in 0..1000 {
        let id = format!("c{number}");
        let customer = format!("u{}", dice.random_range(0..40));
        let day = at(FIRST) + dice.random_range(0..DAYS) * 86_400 * SECOND;
        // Many at the same minute, and some at the turn of a day of the centre.
        let started = day + [0, 16 * 3_600, 16 * 3_600 - 1, 300, 900][dice.random_range(0..5)] * SECOND;
        let row = ContactRow {
            contact_id: Some(&id),
            channel: pick(&mut dice, &[Some("voice"), Some("chat")]),
            direction: pick(&mut dice, &[None, Some("inbound"), Some("inbound"), Some("callback")]),
            customer_id: (number % 11 > 0).then_some(&*customer),
            first_queue: pick(&mut dice, &[Some("sales"), Some("billing")]),
            last_queue: pick(&mut dice, &[Some("sales"), Some("billing")]),
            last_agent: pick(&mut dice, &[Some("li"), Some("wu")]),
            topic: pick(&mut dice, &[None, Some("bill"), Some("move")]),
            started_at: Some(started),
            ended_at: Some(started + dice.random_range(1..20_000) * SECOND),
            outcome: pick(
                &mut dice,
                &[Some("answered"), Some("answered"), Some("abandoned_short"), Some("abandoned")],
            ),
            sentiment_customer: [None, Some(-0.5), Some(0.5)][dice.random_range(0..3)],
            resolved: [None, Some(true), Some(false)][dice.random_range(0..3)],
            bot_outcome: pick(&mut dice, &[None, Some("contained"), Some("handover")]),
            keywords: pick(&mut dice, &[None, Some("fault:断网"), Some("fault:断网;mood:生气")]),
            revision: Some(1),
            date: Some(grid.date(started)),
            ..ContactRow::default()
        };
        rows.contacts.push(&row);
        let said = started + dice.random_range(0..20_000) * SECOND;
        rows.messages.push(&MessageRow {
            contact_id: Some(&id),
            id: Some(&id),
            time: Some(said),
            speaker: Some("customer"),
            queue: pick(&mut dice, &[None, Some("sales")]),
            sentiment: Some(-0.5),
            hits: Some("fault:断网"),
            is_final: Some(true),
            date: Some(grid.date(said)),
            ..MessageRow::default()
        });
        if dice.random_bool(0.3) {
            rows.legs.push(&LegRow {
                contact_id: Some(&id),
                leg: Some(1),
                queued_at: Some(started + 1_000 * SECOND),
                slot_start: Some(grid.slot_start(started + 1_000 * SECOND)),
                revision: Some(1),
                date: Some(grid.date(started)),
                ..LegRow::default()
            });
        }
        let agent = ["li", "wu"][dice.random_range(0..2)];
        if dice.random_bool(0.6) {
            let wrapped = (number % 17 > 0).then_some(started + dice.random_range(1..90_000) * SECOND);
            rows.handlings.push(&HandlingRow {
                contact_id: Some(&id),
                handling: Some(1),
                queue: Some("sales"),
                department: Some("shop"),
                agent_id: Some(agent),
                started_at: Some(started),
                wrapped_at: wrapped,
                handle_ms: wrapped.map(|wrapped| wrapped - started),
                revision: Some(1),
                date: Some(grid.date(started)),
                ..HandlingRow::default()
            });
        }
        // One in a hundred lasts for weeks, longer than counts.
        let lasts = if dice.random_bool(0.01) { 5_000_000 } else { dice.random_range(1..40_000) };
        rows.agent_states.push(&AgentStateRow {
            agent_id: Some(agent),
            id: Some(&id),
            state: pick(&mut dice, &[Some("available"), Some("break"), Some("busy")]),
            started_at: Some(started),
            ended_at: Some(started + lasts * SECOND),
            revision: Some(1),
            date: Some(grid.date(started)),
            ..AgentStateRow::default()
        });
        if dice.random_bool(0.2) {
            rows.surveys.push(&SurveyRow {
                contact_id: Some(&id),
                id: Some(&id),
                time: Some(started + dice.random_range(0..30) * 86_400 * SECOND),
                csat: Some(4),
                resolved: Some(true),
                revision: Some(1),
                date: Some(grid.date(started)),
                ..SurveyRow::default()
            });
        }
    }
    cut(rows, Facts::default(), "2026-12-01T00:00:00Z")
}

#[tokio::test]
async fn a_stretch_is_told_as_of_all_times() {
    let cut = centre(1);
    // Without dates everything is read at once; so it is where a filter says nothing of a stretch.
    let whole = engine(cut.clone());
    let in_pieces = engine(Cut { history: Some(Arc::new(Dated)), ..cut });
    for (view, column, order) in VIEWS {
        let all =
            ask(&whole, &format!("SELECT * FROM {view} WHERE {column} IS NOT NULL ORDER BY {order}")).await;
        assert!(all.len() > 20, "{view}: {}", all.len());
        assert_eq!(ask(&in_pieces, &format!("SELECT * FROM {view} ORDER BY {order}")).await, all, "{view}");
        // Within a piece, and over the ends of several.
        for (since, until) in [
            ("2026-03-01T16:00:00.000Z", "2026-03-31T16:00:00.000Z"),
            ("2026-02-10T03:30:00.000Z", "2026-08-20T11:00:00.001Z"),
        ] {
            let of_it = |row: &&Value| row[column].as_str().is_some_and(|at| (since..=until).contains(&at));
            let expected: Vec<&Value> = all.iter().filter(of_it).collect();
            let sql = format!(
                "SELECT * FROM {view} WHERE {column} BETWEEN '{since}' AND '{until}' ORDER BY {order}"
            );
            assert_eq!(ask(&in_pieces, &sql).await.iter().collect::<Vec<_>>(), expected, "{sql}");
        }
    }
    // A part of the columns, and no more rows than are asked for; filters of other columns.
    assert_eq!(ask(&in_pieces, "SELECT started_at AS came FROM repeat_contacts LIMIT 7").await.len(), 7);
    let sql = "SELECT queue, SUM(contacts) AS contacts FROM fcr_day WHERE queue = 'sales' AND fcr < 1 GROUP BY queue";
    assert_eq!(ask(&in_pieces, sql).await, ask(&whole, sql).await);
}
