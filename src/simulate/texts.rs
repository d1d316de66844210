//! What customers, agents and the bot say: templates written for this simulation, in Chinese and English.
//!
//! Marks in braces are filled from one number, so that a partial transcript and its final text agree:
//! `{n}` a number, `{h}` a small count, `{a}` an amount, `{p}` a phone number, `{c}` a place, `{s}` a surname,
//! `{t}` an hour of the day.

use super::dice::mix;
use super::profile::{Subject, Tongue};
use super::record::integer;

/// The phrases of one language.
pub(crate) struct Phrases {
    pub(crate) greetings: &'static [&'static str],
    pub(crate) farewells: &'static [&'static str],
    /// The agent's ordinary lines.
    pub(crate) helping: &'static [&'static str],
    pub(crate) promising: &'static [&'static str],
    /// Lines that the service rules forbid: blame, impatience, threats, urging to hang up.
    pub(crate) rude: &'static [&'static str],
    /// The customer's ordinary lines.
    pub(crate) plain: &'static [&'static str],
    pub(crate) angry: &'static [&'static str],
    pub(crate) leaving: &'static [&'static str],
    pub(crate) regulator: &'static [&'static str],
    pub(crate) thanks: &'static [&'static str],
    pub(crate) bot: &'static [&'static str],
    pub(crate) praise: &'static [&'static str],
    pub(crate) blame: &'static [&'static str],
}

/// Finds the phrases of a language.
pub(crate) fn phrases(tongue: Tongue) -> &'static Phrases {
    match tongue {
        Tongue::Chinese => &CHINESE,
        Tongue::English => &ENGLISH,
    }
}

/// The first thing a customer says about a subject.
pub(crate) fn openings(tongue: Tongue, subject: Subject) -> &'static [&'static str] {
    match (tongue, subject) {
        (Tongue::English, Subject::Sales) => &[
            "Hi, I'd like to know what the 5G plan for {a} a month includes.",
            "Can I add a second line to my account? The number is {p}.",
            "I saw an offer for new customers, is it also valid for me?",
            "We need {h} new lines for our office in {c}, what can you do on the price?",
        ],
        (Tongue::English, Subject::Technical) => &[
            "My router keeps dropping the connection every {h} minutes.",
            "The app crashes as soon as I open it, error {n}.",
            "I can't send messages since the update yesterday.",
            "How do I set up the mailbox on a new phone? It asks for a server name.",
        ],
        (Tongue::English, _) => &[
            "I don't understand my last bill, there is a charge of {a} that I never ordered.",
            "Could you send me the invoice for order {n} again?",
            "Please change the address on my account to {c}.",
        ],
        (_, Subject::Broadband) => &[
            "你好，我家宽带上不了网，光猫的灯是红的。",
            "网速特别慢，看视频一直卡，已经{h}天了。",
            "我在{c}，报修单{n}什么时候有师傅上门？",
            "路由器重启了{h}次还是连不上。",
        ],
        (_, Subject::Complaint) => &[
            "我要投诉，上次的问题拖了{h}天都没有人管。",
            "我对你们{s}姓客服的态度非常不满意。",
            "没有经过我同意就给我开通了增值业务，扣了{a}元。",
            "营业厅说的和你们说的完全不一样，我要投诉。",
        ],
        (_, Subject::Vip) => &[
            "你好，帮我看一下我的积分可以换什么。",
            "我要出国，请帮我开通国际漫游，号码{p}。",
            "我的专属客户经理是谁？麻烦让他联系我。",
        ],
        (_, Subject::Outbound) => {
            &["你好，是哪位？", "嗯，已经修好了，谢谢。", "现在不太方便，晚上{t}点再打吧。"]
        }
        _ => &[
            "你好，我想查一下这个月的话费，号码是{p}。",
            "为什么这个月多扣了{a}元？",
            "我的套餐还剩多少流量？",
            "帮我看一下{n}这个订单的发票开了没有。",
            "我充了{a}元，怎么还没到账？",
        ],
    }
}

