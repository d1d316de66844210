//! What the correlator makes of a contact: `contacts`, `legs`, `handlings`, `messages`, `contact_findings`.

use super::table_macro as table;

table! {
    /// One customer's need, from arrival to the end of after-contact work.
    CONTACTS = "contacts", row ContactRow, builder ContactRows, key ["contact_id"], written PerContact {
        /// The contact.
        contact_id: Text,
        /// The earliest channel that an event names, else voice.
        channel: Text,
        /// inbound, outbound or callback.
        direction: Text,
        /// The matter, as the platform names it.
        topic: Text,
        /// The customer.
        customer_id: Text,
        /// The customer's tier.
        tier: Text,
        /// Queue of the first leg.
        first_queue: Text,
        /// Queue of the last leg.
        last_queue: Text,
        /// Department of the last queue, from the configuration, else from the events.
        department: Text,
        /// The first agent who answered.
        first_agent: Text,
        /// The last agent who answered.
        last_agent: Text,
        /// The earliest event of the contact.
        started_at: Time,
        /// The last hang-up; NULL while the contact goes on.
        ended_at: Time,
        /// Visits to queues.
        legs: Int,
        /// Agents' parts.
        handlings: Int,
        /// Times the contact was passed on.
        transfers: Int,
        /// Milliseconds in queues, all legs.
        wait_ms: Int,
        /// Milliseconds of talk, hold, after-contact work and outbound dialling, all handlings.
        handle_ms: Int,
        /// answered, else the last leg's outcome, else contained, abandoned_in_bot or ended_before_queue.
        outcome: Text,
        /// How self-service ended: contained, handover or abandoned.
        bot_outcome: Text,
        /// Whether the last wrap-up says that the matter is resolved.
        resolved: Bool,
        /// The agent's label of the last wrap-up.
        disposition: Text,
        /// Running sentiment of the customer, -1 to 1: each utterance with any sentiment moves it by 0.3 of the difference.
        sentiment_customer: Float,
        /// Running sentiment of the agents, -1 to 1, made as the customer's.
        sentiment_agent: Float,
        /// The lowest sentiment of an utterance of the customer.
        sentiment_lowest: Float,
        /// Phrases that were found in its messages, also those that a transcript cut, as category:phrase in alphabetical order,
        /// separated by semicolons.
        keywords: Text,
        /// Chat messages and final transcript utterances.
        messages: Int,
        /// Milliseconds from the first answer to the first agent message after it.
        first_response_ms: Int,
        /// What could not be: flags separated by semicolons.
        anomalies: Text,
        /// Number of events behind the row; the newest revision is the row.
        revision: Int,
        /// The centre's date of started_at.
        date: Date,
    }
}

table! {
    /// One visit of a contact to one queue.
    LEGS = "legs", row LegRow, builder LegRows, key ["contact_id", "leg"], written PerContact {
        /// The contact.
        contact_id: Text,
        /// 1 for the first visit; follows the order of events.
        leg: Int,
        /// Channel of the event that queued it, else the contact's, else voice.
        channel: Text,
        /// inbound, outbound or callback.
        direction: Text,
        /// The queue.
        queue: Text,
        /// The queue's department, from the configuration, else from the event.
        department: Text,
        /// The customer.
        customer_id: Text,
        /// When the contact entered the queue.
        queued_at: Time,
        /// When an agent answered; NULL when none did.
        answered_at: Time,
        /// When the leg ended, whatever the outcome; NULL while waiting.
        left_at: Time,
        /// Milliseconds from queued_at to left_at; NULL while waiting.
        wait_ms: Int,
        /// answered, abandoned, abandoned_short, overflow, callback, exit_key, timeout, no_agent, closed or error; NULL while waiting.
        outcome: Text,
        /// True: answered within the target wait. False: not, also while waiting beyond the target. NULL: still waiting within it.
        in_time: Bool,
        /// The target wait in force, milliseconds.
        target_wait_ms: Int,
        /// The agent who answered.
        agent_id: Text,
        /// Start of the slot in which the contact entered the queue (cohort clock).
        slot_start: Time,
        /// What could not be: flags separated by semicolons.
        anomalies: Text,
        /// Number of events of the contact behind the row.
        revision: Int,
        /// The centre's date of queued_at.
        date: Date,
    }
}

