//! How fast texts are read, and what of that the bare automaton takes.
//!
//! ```text
//! cargo bench --bench text
//! ```
//!
//! Prints MB/s on one core for a Chinese and an English transcript: everything (normalisation, phrases, negation, score)
//! with the shipped lists and with 5,000 plain phrases, and the search of an Aho-Corasick automaton of those phrases alone.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::hint::black_box;
use std::time::Instant;

use aho_corasick::automaton::{Automaton, OverlappingState};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Input, MatchKind};
use callpulse::event::Speaker;
use callpulse::text::{Lexicon, Reader, Reading, Scratch};

/// Utterances written for this bench, as customers say them.
const CHINESE: [&str; 8] = [
    "你好，我想查一下我上个月的话费为什么多扣了三十块钱，之前营业厅说的是不会扣的。",
    "我昨天晚上八点多下的订单，到现在还没有发货，麻烦你帮我看一下是什么情况好吗？",
    "宽带从周一开始就一直断，师傅来修过一次，当时好了，今天早上又上不了网了。",
    "好的，那我再等两天看看吧，如果到时候还是没有处理我再打过来。",
    "我把身份证和发票的照片都已经上传了，系统一直提示正在审核，请问大概需要多长时间？",
    "嗯嗯，我知道了，你说的那个套餐每个月流量有多少，超出以后怎么收费呢",
    "上次那位客服小姐姐态度很好，问题也解决得很快，非常感谢，这次也请你帮忙登记一下。",
    "地址是人民路一百二十八号三栋二单元，收件人的电话号码没有变，周末送也可以的。",
];
const ENGLISH: [&str; 4] = [
    "Hello, I would like to know why my bill for last month is thirty dollars higher than the month before.",
    "The technician came on Monday and it worked for a day, but this morning the connection dropped again.",
    "I have uploaded the documents twice and the page keeps telling me that the check is still in progress.",
    "Thank you, that was quick, please send the confirmation to the same address as before.",
];
/// Time that each figure is measured for.
const SECONDS: f64 = 1.0;
/// Rounds of a slice; a slice is shorter than what a scheduler gives at once.
const ROUNDS: usize = 50;

fn main() {
    let shipped = Reader::shipped().expect("the shipped lists are right");
    let phrases = plain_phrases(5_000);
    let list = phrases.iter().map(|phrase| format!("{phrase}\n")).collect::<String>();
    let lexicon = format!("[[list]]\ncategory = \"bench\"\nphrases = \"\"\"\n{list}\"\"\"\n");
    let plain = Reader::new(&[Lexicon::parse("bench", &lexicon).expect("the list is right")])
        .expect("the phrases make an automaton");
    let bare = NFA::builder().match_kind(MatchKind::Standard).build(&phrases).expect("an automaton");
    println!("shipped lists: {} phrases; plain list: {} phrases", shipped.phrases(), plain.phrases());
    for (name, texts) in [("Chinese", &CHINESE[..]), ("English", &ENGLISH[..])] {
        let whole = measure(texts, |text| read(&shipped, text));
        let five = measure(texts, |text| read(&plain, text));
        let search = measure(texts, |text| {
            let (input, mut state) = (Input::new(text), OverlappingState::start());
            let mut found = 0.0;
            while bare.try_find_overlapping(&input, &mut state).is_ok() && state.get_match().is_some() {
                found += 1.0;
            }
            found
        });
        println!(
            "{name}: shipped {whole:.0} MB/s, 5,000 phrases {five:.0} MB/s, bare automaton {search:.0} MB/s, ratio {:.2}",
            five / search
        );
    }
}

thread_local! {
    static SCRATCH: std::cell::RefCell<(Scratch, Reading)> = std::cell::RefCell::default();
}

fn read(reader: &Reader, text: &str) -> f32 {
    SCRATCH.with_borrow_mut(|(scratch, reading)| {
        reader.read_with(scratch, text, Speaker::Customer, reading);
        reading.score + reading.hits.len() as f32
    })
}

/// MB/s of original text: the best of many short slices, for other work on the machine only ever slows one down.
fn measure(texts: &[&str], mut work: impl FnMut(&str) -> f32) -> f64 {
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    let (start, mut best) = (Instant::now(), f64::MAX);
    while start.elapsed().as_secs_f64() < SECONDS {
        let slice = Instant::now();
        for _ in 0..ROUNDS {
            for text in texts {
                black_box(work(black_box(text)));
            }
        }
        best = best.min(slice.elapsed().as_secs_f64());
    }
    (bytes * ROUNDS) as f64 / best / 1e6
}

/// Phrases of three to six characters that look like Chinese words and rarely occur.
fn plain_phrases(count: usize) -> Vec<String> {
    let characters: Vec<char> = "投诉退款举报赔偿骗人垃圾差评换货客服经理律师法院记者曝光销户转网解约注销取消会员合同套餐流量宽带断线故障"
        .chars()
        .collect();
    let mut seed = 1u64;
    let mut next = |below: usize| {
        // A linear congruential generator is random enough to mix characters.
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let mut phrases = std::collections::BTreeSet::new();
    while phrases.len() < count {
        let length = 3 + next(4);
        let phrase: String = (0..length).map(|_| characters[next(characters.len())]).collect();
        phrases.insert(phrase);
    }
    phrases.into_iter().collect()
}
