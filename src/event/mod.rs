//! What can happen in a centre: one [`Event`] of a call, a chat, an agent, a survey, a complaint, a promise or a shift.
//!
//! Knows no bytes and no clock: `decode` makes events, `correlate` joins them. An event borrows its
//! strings from the record it came from, so that a batch is read without an allocation per event.

use std::borrow::Cow;

use crate::time::Millis;

/// A closed list of words that stand in records, tables and metrics under exactly these names.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* #[doc = concat!("`", $text, "`.")] $variant),* }

        impl $name {
            /// Every word of the list, in its order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word as it stands in records, tables and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            /// Reads the word; `None` when it is not of the list.
            pub fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }

            /// The word with this number (its place in [`Self::ALL`]).
            pub fn from_code(code: u8) -> Option<$name> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

words! {
    /// The type of an event. The order of the contact's kinds is their rank: events of one contact with
    /// the same time are applied in this order.
    Kind {
        /// The contact reaches the centre.
        ContactStarted = "contact.started",
        /// Self-service begins.
        BotStarted = "contact.bot_started",
        /// Self-service ends.
        BotEnded = "contact.bot_ended",
        /// Enters a queue: opens a leg.
        Queued = "contact.queued",
        /// Rings at an agent.
        Offered = "contact.offered",
        /// The agent did not take it.
        Missed = "contact.missed",
        /// Closes the open leg as answered and opens a handling.
        Answered = "contact.answered",
        /// The customer is put on hold.
        Held = "contact.held",
        /// The hold ends.
        Resumed = "contact.resumed",
        /// The leg ends without agent or hang-up.
        LeftQueue = "contact.left_queue",
        /// Ends the agent's talk; the next leg or handling follows.
        Transferred = "contact.transferred",
        /// Hang-up.
        Ended = "contact.ended",
        /// The agent's after-contact work ends.
        Wrapped = "contact.wrapped",
        /// A chat message or one utterance of a call's transcript.
        Message = "message",
        /// An agent's state, which holds until the next one.
        AgentState = "agent.state",
        /// The customer's answers to a survey.
        Survey = "survey",
        /// A complaint is opened.
        ComplaintOpened = "complaint.opened",
        /// The customer was contacted about the complaint.
        ComplaintContacted = "complaint.contacted",
        /// The complaint has a verdict.
        ComplaintResolved = "complaint.resolved",
        /// The complaint is closed.
        ComplaintClosed = "complaint.closed",
        /// The complaint is taken up again.
        ComplaintReopened = "complaint.reopened",
        /// The customer takes the complaint back.
        ComplaintWithdrawn = "complaint.withdrawn",
        /// Something was promised to the customer.
        PromiseMade = "promise.made",
        /// The promise was kept.
        PromiseKept = "promise.kept",
        /// A shift stands in the roster.
        ShiftPlanned = "shift.planned",
        /// A shift is taken out of the roster.
        ShiftCancelled = "shift.cancelled",
    }
}

words! {
    /// How the customer and the centre speak.
    Channel { Voice = "voice", Chat = "chat", Email = "email", Social = "social", Video = "video", Sms = "sms" }
}
words! {
    /// Who began the contact.
    Direction { Inbound = "inbound", Outbound = "outbound", Callback = "callback" }
}
words! {
    /// How self-service ended.
    BotOutcome { Contained = "contained", Handover = "handover", Abandoned = "abandoned" }
}
words! {
    /// Why a leg ended without agent and without hang-up.
    LeaveReason {
        Overflow = "overflow", Callback = "callback", ExitKey = "exit_key", Timeout = "timeout",
        NoAgent = "no_agent", Closed = "closed", Error = "error",
    }
}
words! {
    /// Who hung up.
    EndedBy { Customer = "customer", Agent = "agent", System = "system" }
}
words! {
    /// How a contact was passed on.
    TransferMode { Blind = "blind", Warm = "warm" }
}
words! {
    /// Who said something.
    Speaker { Customer = "customer", Agent = "agent", Bot = "bot", System = "system" }
}
words! {
    /// What an agent is doing.
    AgentStateName {
        Offline = "offline", Available = "available", Busy = "busy", Acw = "acw", Break = "break",
        Training = "training", Meeting = "meeting", Other = "other",
    }
}
words! {
    /// The outcome of a complaint.
    Verdict { Upheld = "upheld", Rejected = "rejected", Pacified = "pacified" }
}
words! {
    /// What a planned shift is for.
    Role { Agent = "agent", Supervisor = "supervisor", Lead = "lead" }
}

/// A string of an event: borrowed from its record unless the record had to be unescaped.
pub type Text<'a> = Cow<'a, str>;

