//! The questions of docs/sql.md: each of them has an answer.

use std::path::Path;

use crate::harness::Place;

#[test]
fn every_question_of_the_manual_has_an_answer() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql.md");
    let manual = std::fs::read_to_string(manual).expect("the manual can be read");
    let questions: Vec<&str> =
        manual.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(questions.len(), 30);
    let place = Place::new();
    let (events, _) = place.simulated(300, 17);
    place.replay("lake", &[&events]).ok();
    let mut answered = 0;
    for question in questions {
        let answer = place.sql("lake", question.trim().trim_end_matches(';'));
        assert_eq!(answer.code, 0, "{question}\n{}", answer.err);
        answered += usize::from(answer.out.lines().count() > 1);
    }
    // A replayed centre has nothing live; most questions have rows all the same.
    assert!(answered >= 18, "{answered} questions had rows");
}
