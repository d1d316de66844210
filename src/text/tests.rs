//! Stories of texts, and the automaton held against a search that anyone can check.

use proptest::prelude::*;

use super::{Lexicon, Reader};
use crate::event::Speaker;

fn reader(lexicon: &str) -> Reader {
    let lexicon = Lexicon::parse("test.toml", lexicon).expect("the lexicon is right");
    Reader::new(&[lexicon]).expect("the phrases make an automaton")
}

fn shipped() -> Reader {
    Reader::shipped().expect("the shipped lists are right")
}

fn hits(reader: &Reader, text: &str, speaker: Speaker) -> String {
    reader.read(text, speaker).hits_text()
}

#[test]
fn customers_are_heard() {
    let reader = shipped();
    for (text, category) in [
        ("我要投诉你们！", "complaint"),
        ("我要投訴你們", "complaint"),
        ("呃我 要 投 诉", "complaint"),
        ("再不处理我就打12315了", "regulator"),
        ("我会向工信部反映的", "regulator"),
        ("我要携号转网", "churn"),
        ("帮我办理销户", "churn"),
        ("以后再也不会用你们家的东西了", "churn"),
        ("我要起诉你们", "legal"),
        ("我已经联系了律师", "legal"),
        ("气死我了，什么破服务", "anger"),
        ("太让人失望了", "disappointment"),
        ("我真的很着急", "anxiety"),
        ("非常感谢你的帮助", "thanks"),
        ("我们整个小区都断网了", "crisis"),
        ("插座冒烟起火了", "safety"),
        ("我都说过三遍了", "repetition"),
        ("I want to speak to your manager", "complaint"),
        ("please cancel my subscription", "churn"),
        ("I will sue you", "legal"),
        ("this is ridiculous", "anger"),
        ("the whole city has no internet, the system is down", "crisis"),
    ] {
        let found = hits(&reader, text, Speaker::Customer);
        assert!(found.contains(&format!("{category}:")), "{text}: {found}");
    }
}

#[test]
fn agents_are_held_to_the_rules() {
    let reader = shipped();
    for (text, category) in [
        ("这个是您自己没有看清楚，不关我们的事。", "blaming"),
        ("我刚才不是说过了吗？您怎么还问？", "arguing"),
        ("您要投诉就去投诉好了。", "threatening"),
        ("没办法，规定就是这样，您先挂了吧。", "urging_hang_up"),
        ("你有病吧", "scolding"),
        ("你到底想怎么样", "questioning"),
        ("有完没完啊", "impatience"),
        ("我们的专员会在今天5点之前给您回电。", "promise"),
        ("您好，很高兴为您服务", "greeting"),
        ("感谢您的来电，再见", "farewell"),
        ("calm down please", "scolding"),
        ("that's your own fault", "blaming"),
    ] {
        let found = hits(&reader, text, Speaker::Agent);
        assert!(found.contains(&format!("{category}:")), "{text}: {found}");
        // What the rules forbid agents to say, customers may say.
        if !matches!(category, "promise" | "greeting" | "farewell") {
            let found = hits(&reader, text, Speaker::Customer);
            assert!(!found.contains(&format!("{category}:")), "{text}: {found}");
        }
    }
}

#[test]
fn polite_agents_are_left_alone() {
    let reader = shipped();
    for text in [
        "非常抱歉给您带来不便，我马上帮您取消订单",
        "不好意思让您久等了，请问有什么问题可以帮您",
        "您的退款已经提交，请您耐心等待",
        "这个问题我帮您反馈给站点，麻烦您稍等",
        "很抱歉，这个我们无法修改",
        "I'm sorry for the inconvenience, we will refund the charges.",
    ] {
        let reading = reader.read(text, Speaker::Agent);
        assert!(reading.score > -0.2, "{text}: {}", reading.score);
        for rule in ["questioning", "blaming", "scolding", "threatening", "arguing", "impatience"] {
            assert!(!reading.hits_text().contains(rule), "{text}: {}", reading.hits_text());
        }
    }
}

