//! What must be masked, what must stay, and that nothing else changes.

use proptest::prelude::*;

use super::mask;

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