const CHINESE: Phrases = Phrases {
    greetings: &[
        "您好，很高兴为您服务，我姓{s}，请问有什么可以帮您？",
        "您好，客服{n}号为您服务，请讲。",
        "您好，感谢您的来电，请问您遇到什么问题？",
    ],
    farewells: &[
        "感谢您的来电，祝您生活愉快，再见。",
        "请问还有其他可以帮您的吗？没有的话请您稍后对我的服务作出评价，再见。",
        "好的，不打扰您了，祝您工作顺利，再见！",
    ],
    helping: &[
        "请您稍等，我马上帮您查询一下。",
        "我这边看到您的套餐是每月{a}元，包含{n}分钟通话。",
        "给您带来不便非常抱歉，我来帮您处理。",
        "麻烦您提供一下身份证后四位，我核实一下信息。",
        "您的工单号是{n}，我们会尽快为您跟进。",
        "这笔费用是上月{h}号产生的漫游费，我已经为您申请减免。",
        "请您把光猫断电{h}分钟之后再重新启动，看看灯的颜色。",
        "我理解您的心情，换作是我也会着急的。",
        "已经为您登记好了，短信会发到您的手机{p}。",
    ],
    promising: &[
        "我们的专员会在今天{t}点之前给您回电。",
        "师傅明天上午{t}点上门，我会跟进到底。",
        "退款{a}元会在三个工作日内到账，到时我给您回电确认。",
    ],
    rude: &[
        "这个是您自己没有看清楚，不关我们的事。",
        "我刚才不是说过了吗？您怎么还问？",
        "您要投诉就去投诉好了。",
        "没办法，规定就是这样，您先挂了吧。",
        "您能不能听我把话说完？",
    ],
    plain: &[
        "好的，我等一下。",
        "嗯，是的。",
        "号码是{p}，机主姓{s}。",
        "那大概要多长时间？",
        "我住在{c}，{n}号。",
        "我已经试过了，还是不行。",
        "那这个费用能退吗？大概{a}元。",
        "我没太听明白，你再说一遍。",
        "上次也是这样，前前后后打了{h}次电话。",
    ],
    angry: &[
        "你们到底能不能解决？我都打了{h}遍了！",
        "太离谱了，等了这么久还是这种答复！",
        "你们这是什么服务态度？把你们领导叫来！",
        "乱扣费，简直就是骗人！",
        "我非常生气，每次都让我等，每次都没有结果！",
    ],
    leaving: &[
        "再不解决我就销户，换别家的运营商。",
        "我要携号转网，你们太让人失望了。",
        "算了，这个套餐我不要了，马上给我退订。",
    ],
    regulator: &[
        "今天不给我答复，我就去工信部投诉你们。",
        "我要打12315，我要让消费者协会来处理。",
        "我已经录音了，明天就找媒体曝光，再向工信部申诉。",
    ],
    thanks: &[
        "好的，谢谢你，问题解决了。",
        "非常感谢，你的服务很好！",
        "明白了，麻烦你了，再见。",
        "太好了👍，谢谢！",
    ],
    bot: &[
        "您好，我是智能客服小蓝，请问要办理什么业务？",
        "为您找到以下内容：\n1. 话费余额\n2. 流量套餐\n3. 故障报修",
        "抱歉，我没有听懂，请换一种说法，或者回复\"人工\"。",
    ],
    praise: &["客服很耐心，问题一次就解决了。", "服务很好，速度快。", "满意，谢谢{s}女士。"],
    blame: &[
        "等了太久，问题也没有解决。",
        "态度不好，推来推去。",
        "打了{h}次电话，每次说法都不一样，非常失望。",
    ],
};

