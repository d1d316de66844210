//! What must be masked, what must stay, and that nothing else changes.

use proptest::prelude::*;

use super::suspicion::Suspicion;
use super::{mask, personal};

/// Texts with what they are masked to.
const PERSONAL: &[(&str, &str)] = &[
    ("我的电话是13812345678,请回电", "我的电话是138****5678,请回电"),
    ("call +86 138 1234 5678 now", "call +86 138 **** 5678 now"),
    ("身份证11010519491231002X。", "身份证**************002X。"),
    ("card 6222 0212 3456 7894", "card **** **** **** 7894"),
    ("座机010-62345678", "座机***-****5678"),
    ("写信到zhang.san@example.com吧", "写信到z********@example.com吧"),
    ("手机１３８１２３４５６７８", "手机１３８＊＊＊＊５６７８"),
    ("号码是幺三八一二三四五六七八", "号码是幺三八＊＊＊＊五六七八"),
    ("一三九零零一二三四五六，记一下", "一三九＊＊＊＊三四五六，记一下"),
    ("车牌京A12345停在门口", "车牌京A*****停在门口"),
    ("粤B·D12345新能源", "粤B·******新能源"),
    ("我叫张伟", "我叫张＊"),
    ("我叫欧阳小红，电话", "我叫欧阳＊＊，电话"),
    ("姓名：李小明 身份证", "姓名：李＊＊ 身份证"),
    ("收件人王芳的电话", "收件人王＊的电话"),
    ("请找陈建国先生", "请找陈＊＊先生"),
    ("我是刘德明，想查一下", "我是刘＊＊，想查一下"),
    ("Mr. Smith called", "Mr. S**** called"),
    ("my name is John Smith and", "my name is J*** S**** and"),
    ("地址是北京市朝阳区建国路88号3栋2单元501室", "地址是北京市朝阳区＊＊＊**＊*＊*＊＊***＊"),
    ("送到阳光花园5栋1203", "送到＊＊＊＊*＊****"),
    ("住在3栋2单元501", "住在*＊*＊＊***"),
    ("人民路一百二十八号", "＊＊＊＊＊＊＊＊＊"),
    ("at 221B Baker Street please", "at ***************** please"),
];

/// Texts that hold nothing of a person.
const PLAIN: &[&str] = &[
    "订单号20260302001",
    "等了45分钟",
    "12345",
    "110105194912310021",
    "A13812345678",
    "50%",
    "1234567890123456",
    "me@home",
    "@",
    "2026-03-02 09:00",
    "工单号是202611220001，请记一下",
    "三月二十号之前处理",
    "第3号窗口",
    "我在5号线",
    "这条线路3号故障",
    "张先生您好",
    "请问是王女士吗",
    "我叫你们经理来",
    "我是老客户了",
    "客户经理马上联系您",
    "联系人方便的话",
    "客户高兴就好",
    "收件人地址",
    "一二三四五",
    "十三八一二三四五六七八",
    "京东的订单",
    "新A计划",
    "苏宁易购",
    "我知道5号之前要还款",
    "买了3件，退了2件",
    "Dr. who knows",
    "I waited 30 Minutes",
    "Main Street is closed",
    "金额是1280.50元",
];

#[test]
fn personal_data_is_masked() {
    let wrong: Vec<String> = PERSONAL
        .iter()
        .filter(|(text, masked)| mask(text) != *masked)
        .map(|(text, masked)| format!("{text}: {} instead of {masked}", mask(text)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), PERSONAL.len(), wrong.join("\n"));
}

#[test]
fn other_texts_stay() {
    let wrong: Vec<String> = PLAIN
        .iter()
        .filter(|text| mask(text) != **text)
        .map(|text| format!("{text}: {}", mask(text)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), PLAIN.len(), wrong.join("\n"));
}

/// What people say around the data, and around numbers that are nobody's.
const FRAMES: [&str; 8] = [
    "麻烦您记一下，{}，谢谢",
    "{}",
    "我报给您：{}。对吗？",
    "嗯嗯 {} 没错",
    "please note {} thanks",
    "（{}）请尽快联系我",
    "刚才说的是{}吗",
    "客户回复：{}！",
];