#[test]
fn scores_go_the_way_people_mean_them() {
    let reader = shipped();
    let score = |text: &str| reader.read(text, Speaker::Customer).score;
    for text in [
        "太差了",
        "不好用",
        "一点都不满意",
        "难道这也叫服务好？",
        "质量不错，但是太慢了，再也不买",
        "terrible service",
        "not good at all",
    ] {
        assert!(score(text) < -0.2, "{text}: {}", score(text));
    }
    for text in [
        "非常满意",
        "不错",
        "不是不满意",
        "一点都不贵，很划算",
        "有点慢，但是东西真的很好",
        "excellent, thank you",
        "not bad",
    ] {
        assert!(score(text) > 0.1, "{text}: {}", score(text));
    }
    assert!(score("太好了！！") > score("好"));
    assert!(score("有点差") > score("差") && score("差") > score("非常差"));
    assert_eq!(score("我想查一下话费"), 0.0);
    assert_eq!(score(""), 0.0);
    assert!(score("").is_sign_positive(), "no text is 0, not -0");
}

#[test]
fn a_negation_takes_a_hit_back() {
    let reader = shipped();
    let reading = reader.read("我不是要投诉你们", Speaker::Customer);
    assert!(reading.hits.iter().all(|hit| hit.negated), "{:?}", reading.hits);
    assert_eq!(reading.hits_text(), "");
}

#[test]
fn places_are_those_of_the_original() {
    let reader = shipped();
    let text = "喂，我 要　投 訴 你們！！！";
    let reading = reader.read(text, Speaker::Customer);
    let hit = reading.hits.iter().find(|hit| &*hit.category == "complaint").expect("it is found");
    assert_eq!(&text[hit.start..hit.end], "要　投 訴");
}

#[test]
fn phrases_that_a_transcript_cuts_are_found() {
    let reader = shipped();
    let mut scratch = super::Scratch::default();
    let mut reading = super::Reading::default();
    let mut edges = |text: &str| {
        reader.read_with(&mut scratch, text, Speaker::Customer, &mut reading);
        let (head, tail) = reader.edges(&scratch);
        (head.to_owned(), tail.to_owned(), reading.hits_text())
    };
    let (_, tail, before) = edges("你们这样我真的要投");
    let (head, _, after) = edges("诉了啊你们等着");
    assert!(!before.contains("complaint") && !after.contains("complaint"));
    let across = reader.across(&tail, &head, Speaker::Customer);
    assert!(across.iter().any(|hit| &*hit.category == "complaint"), "{tail} {head} {across:?}");
    assert_eq!(edges("今天天气晴").1, "");
}

#[test]
fn own_lists_override_the_shipped_ones() {
    let base = Lexicon::parse("a", "[[list]]\nweight = -0.5\nwords = \"慢\"").expect("right");
    let own = Lexicon::parse("b", "[[list]]\nweight = 0.5\nwords = \"慢\"").expect("right");
    let reader = Reader::new(&[base, own]).expect("an automaton");
    assert!(reader.read("慢", Speaker::Customer).score > 0.0);
}

#[test]
fn nearness_and_exclusion_are_asked_for() {
    let reader = reader(
        "[[list]]\ncategory = \"a\"\nphrases = [\"取消\"]\nnear = \"合同 会员\"\nwithin = 4\n\
         [[list]]\ncategory = \"b\"\nphrases = [\"取消\"]\nunless = \"订单\"\nwithin = 4\n\
         [[list]]\ncategory = \"c\"\nphrases = [\"等了{n}(分钟|天)\", \"退{1-3}钱\"]\n",
    );
    let hits = |text: &str| hits(&reader, text, Speaker::Customer);
    assert_eq!(hits("我要取消会员"), "a:取消;b:取消");
    assert_eq!(hits("我要取消订单"), "");
    assert_eq!(hits("会员号是三三四，另外请取消"), "b:取消");
    assert_eq!(hits("我等了三十五分钟"), "c:等了三十五分钟");
    assert_eq!(hits("我等了 40 分钟"), "c:等了40分钟");
    assert_eq!(hits("我等了好像分钟"), "");
    assert_eq!(hits("退我钱"), "c:退我钱");
    assert_eq!(hits("退钱"), "");
    assert_eq!(hits("退。钱"), "");
}

