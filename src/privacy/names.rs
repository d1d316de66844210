//! Names of persons, where a word beside them says that they are names. The surname is shown.

use super::{Chars, is_hanzi};

/// The usual surnames, the most frequent first. Those that are everyday words as well (于, 和, 都) are left out.
const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许邓冯韩曹曾彭萧肖蔡潘田董袁余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱邹熊孟秦阎薛侯雷龙段郝孔邵史毛万顾赖武康贺严尹钱施洪龚汤陶黎温莫樊葛俞颜倪庄聂章鲁岳翟殷詹欧耿关焦巫毕裴祝柯阮骆霍";
/// Surnames of two characters.
const DOUBLE: [&str; 8] = ["欧阳", "司马", "上官", "诸葛", "司徒", "东方", "慕容", "尉迟"];
/// What says that a name follows.
const CUES: [&str; 30] = [
    "我叫",
    "我的名字叫",
    "我的名字是",
    "名字叫",
    "名字是",
    "名字：",
    "名字:",
    "名叫",
    "姓名是",
    "姓名为",
    "姓名：",
    "姓名:",
    "姓名",
    "收件人是",
    "收件人：",
    "收件人:",
    "收件人",
    "收货人是",
    "收货人：",
    "收货人:",
    "收货人",
    "联系人是",
    "联系人：",
    "联系人:",
    "持卡人是",
    "持卡人：",
    "户名是",
    "户名：",
    "机主是",
    "户主是",
];
/// What stands before a name of which we can be less sure: the name must end there.
const WEAK_CUES: [&str; 15] = [
    "我是",
    "客户",
    "用户",
    "患者",
    "乘客",
    "业主",
    "户主",
    "机主",
    "法人",
    "投保人",
    "被保险人",
    "受益人",
    "本人",
    "学员",
    "联系人",
];
/// What stands after a name.
const TITLES: [&str; 13] =
    ["先生", "女士", "小姐", "同志", "师傅", "老师", "经理", "医生", "律师", "太太", "大哥", "阿姨", "主任"];
/// Second characters with which a surname is another word (方便, 高兴, 马上).
const NO_NAMES: [&str; 44] = [
    "高兴", "高度", "高级", "高铁", "马上", "金额", "金融", "黄金", "石油", "田地", "任何", "任务", "万一",
    "何时", "何人", "许多", "许可", "余额", "余下", "周一", "周二", "周三", "周四", "周五", "周六", "周日",
    "周末", "周期", "钱包", "关于", "关系", "关闭", "关注", "温度", "严重", "程序", "毛病", "顾客", "康复",
    "龙卡", "史上", "石家", "钟头", "汤圆",
];
/// What may follow a name at once.
const AFTER: &str = "的，,。.！!？?、；; 是在住电手身号女男先（(要想";
/// What stands before an English name; of two with the same beginning, the longer one first.
const ENGLISH: [&str; 9] = ["Mrs", "Mr", "Ms", "Miss", "Dr", "name is", "name's", "called", "Prof"];

/// Whether one of these words may begin with these two characters.
pub(super) fn begins(first: char, second: char) -> bool {
    match second {
        '叫' | '是' => matches!(first, '我' | '名'),
        '的' => first == '我',
        '字' => first == '名',
        '名' => matches!(first, '姓' | '户'),
        '件' | '货' | '益' => matches!(first, '收' | '受'),
        '系' => first == '联',
        '卡' => first == '持',
        '主' => matches!(first, '户' | '机' | '业'),
        '户' => matches!(first, '客' | '用'),
        '者' => first == '患',
        '客' => first == '乘',
        '人' => matches!(first, '法' | '本'),
        '保' => matches!(first, '投' | '被'),
        '员' => first == '学',
        '生' => matches!(first, '先' | '医'),
        '士' => first == '女',
        '姐' => first == '小',
        '志' => first == '同',
        '傅' | '师' => matches!(first, '师' | '老' | '律'),
        '理' => first == '经',
        '太' => first == '太',
        '哥' => first == '大',
        '姨' => first == '阿',
        '任' => first == '主',
        'r' => matches!(first, 'M' | 'D' | 'P'),
        's' | 'i' => first == 'M',
        'a' => matches!(first, 'n' | 'c'),
        _ => false,
    }
}