/// A set of positive and negative cases, made by a seed; recall and false alarms are printed (`--nocapture`).
#[test]
fn how_well_it_masks() {
    let mut seed = 7u64;
    let mut roll = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut digits =
        |count: usize| -> String { (0..count).map(|_| char::from(b'0' + roll(10) as u8)).collect() };
    const SURNAMES: [&str; 12] = ["王", "李", "张", "刘", "陈", "杨", "黄", "赵", "周", "吴", "欧阳", "司马"];
    const GIVEN: [&str; 10] = ["伟", "秀英", "建国", "丽", "志强", "敏", "洋", "子涵", "浩然", "雪梅"];
    const ROADS: [&str; 6] = ["建国路", "中山大道", "人民西路", "解放街", "长安街", "科技园路"];
    let pick = |from: &[&'static str], number: &str| from[number.parse::<usize>().unwrap_or(0) % from.len()];
    let mut kinds: Vec<(&str, usize, usize)> = Vec::new();
    for kind in
        ["mobile", "mobile with spaces", "identity card", "bank card", "e-mail", "plate", "name", "address"]
    {
        let (mut found, mut all) = (0, 0);
        for at in 0..400 {
            let (a, b) = (digits(2), digits(2));
            let (data, frame) = match kind {
                "mobile" => (format!("1{}{}", 3 + at % 7, digits(9)), at % 8),
                "mobile with spaces" => {
                    (format!("1{}{} {} {}", 3 + at % 7, digits(1), digits(4), digits(4)), at % 8)
                }
                "identity card" => {
                    let day = format!("{:02}{:02}", 1 + at % 12, 1 + at % 28);
                    (
                        identity(format!("1101{}19{}{}{}", digits(2), digits(2), day, digits(3)).as_bytes()),
                        at % 8,
                    )
                }
                "bank card" => (card(&format!("62{}", digits(14 + at % 3))), at % 8),
                "e-mail" => (format!("user{}@mail{}.com", digits(3), digits(1)), at % 8),
                "plate" => (format!("{}A{}", pick(&["京", "粤", "沪", "川"], &a), digits(5)), at % 8),
                "name" => {
                    let title = ["我叫", "姓名：", "收件人", "姓名是"][at % 4];
                    (format!("{title}{}{}", pick(&SURNAMES, &a), pick(&GIVEN, &b)), at % 3)
                }
                _ => (
                    format!("北京市朝阳区{}{}号{}栋{}室", pick(&ROADS, &a), 1 + at, 1 + at % 9, digits(3)),
                    at % 8,
                ),
            };
            // What must not be left to read: the given name, the house and what follows it, else all of it.
            let secret = match kind {
                "name" => pick(&GIVEN, &b).to_owned(),
                "address" => data[data.find(pick(&ROADS, &a)).unwrap_or(0)..].to_owned(),
                _ => data.clone(),
            };
            let text = FRAMES[frame].replace("{}", &data);
            all += 1;
            found += usize::from(!mask(&text).contains(&secret));
        }
        kinds.push((kind, found, all));
    }
    let (mut false_alarms, mut plain) = (Vec::new(), 0);
    for at in 0..3_000 {
        let number = match at % 10 {
            0 => format!("订单号2026{}", digits(8)),
            1 => format!("{}.{}元", digits(3), digits(2)),
            2 => format!("工单{}", digits(10)),
            3 => format!("等了{}分钟", 1 + at % 90),
            4 => format!("{}%", 1 + at % 99),
            5 => format!("2026年{}月{}日", 1 + at % 12, 1 + at % 28),
            6 => format!("第{}期账单", 1 + at % 36),
            7 => "王女士您好".to_owned(),
            8 => format!("套餐{}元{}G流量", 1 + at % 300, 1 + at % 100),
            _ => format!("验证码{}", digits(6)),
        };
        let text = FRAMES[at % FRAMES.len()].replace("{}", &number);
        plain += 1;
        let masked = mask(&text);
        if masked != text {
            false_alarms.push(format!("{text} -> {masked}"));
        }
    }
    for (kind, found, all) in &kinds {
        eprintln!("{kind:20} recall {:.4} ({found} of {all})", *found as f64 / *all as f64);
    }
    eprintln!(
        "{:20} {} of {plain} ({:.4})",
        "false alarms",
        false_alarms.len(),
        false_alarms.len() as f64 / f64::from(plain)
    );
    for (kind, found, all) in kinds {
        let wanted = if matches!(kind, "name" | "address" | "plate") { 0.97 } else { 1.0 };
        assert!(found as f64 >= wanted * all as f64, "{kind}: {found} of {all}");
    }
    assert!(
        false_alarms.len() * 100 <= plain as usize,
        "{} of {plain}: {:?}",
        false_alarms.len(),
        &false_alarms[..false_alarms.len().min(10)]
    );
}

/// The check character of an identity card's first 17 digits.
fn identity(body: &[u8]) -> String {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = body.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    let check = b"10X98765432"[(sum % 11) as usize];
    format!("{}{}", String::from_utf8_lossy(body), check as char)
}

/// A card number with its check digit, reckoned the long way.
fn card(body: &str) -> String {
    for check in 0..10 {
        let number = format!("{body}{check}");
        let sum: u32 = number
            .bytes()
            .rev()
            .enumerate()
            .map(|(at, digit)| {
                let value = u32::from(digit - b'0') * (1 + at as u32 % 2);
                value / 10 + value % 10
            })
            .sum();
        if sum.is_multiple_of(10) {
            return number;
        }
    }
    unreachable!("one of ten digits fits")
}

const BEFORE: &str = "\\PC{0,8}[^0-9A-Za-z_ ０-９－\\-零〇一幺二两三四五六七八九]";
const AFTER: &str = "[^0-9 ０-９xXｘＸ－\\-零〇一幺二两三四五六七八九]\\PC{0,8}";

proptest! {
    #[test]
    fn no_mobile_number_passes(before in BEFORE, number in "1[3-9][0-9]{9}", after in AFTER) {
        let text = format!("{before}{number}{after}");
        prop_assert!(!mask(&text).contains(&number), "{}", mask(&text));
    }

    #[test]
    fn no_identity_card_passes(before in BEFORE, body in "[1-9][0-9]{16}", after in AFTER) {
        let number = identity(body.as_bytes());
        let text = format!("{before}{number}{after}");
        prop_assert!(!mask(&text).contains(&number), "{}", mask(&text));
    }

    #[test]
    fn no_bank_card_passes(before in BEFORE, body in "[1-9][0-9]{14,17}", after in AFTER) {
        let number = card(&body);
        let text = format!("{before}{number}{after}");
        prop_assert!(!mask(&text).contains(&number), "{}", mask(&text));
    }

    #[test]
    fn what_is_not_hidden_is_not_changed(text in "\\PC{0,60}|[我叫张伟先生京A人民路号栋单元室名字是0-9a-zA-Z@. ：＠]{0,40}") {
        let masked = mask(&text);
        prop_assert_eq!(masked.len(), text.len());
        for (was, is) in text.char_indices().zip(masked.char_indices()) {
            prop_assert_eq!(was.0, is.0);
            prop_assert!(was.1 == is.1 || matches!(is.1, '*' | '＊'), "{} {}", text, masked);
        }
    }

    #[test]
    fn texts_without_numbers_names_and_addresses_stay(text in "[a-z ，。的是不了人们有这中大为上国说要天气很好谢]*") {
        prop_assert_eq!(mask(&text), text.as_str());
    }
}

/// Pieces of which texts are made that are nearly personal, or are.
const PIECES: [&str; 48] = [
    "我叫",
    "我的名字是",
    "名叫",
    "姓名：",
    "户名是",
    "收件人",
    "收货人是",
    "受益人",
    "联系人",
    "持卡人是",
    "机主",
    "业主",
    "客户",
    "用户",
    "患者",
    "乘客",
    "法人",
    "本人",
    "投保人",
    "被保险人",
    "学员",
    "先生",
    "女士",
    "小姐",
    "师傅",
    "老师",
    "王",
    "李小明",
    "欧阳",
    "京",
    "A",
    "B·",
    "12345",
    "138",
    "一三八",
    "1",
    "3",
    "号",
    "栋",
    "单元",
    "501室",
    "人民路",
    "花园",
    "Mr",
    "Mrs",
    " Smith",
    " Baker Street",
    "@a.com",
];

proptest! {
    #[test]
    fn what_is_not_suspected_is_not_there(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..9)) {
        let text = pieces.concat();
        prop_assert_eq!(personal(&text, &Suspicion::of(&text)), personal(&text, &Suspicion::all()), "{}", text);
    }
}
