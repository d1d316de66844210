//! The centre as it stands: its queues, how busy they are and when, how long people wait and talk.
//!
//! Numbers are typical of a telecom's hotline; nothing here is measured at a real one.

use super::slots::Local;

/// The language that a queue speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Chinese,
    English,
}

/// What a queue's customers come for; chooses their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Bill,
    Broadband,
    Complaint,
    Vip,
    Sales,
    Technical,
    Outbound,
}

/// When a queue's customers come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// All day and a little at night, busy in the evening too.
    Private,
    /// Office hours.
    Office,
}

/// One queue on one channel: the unit that customers arrive at and agents are skilled for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) queue: &'static str,
    pub(crate) department: &'static str,
    pub(crate) channel: &'static str,
    pub(crate) tongue: Tongue,
    pub(crate) subject: Subject,
    pub(crate) rhythm: Rhythm,
    /// Share of all contacts in busy hours; the shares of all streams sum to 1.
    pub(crate) share: f64,
    /// Share of a weekday's traffic on Saturdays and Sundays.
    pub(crate) weekend: f64,
    /// Means, in milliseconds.
    pub(crate) talk: i64,
    pub(crate) acw: i64,
    pub(crate) patience: i64,
    /// "In time" is a wait of at most this.
    pub(crate) target_wait: i64,
    /// A hang-up sooner than this is a short abandon.
    pub(crate) short_abandon: i64,
    /// Opening hours in minutes of the local day; 0 to 1440 is always open.
    pub(crate) open: (u32, u32),
    /// How many contacts an agent of this stream handles at once.
    pub(crate) at_once: u8,
    /// Where an over-long wait overflows to, as an index into [`STREAMS`].
    pub(crate) overflow: Option<u8>,
    /// Agents of one family share skills.
    pub(crate) family: u8,
}

impl Stream {
    pub(crate) fn voice(&self) -> bool {
        self.channel == "voice"
    }

    /// E-mail and social media wait for hours; nobody hangs up.
    pub(crate) fn patient(&self) -> bool {
        matches!(self.channel, "email" | "social")
    }

    pub(crate) fn outbound(&self) -> bool {
        self.subject == Subject::Outbound
    }

    pub(crate) fn open_at(&self, minute: u32) -> bool {
        self.open.0 <= minute && minute < self.open.1
    }

    /// Expected share of this stream's contacts that ask for an agent; the rest stays with the bot.
    pub(crate) fn reaching(&self) -> f64 {
        if self.voice() && !self.outbound() {
            1.0 - BOT_VOICE * (BOT_CONTAINED + BOT_ABANDONED)
        } else if self.channel == "chat" {
            1.0 - BOT_CHAT * (BOT_CONTAINED + BOT_ABANDONED)
        } else {
            1.0
        }
    }

    /// Arrivals at this local time, relative to a busy weekday hour.
    pub(crate) fn shape(&self, now: Local) -> f64 {
        let curve = match self.rhythm {
            Rhythm::Private => &PRIVATE,
            Rhythm::Office => &OFFICE,
        };
        let hour = (now.minute / 60) as usize;
        let next = curve[(hour + 1) % 24];
        let within = f64::from(now.minute % 60) / 60.0;
        (curve[hour] * (1.0 - within) + next * within) * self.day_factor(now.weekday)
    }

    /// Traffic of a weekday (0 is Monday) relative to a normal one.
    pub(crate) fn day_factor(&self, weekday: u32) -> f64 {
        match weekday {
            0 => 1.1,
            5 | 6 => self.weekend,
            _ => 1.0,
        }
    }
}

/// Share of calls that begin in the IVR, of chats that begin with the bot, and what becomes of them there.
pub(crate) const BOT_VOICE: f64 = 0.75;
pub(crate) const BOT_CHAT: f64 = 0.65;
pub(crate) const BOT_CONTAINED: f64 = 0.22;
pub(crate) const BOT_ABANDONED: f64 = 0.05;

/// Arrivals by hour of the day: two peaks, around ten and half past two.
const PRIVATE: [f64; 24] = [
    0.10, 0.06, 0.04, 0.04, 0.04, 0.06, 0.14, 0.32, 0.72, 1.08, 1.22, 1.08, 0.82, 0.88, 1.06, 1.10, 1.02,
    0.90, 0.78, 0.72, 0.62, 0.46, 0.30, 0.18,
];
const OFFICE: [f64; 24] = [
    0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.03, 0.12, 0.62, 1.10, 1.28, 1.14, 0.74, 0.86, 1.12, 1.14, 1.04,
    0.76, 0.34, 0.20, 0.12, 0.08, 0.04, 0.02,
];

const ALWAYS: (u32, u32) = (0, 1440);
const SECOND: i64 = 1000;

const BASE: Stream = Stream {
    queue: "",
    department: "",
    channel: "voice",
    tongue: Tongue::Chinese,
    subject: Subject::Bill,
    rhythm: Rhythm::Private,
    share: 0.0,
    weekend: 0.7,
    talk: 190 * SECOND,
    acw: 32 * SECOND,
    patience: 140 * SECOND,
    target_wait: 20 * SECOND,
    short_abandon: 5 * SECOND,
    open: ALWAYS,
    at_once: 1,
    overflow: None,
    family: 0,
};