/// One event, as the centre's platform told it.
///
/// A field that the event's type does not have is `None`. Times are milliseconds since 1970 (UTC).
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// Identifies the event within its contact or agent (1–128 characters); a repeat is ignored.
    pub id: Text<'a>,
    /// What happened.
    pub kind: Kind,
    /// When it happened.
    pub time: Millis,
    /// The contact it belongs to.
    pub contact_id: Option<Text<'a>>,
    /// The agent concerned.
    pub agent_id: Option<Text<'a>>,
    /// The channel, where the event names it.
    pub channel: Option<Channel>,
    /// The queue, where the event names it.
    pub queue: Option<Text<'a>>,
    /// The department, where the event names it.
    pub department: Option<Text<'a>>,
    /// The customer.
    pub customer_id: Option<Text<'a>>,
    /// The customer's tier.
    pub tier: Option<Text<'a>>,
    /// `attributes` and unknown further fields together, as the text of one JSON object.
    pub attributes: Option<Text<'a>>,
    /// Who began the contact (`contact.started`).
    pub direction: Option<Direction>,
    /// The matter (`contact.started`).
    pub topic: Option<Text<'a>>,
    /// How self-service ended (`contact.bot_ended`).
    pub bot_outcome: Option<BotOutcome>,
    /// Dialling time of an outbound contact, ms (`contact.answered`).
    pub dial_ms: Option<i64>,
    /// Why the leg ended (`contact.left_queue`).
    pub leave_reason: Option<LeaveReason>,
    /// Free reason (`contact.ended`, `agent.state`).
    pub reason: Option<Text<'a>>,
    /// The queue the contact is passed to (`contact.transferred`).
    pub to_queue: Option<Text<'a>>,
    /// The agent the contact is passed to (`contact.transferred`).
    pub to_agent: Option<Text<'a>>,
    /// Blind or warm (`contact.transferred`).
    pub mode: Option<TransferMode>,
    /// Who hung up (`contact.ended`).
    pub by: Option<EndedBy>,
    /// Whether the matter is resolved (`contact.wrapped`, `survey`).
    pub resolved: Option<bool>,
    /// The agent's label for the contact (`contact.wrapped`).
    pub disposition: Option<Text<'a>>,
    /// Who said it (`message`).
    pub speaker: Option<Speaker>,
    /// What was said or written (`message`, `complaint.*`).
    pub text: Option<Text<'a>>,
    /// How long the utterance lasted, ms (`message`).
    pub duration_ms: Option<i64>,
    /// False for a partial transcript piece that its final one replaces (`message`).
    pub is_final: bool,
    /// Joins the pieces of one utterance (`message`).
    pub utterance: Option<Text<'a>>,
    /// The new state (`agent.state`).
    pub state: Option<AgentStateName>,
    /// Satisfaction, 1–5 (`survey`).
    pub csat: Option<i64>,
    /// Would recommend, 0–10 (`survey`).
    pub nps: Option<i64>,
    /// Ease, 1–7 (`survey`).
    pub ces: Option<i64>,
    /// The customer's own words (`survey`).
    pub comment: Option<Text<'a>>,
    /// The complaint (`complaint.*`).
    pub complaint_id: Option<Text<'a>>,
    /// What the complaint is about (`complaint.*`).
    pub category: Option<Text<'a>>,
    /// How bad it is, 1–4 (`complaint.*`).
    pub severity: Option<i64>,
    /// The complaint's verdict (`complaint.*`).
    pub verdict: Option<Verdict>,
    /// What caused the complaint (`complaint.*`).
    pub cause: Option<Text<'a>>,
    /// The promise (`promise.*`).
    pub promise_id: Option<Text<'a>>,
    /// When the promise is due (`promise.made`).
    pub due: Option<Millis>,
    /// The shift (`shift.*`).
    pub shift_id: Option<Text<'a>>,
    /// What the shift is for (`shift.planned`).
    pub role: Option<Role>,
    /// The queues the shift serves, as the text of one JSON array of strings (`shift.planned`).
    pub queues: Option<Text<'a>>,
    /// When the shift begins (`shift.planned`).
    pub start: Option<Millis>,
    /// When the shift ends (`shift.planned`).
    pub end: Option<Millis>,
    /// Whether the agent asked for it (`shift.planned`).
    pub preferred: Option<bool>,
    /// When the shift was published (`shift.planned`).
    pub published_at: Option<Millis>,
    /// Minutes that are paid (`shift.planned`).
    pub paid_minutes: Option<i64>,
    /// The document of the source that this event was read from, where a source sends a document again when
    /// it changes (`contact.*`): of one document the events of its newest version hold, the others never were.
    pub record: Option<Text<'a>>,
    /// The document's version; greater is newer. 0 where a `record` names none.
    pub version: Option<i64>,
}