#[test]
fn words_of_letters_stand_alone() {
    let reader = reader("[[list]]\ncategory = \"a\"\nphrases = [\"sue\", \"disappoint*\", \"12315\"]\n");
    let hits = |text: &str| hits(&reader, text, Speaker::Customer);
    assert_eq!(hits("an issue"), "");
    assert_eq!(hits("I'll SUE."), "a:sue");
    assert_eq!(hits("disappointing"), "a:disappoint");
    assert_eq!(hits("打１２３１５去"), "a:12315");
    assert_eq!(hits("订单9123151"), "");
}

#[test]
fn the_arithmetic_is_shown_and_right() {
    let reader = shipped();
    for text in
        ["质量不错，但是物流太慢了！", "难道你们的服务很好吗？", "没有人管", "not very good, but friendly!!"]
    {
        let shown = reader.explain(text, Speaker::Customer);
        for reason in &shown.reasons {
            let product: f32 = reason.factors.iter().map(|(_, factor)| factor).product();
            assert!((reason.weight * product - reason.value).abs() < 1e-4, "{text}: {reason:?}");
        }
        let sum: f32 = shown.reasons.iter().map(|reason| reason.value).sum::<f32>()
            + shown.bare_negations as f32 * super::score::BARE_NOT
            + shown.questions as f32 * super::score::ASKED;
        assert!((sum - shown.sum).abs() < 1e-4, "{text}: {shown}");
        assert_eq!(shown.score, reader.read(text, Speaker::Customer).score);
        assert!((-1.0..=1.0).contains(&shown.score));
    }
}

proptest! {
    #[test]
    fn the_automaton_finds_what_a_plain_search_finds(
        words in prop::collection::btree_set("[投诉退款不好]{1,4}", 1..12),
        text in "[投诉退款不好]{0,40}",
    ) {
        let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        // Each word is a category of its own, so that none hides another.
        let lexicon: String = list.iter().enumerate()
            .map(|(i, word)| format!("[[list]]\ncategory = \"c{i}\"\nnegatable = false\nphrases = [{word}]\n"))
            .collect();
        let reader = reader(&lexicon);
        // Repeated characters are one matter of normalisation: of three in a row two stay, in text and phrase alike.
        let fold = |text: &str| {
            let mut out = String::new();
            for c in text.chars() {
                if !out.ends_with(&format!("{c}{c}")) {
                    out.push(c);
                }
            }
            out
        };
        let (text, words): (String, Vec<String>) = (fold(&text), words.iter().map(|word| fold(word)).collect());
        let mut naive: Vec<(usize, usize, usize)> = Vec::new();
        for (i, word) in words.iter().enumerate() {
            for at in 0..text.len() {
                if text.is_char_boundary(at) && text[at..].starts_with(word.as_str()) {
                    naive.push((at, at + word.len(), i));
                }
            }
        }
        naive.sort_unstable();
        let mut found: Vec<(usize, usize, usize)> = reader.read(&text, Speaker::Customer).hits.iter()
            .map(|hit| (hit.start, hit.end, hit.category[1..].parse().expect("c and a number")))
            .collect();
        found.sort_unstable();
        prop_assert_eq!(found, naive);
    }
}

#[test]
fn no_text_breaks_the_reader() {
    let reader = shipped();
    proptest!(|(text in "\\PC{0,60}|[不好太差但是难道!?。，,. 　我要投诉呃ＡＢab\u{301}👍🏽…]{0,60}")| {
        for speaker in [Speaker::Customer, Speaker::Agent] {
            let reading = reader.read(&text, speaker);
            prop_assert!((-1.0..=1.0).contains(&reading.score));
            for hit in &reading.hits {
                prop_assert!(hit.start < hit.end && hit.end <= text.len());
                prop_assert!(text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end));
            }
        }
    });
}