const CHAT: Stream = Stream {
    channel: "chat",
    talk: 430 * SECOND,
    acw: 22 * SECOND,
    patience: 200 * SECOND,
    at_once: 3,
    ..BASE
};

/// The streams, in the order that indexes elsewhere rely on.
pub(crate) const STREAMS: [Stream; 13] = [
    Stream { queue: "话费查询", department: "客户服务部", share: 0.23, overflow: Some(2), ..BASE },
    Stream { queue: "话费查询", department: "客户服务部", share: 0.07, family: 1, ..CHAT },
    Stream {
        queue: "宽带报修",
        department: "装维支撑部",
        subject: Subject::Broadband,
        share: 0.13,
        talk: 260 * SECOND,
        acw: 45 * SECOND,
        overflow: Some(0),
        ..BASE
    },
    Stream {
        queue: "宽带报修",
        department: "装维支撑部",
        subject: Subject::Broadband,
        share: 0.04,
        family: 1,
        ..CHAT
    },
    Stream {
        queue: "投诉",
        department: "投诉处理中心",
        subject: Subject::Complaint,
        share: 0.07,
        weekend: 0.8,
        talk: 330 * SECOND,
        acw: 80 * SECOND,
        patience: 200 * SECOND,
        open: (7 * 60, 22 * 60),
        ..BASE
    },
    Stream {
        queue: "vip",
        department: "客户服务部",
        subject: Subject::Vip,
        share: 0.05,
        talk: 220 * SECOND,
        patience: 110 * SECOND,
        overflow: Some(0),
        ..BASE
    },
    Stream {
        queue: "sales",
        department: "Sales",
        tongue: Tongue::English,
        subject: Subject::Sales,
        rhythm: Rhythm::Office,
        share: 0.10,
        weekend: 0.45,
        talk: 290 * SECOND,
        patience: 90 * SECOND,
        open: (8 * 60, 20 * 60),
        family: 2,
        ..BASE
    },
    Stream {
        queue: "sales",
        department: "Sales",
        tongue: Tongue::English,
        subject: Subject::Sales,
        rhythm: Rhythm::Office,
        share: 0.05,
        weekend: 0.45,
        open: (8 * 60, 20 * 60),
        family: 3,
        ..CHAT
    },
    Stream {
        queue: "tech support",
        department: "Technical Support",
        tongue: Tongue::English,
        subject: Subject::Technical,
        share: 0.11,
        talk: 340 * SECOND,
        acw: 60 * SECOND,
        patience: 180 * SECOND,
        overflow: Some(6),
        family: 2,
        ..BASE
    },
    Stream {
        queue: "tech support",
        department: "Technical Support",
        tongue: Tongue::English,
        subject: Subject::Technical,
        share: 0.07,
        family: 3,
        ..CHAT
    },
    Stream {
        queue: "e-mail",
        department: "客户服务部",
        channel: "email",
        tongue: Tongue::English,
        subject: Subject::Bill,
        rhythm: Rhythm::Office,
        share: 0.03,
        talk: 300 * SECOND,
        acw: 20 * SECOND,
        patience: 14 * 3600 * SECOND,
        family: 4,
        ..BASE
    },
    Stream {
        queue: "social",
        department: "客户服务部",
        channel: "social",
        subject: Subject::Complaint,
        share: 0.02,
        talk: 150 * SECOND,
        acw: 15 * SECOND,
        patience: 8 * 3600 * SECOND,
        at_once: 2,
        family: 4,
        ..BASE
    },
    Stream {
        queue: "回访",
        department: "客户服务部",
        subject: Subject::Outbound,
        rhythm: Rhythm::Office,
        share: 0.03,
        weekend: 0.3,
        talk: 90 * SECOND,
        acw: 20 * SECOND,
        open: (9 * 60, 20 * 60),
        family: 5,
        ..BASE
    },
];

/// What breaks in an incident: the queue it floods and the words customers have for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) queue: &'static str,
    pub(crate) theme: &'static str,
    pub(crate) words: &'static [&'static str],
}

pub(crate) const TROUBLES: [Trouble; 4] = [
    Trouble {
        queue: "宽带报修",
        theme: "断网",
        words: &[
            "我们{c}整个小区都断网了，{n}号楼也上不了网，光猫一直闪红灯！",
            "宽带断网{h}个小时了，大面积断网你们到底知不知道？",
            "家里断网了，邻居家也断网，是不是你们机房出故障了？",
        ],
    },
    Trouble {
        queue: "话费查询",
        theme: "重复扣费",
        words: &[
            "这个月重复扣费了，套餐费扣了两次，一共多扣{a}元。",
            "我收到两条扣费短信，重复扣费{a}元，请马上退给我。",
            "好多人都说你们系统重复扣费，我的{p}也被扣了两次！",
        ],
    },
    Trouble {
        queue: "tech support",
        theme: "login failure",
        words: &[
            "Nobody in our office can log in, the app says \"login failure {n}\" since this morning.",
            "Login failure again! I have reset my password {h} times and still can't log in.",
            "The app has been down for {h} hours, it's a login failure on every phone we tried.",
        ],
    },
    Trouble {
        queue: "sales",
        theme: "payment declined",
        words: &[
            "Your web shop says payment declined, but my bank says the card is fine. I tried {h} times.",
            "Payment declined on every order today, is your checkout broken?",
            "I get payment declined for order {n} and the money was still taken from my account!",
        ],
    },
];