const ENGLISH: Phrases = Phrases {
    greetings: &[
        "Thank you for calling, my name is {s}, how can I help you today?",
        "Hello, you're speaking with {s}. What can I do for you?",
        "Good day and welcome, may I have your name and number, please?",
    ],
    farewells: &[
        "Thank you for your patience, have a nice day. Goodbye!",
        "Is there anything else I can help you with? If not, have a great day, goodbye.",
        "You're welcome, thanks for contacting us. Bye!",
    ],
    helping: &[
        "Let me check that for you, one moment please.",
        "I'm sorry for the trouble, I'll look into it right away.",
        "I can see your order {n} here, it was shipped on Monday.",
        "Could you switch the router off for {h} minutes and on again?",
        "Your plan is {a} a month and includes unlimited data.",
        "I understand how annoying this is, let me see what I can do.",
        "I've opened ticket {n} for you, you'll get a text message at {p}.",
        "For security, please tell me your date of birth and postcode.",
    ],
    promising: &[
        "A colleague will call you back before {t} o'clock today.",
        "I'll refund {a} and call you tomorrow to confirm that it has arrived.",
        "I promise to get back to you by {t} tomorrow.",
    ],
    rude: &[
        "That's your own fault, you should have read the terms.",
        "I already told you that, why do you ask again?",
        "If you want to complain, go ahead.",
        "There's nothing I can do, just hang up.",
        "Can you please stop interrupting me?",
    ],
    plain: &[
        "OK, I'll wait.",
        "Yes, that's right.",
        "My number is {p}, the account is under the name {s}.",
        "How long is that going to take?",
        "I've already tried that, it didn't help.",
        "Can I get the {a} back?",
        "Sorry, I didn't catch that, could you repeat it?",
        "I called {h} times about this already.",
        "The address is {n} Station Road, {c}.",
    ],
    angry: &[
        "This is ridiculous, I've been passed around {h} times now!",
        "Your service is terrible, nobody ever calls me back.",
        "I am really angry, you charged me {a} for nothing!",
        "Let me speak to your manager right now.",
        "What a scam! You people are useless.",
    ],
    leaving: &[
        "If you can't fix it I'm going to cancel my contract.",
        "I'm switching to another provider, I've had enough.",
        "Please close my account, I want to leave.",
    ],
    regulator: &[
        "I will report you to the regulator if I don't get an answer today.",
        "My lawyer will be in touch, and so will the consumer protection agency.",
        "I'm going to the ombudsman and to the press with this.",
    ],
    thanks: &[
        "Great, thank you so much, that solved it.",
        "Perfect, thanks for your help!",
        "You've been very helpful, I appreciate it 🙂",
    ],
    bot: &[
        "Hi, I'm Bluebell, the virtual assistant. What can I help you with?",
        "I found this for you:\n- Plans and prices\n- Orders\n- Technical help",
        "Sorry, I didn't understand. Type \"agent\" to talk to a person.",
    ],
    praise: &["Quick and friendly, solved at once.", "Very patient agent, thank you {s}!", "Good service."],
    blame: &[
        "Waited far too long and it still does not work.",
        "Rude agent, never again.",
        "Called {h} times and got {h} different answers.",
    ],
};

const SURNAMES: [[&str; 8]; 2] = [
    ["王", "李", "张", "刘", "陈", "杨", "赵", "黄"],
    ["Anna", "Priya", "Daniel", "Maria", "Tom", "Grace", "Omar", "Julia"],
];
const PLACES: [[&str; 8]; 2] = [
    ["天河", "浦东", "朝阳", "武昌", "江北", "雁塔", "南山", "鼓楼"],
    ["Leeds", "Bristol", "Cork", "Dover", "York", "Bath", "Derby", "Oxford"],
];

/// Fills the marks of `template` from `chance` and appends the text to `out`.
pub(crate) fn fill(out: &mut String, template: &str, tongue: Tongue, chance: u64) {
    let mut rest = template;
    let mut draw = chance;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        draw = mix(draw, 1);
        let language = usize::from(tongue == Tongue::English);
        let number = i64::try_from(draw >> 33).unwrap_or(0);
        match rest.as_bytes().get(at + 1) {
            Some(b'n') => integer(out, 100 + number % 9900),
            Some(b'h') => integer(out, 2 + number % 6),
            Some(b't') => integer(out, 9 + number % 9),
            Some(b'a') => {
                integer(out, 5 + number % 290);
                if language == 1 {
                    out.push_str(" dollars");
                }
            }
            Some(b'p') => {
                out.push_str("13");
                integer(out, 100_000_000 + number % 900_000_000);
            }
            Some(b's') => out.push_str(SURNAMES[language][(number % 8) as usize]),
            _ => out.push_str(PLACES[language][(number % 8) as usize]),
        }
        rest = rest.get(at + 3..).unwrap_or("");
    }
    out.push_str(rest);
}

/// Cuts `text` after the given tenths of its characters, as a recogniser that has not heard the end yet.
pub(crate) fn beginning(text: &str, tenths: usize) -> &str {
    let characters = text.chars().count() * tenths / 10;
    text.char_indices().nth(characters.max(1)).map_or(text, |(at, _)| &text[..at])
}