table! {
    /// One agent's part of a contact: talk, hold and after-contact work.
    HANDLINGS = "handlings", row HandlingRow, builder HandlingRows, key ["contact_id", "handling"], written PerContact {
        /// The contact.
        contact_id: Text,
        /// 1 for the first agent's part; follows the order of events.
        handling: Int,
        /// The leg that it answered; NULL for direct, outbound and blind-transferred parts.
        leg: Int,
        /// The leg's channel, else the event's, else the contact's, else voice.
        channel: Text,
        /// inbound, outbound or callback.
        direction: Text,
        /// The leg's queue, else the event's, else the contact's last one.
        queue: Text,
        /// The queue's department, from the configuration, else from the event.
        department: Text,
        /// The agent.
        agent_id: Text,
        /// The customer.
        customer_id: Text,
        /// When the agent answered.
        started_at: Time,
        /// When the agent's talk ended; NULL while it goes on.
        ended_at: Time,
        /// When the after-contact work ended; NULL while it goes on.
        wrapped_at: Time,
        /// Milliseconds of talk without hold.
        talk_ms: Int,
        /// Milliseconds on hold.
        hold_ms: Int,
        /// Milliseconds of after-contact work.
        acw_ms: Int,
        /// Milliseconds of outbound dialling.
        dial_ms: Int,
        /// Milliseconds of talk, hold, after-contact work and outbound dialling.
        handle_ms: Int,
        /// Times the customer was put on hold.
        holds: Int,
        /// The queue or agent it was passed on to.
        transferred_to: Text,
        /// customer, agent, system or transfer.
        ended_by: Text,
        /// Start of the cohort slot: of the leg's, else of the handling's start.
        slot_start: Time,
        /// What could not be: flags separated by semicolons.
        anomalies: Text,
        /// Number of events of the contact behind the row.
        revision: Int,
        /// The centre's date of started_at.
        date: Date,
    }
}

table! {
    /// One chat message, or one final utterance of a call's transcript.
    MESSAGES = "messages", row MessageRow, builder MessageRows, key ["contact_id", "id"], written Once {
        /// The contact.
        contact_id: Text,
        /// The event's id.
        id: Text,
        /// When it was said or written.
        time: Time,
        /// customer, agent, bot or system.
        speaker: Text,
        /// The agent, where the event names one.
        agent_id: Text,
        /// The channel, where the event names one.
        channel: Text,
        /// The queue, where the event names one.
        queue: Text,
        /// What was said, masked.
        text: Text,
        /// How long the utterance lasted, milliseconds.
        duration_ms: Int,
        /// False for the last partial piece of an utterance whose final piece never came.
        is_final = "final": Bool,
        /// Joins the pieces of one utterance.
        utterance: Text,
        /// Sentiment, -1 to 1.
        sentiment: Float,
        /// Phrases that were found, as category:phrase separated by semicolons.
        hits: Text,
        /// The centre's date of time.
        date: Date,
    }
}

table! {
    /// One service rule that was broken in a contact, with its place in the transcript. The view `findings` has these, and
    /// promises and complaints that are overdue.
    CONTACT_FINDINGS = "contact_findings", row FindingRow, builder FindingRows, key ["contact_id", "finding"], written PerContact {
        /// The contact.
        contact_id: Text,
        /// 1 for the first finding of the contact.
        finding: Int,
        /// The rule: forbidden_phrase, internal_information, urging_hang_up, repeated_question, left_waiting, no_greeting, no_farewell, agent_hung_up or handed_to_ivr.
        rule: Text,
        /// When it was broken.
        time: Time,
        /// The contact's channel.
        channel: Text,
        /// The queue of the talk.
        queue: Text,
        /// The department of the talk.
        department: Text,
        /// The agent.
        agent_id: Text,
        /// The customer.
        customer_id: Text,
        /// The message in which it was broken, as `messages.id`: the first one after a missing greeting, the last one before a missing farewell, the question that was not answered; NULL where no message is the place.
        message_id: Text,
        /// Who said that message.
        speaker: Text,
        /// The category of the phrase; NULL where no phrase was the cause.
        category: Text,
        /// The phrase, as the word list writes it.
        phrase: Text,
        /// First byte of the phrase in the message's text.
        start: Int,
        /// First byte behind it.
        end: Int,
        /// How long the customer was left waiting, or how long after the first time a question was put again, milliseconds.
        lasted_ms: Int,
        /// The contact's revision.
        revision: Int,
        /// The centre's date of time.
        date: Date,
    }
}