/// Finds names and hides all but their surnames.
pub(super) fn find(text: &Chars, hidden: &mut Vec<(usize, usize)>) {
    for at in 0..text.chars.len() {
        let c = text.chars[at];
        if c.is_ascii() {
            find_english(text, at, hidden);
            continue;
        }
        // Most characters begin none of these words, and this is looked at for every character of every message.
        let begins = matches!(
            c,
            '先' | '女'
                | '小'
                | '同'
                | '师'
                | '老'
                | '经'
                | '医'
                | '律'
                | '太'
                | '大'
                | '阿'
                | '主'
                | '我'
                | '名'
                | '姓'
                | '收'
                | '联'
                | '持'
                | '户'
                | '机'
                | '客'
                | '用'
                | '患'
                | '乘'
                | '业'
                | '法'
                | '投'
                | '被'
                | '受'
                | '本'
                | '学'
        );
        if !begins {
            continue;
        }
        if TITLES.iter().any(|title| text.stands(at, title)) {
            before_title(text, at, hidden);
        }
        if let Some(cue) = CUES.iter().find(|cue| text.stands(at, cue)) {
            let mut from = at + cue.chars().count();
            while text.get(from).is_some_and(|c| c == ' ') {
                from += 1;
            }
            after_cue(text, from, false, hidden);
        }
        if let Some(cue) = WEAK_CUES.iter().find(|cue| text.stands(at, cue)) {
            after_cue(text, at + cue.chars().count(), true, hidden);
        }
    }
}

/// Characters of the surname that begins at `at`; 0 when there is none.
fn surname(text: &Chars, at: usize) -> usize {
    if DOUBLE.iter().any(|name| text.stands(at, name)) {
        return 2;
    }
    let is_one = text.get(at).is_some_and(|c| SURNAMES.contains(c));
    usize::from(is_one && !NO_NAMES.iter().any(|word| text.stands(at, word)))
}

/// A name that begins at `at`. One that only may be a name (`weak`) must have three characters and end there.
fn after_cue(text: &Chars, at: usize, weak: bool, hidden: &mut Vec<(usize, usize)>) {
    let family = surname(text, at);
    if family == 0 {
        return;
    }
    let from = at + family;
    let ends = |to: usize| text.get(to).is_none_or(|c| AFTER.contains(c) || !is_hanzi(c));
    let titled = |to: usize| TITLES.iter().any(|title| text.stands(to, title));
    let given = text.chars[from..].iter().take(2).take_while(|c| is_hanzi(**c)).count();
    let length = match given {
        0 => return,
        // A title is no name.
        _ if titled(from) => return,
        _ if titled(from + 1) || ends(from + 1) => 1,
        length => length,
    };
    if weak && !(length == 2 && (ends(from + 2) || titled(from + 2))) {
        return;
    }
    hidden.push(text.span(from, from + length));
}

/// A name that ends before the title at `at`: 张伟先生, 欧阳小红女士. A surname alone is shown.
fn before_title(text: &Chars, at: usize, hidden: &mut Vec<(usize, usize)>) {
    for length in [3, 2, 4] {
        let Some(start) = at.checked_sub(length) else { continue };
        let family = surname(text, start);
        let given = length - family.min(length);
        if family > 0 && (1..=2).contains(&given) && text.chars[start..at].iter().all(|c| is_hanzi(*c)) {
            hidden.push(text.span(start + family, at));
            return;
        }
    }
}

/// Mr. Smith, my name is John Smith: the words with a capital letter, but for their first letters.
fn find_english(text: &Chars, at: usize, hidden: &mut Vec<(usize, usize)>) {
    if at > 0 && text.chars[at - 1].is_ascii_alphanumeric() {
        return;
    }
    let Some(cue) = ENGLISH.iter().find(|cue| text.stands(at, cue)) else { return };
    let mut next = at + cue.len();
    next += usize::from(text.get(next) == Some('.'));
    for _ in 0..3 {
        if text.get(next) != Some(' ') {
            break;
        }
        let word =
            text.chars[next + 1..].iter().take_while(|c| c.is_ascii_alphabetic() || **c == '\'').count();
        if word < 2 || !text.chars[next + 1].is_ascii_uppercase() {
            break;
        }
        hidden.push(text.span(next + 2, next + 1 + word));
        next += 1 + word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_begun_by_what_is_looked_for() {
        for word in CUES.iter().chain(&WEAK_CUES).chain(&TITLES).chain(&ENGLISH) {
            let mut chars = word.chars();
            let pair = chars.next().zip(chars.next());
            assert!(pair.is_some_and(|(first, second)| begins(first, second)), "{word}");
        }
        for word in CUES.iter().chain(&WEAK_CUES) {
            let text = format!("{word}王小明。");
            let mut hidden = Vec::new();
            find(&Chars::of(&text), &mut hidden);
            assert!(!hidden.is_empty(), "{text}");
        }
        for title in TITLES {
            let text = format!("王小明{title}");
            let mut hidden = Vec::new();
            find(&Chars::of(&text), &mut hidden);
            assert_eq!(hidden, [(3, 9)], "{text}");
        }
        for cue in ENGLISH {
            let text = format!("{cue} Jones called");
            let mut hidden = Vec::new();
            find(&Chars::of(&text), &mut hidden);
            let from = cue.len() + 2;
            assert_eq!(hidden, [(from, from + 4)], "{text}");
        }
    }
}