impl<'a> Event<'a> {
    /// An event with nothing but what every event has.
    pub fn new(id: impl Into<Text<'a>>, kind: Kind, time: Millis) -> Event<'a> {
        Event {
            id: id.into(),
            kind,
            time,
            contact_id: None,
            agent_id: None,
            channel: None,
            queue: None,
            department: None,
            customer_id: None,
            tier: None,
            attributes: None,
            direction: None,
            topic: None,
            bot_outcome: None,
            dial_ms: None,
            leave_reason: None,
            reason: None,
            to_queue: None,
            to_agent: None,
            mode: None,
            by: None,
            resolved: None,
            disposition: None,
            speaker: None,
            text: None,
            duration_ms: None,
            is_final: true,
            utterance: None,
            state: None,
            csat: None,
            nps: None,
            ces: None,
            comment: None,
            complaint_id: None,
            category: None,
            severity: None,
            verdict: None,
            cause: None,
            promise_id: None,
            due: None,
            shift_id: None,
            role: None,
            queues: None,
            start: None,
            end: None,
            preferred: None,
            published_at: None,
            paid_minutes: None,
            record: None,
            version: None,
        }
    }

    /// The event with strings of its own, to be kept beyond its record.
    pub fn into_owned(self) -> Event<'static> {
        fn owned(text: Text<'_>) -> Text<'static> {
            Cow::Owned(text.into_owned())
        }
        Event {
            id: owned(self.id),
            kind: self.kind,
            time: self.time,
            contact_id: self.contact_id.map(owned),
            agent_id: self.agent_id.map(owned),
            channel: self.channel,
            queue: self.queue.map(owned),
            department: self.department.map(owned),
            customer_id: self.customer_id.map(owned),
            tier: self.tier.map(owned),
            attributes: self.attributes.map(owned),
            direction: self.direction,
            topic: self.topic.map(owned),
            bot_outcome: self.bot_outcome,
            dial_ms: self.dial_ms,
            leave_reason: self.leave_reason,
            reason: self.reason.map(owned),
            to_queue: self.to_queue.map(owned),
            to_agent: self.to_agent.map(owned),
            mode: self.mode,
            by: self.by,
            resolved: self.resolved,
            disposition: self.disposition.map(owned),
            speaker: self.speaker,
            text: self.text.map(owned),
            duration_ms: self.duration_ms,
            is_final: self.is_final,
            utterance: self.utterance.map(owned),
            state: self.state,
            csat: self.csat,
            nps: self.nps,
            ces: self.ces,
            comment: self.comment.map(owned),
            complaint_id: self.complaint_id.map(owned),
            category: self.category.map(owned),
            severity: self.severity,
            verdict: self.verdict,
            cause: self.cause.map(owned),
            promise_id: self.promise_id.map(owned),
            due: self.due,
            shift_id: self.shift_id.map(owned),
            role: self.role,
            queues: self.queues.map(owned),
            start: self.start,
            end: self.end,
            preferred: self.preferred,
            published_at: self.published_at,
            paid_minutes: self.paid_minutes,
            record: self.record.map(owned),
            version: self.version,
        }
    }
}

words! {
    /// Why a record could not be used. The list is closed: metrics and the table `rejects` use these words.
    RejectReason {
        /// The bytes are not UTF-8.
        NotUtf8 = "not_utf8",
        /// The text is not JSON.
        NotJson = "not_json",
        /// The JSON is not an object.
        NotObject = "not_object",
        /// The record is larger than 1 MiB.
        TooLarge = "too_large",
        /// A field that the type needs is absent.
        MissingField = "missing_field",
        /// A field has the wrong type or a value outside its range.
        BadField = "bad_field",
        /// The type is not of the contract.
        UnknownType = "unknown_type",
        /// A time cannot be read.
        BadTime = "bad_time",
        /// The time is more than 24 h ahead of the Kafka timestamp.
        FutureTime = "future_time",
        /// The topic's format is not known.
        UnknownFormat = "unknown_format",
        /// The contact closed longer ago than events may restate it.
        TooLate = "too_late",
    }
}

/// Why one record was not used: the reason, and the detail for whoever mends the producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// One of the fixed list.
    pub reason: RejectReason,
    /// What exactly is wrong: names the field and the value.
    pub detail: String,
}

/// Where a record stood: Kafka topic, partition and offset, or path, 0 and line number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Topic or path.
    pub topic: &'a str,
    /// Partition; 0 for files.
    pub partition: i32,
    /// Offset, or line number from 1.
    pub offset: i64,
}
