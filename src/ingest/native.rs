//! The one unsafe edge to librdkafka: a group consumer that is read in batches.
//!
//! The safe wrapper hands out one event per message, loses the topic of an error and of the end of a partition, and
//! costs half again as much per message. This module takes `rd_kafka_consume_batch_queue` over the consumer's one queue.
//!
//! Does not know blocks, sinks or positions.
//!
//! Invariant: callbacks own no state and decide nothing. They put what they were told into [`Events`]; whoever polls
//! takes it out after the messages of that poll. So the messages of an old assignment always come before its end.
//! Invariant: one thread owns a `Native`: it is neither `Send` nor `Sync` (the raw queue pointer sees to that).
#![expect(unsafe_code, reason = "librdkafka's batch interface has no safe wrapper; see the SAFETY comments")]

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr;
use std::slice;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaType;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

/// The group coordinator gave or took partitions, and waits for [`Native::assign`] or [`Native::unassign`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rebalance {
    /// These are ours from now on.
    Given(Vec<(String, i32)>),
    /// These are no longer ours as soon as we say so.
    Taken(Vec<(String, i32)>),
}

/// What callbacks have said since the last look.
#[derive(Default)]
pub(super) struct Events {
    rebalances: Mutex<VecDeque<Rebalance>>,
    notes: Mutex<VecDeque<String>>,
}

impl ClientContext for Events {}

/// Notes of librdkafka that nobody took are dropped beyond this number.
const NOTES_MAX: usize = 100;

impl Events {
    fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTES_MAX {
            notes.push_back(text);
        }
    }
}

/// A message, an error of a partition, or the end of one; valid during the call that hands it out.
pub(super) struct Polled<'a>(&'a *mut sys::rd_kafka_message_t);

impl Polled<'_> {
    fn raw(&self) -> *const sys::rd_kafka_message_t {
        *self.0
    }

    /// librdkafka's error code; 0 for a message.
    #[inline]
    pub(super) fn code(&self) -> i32 {
        // SAFETY: the message is alive. The code is read as a number: the library may know codes that the Rust enum lacks.
        unsafe { (&raw const (*self.raw()).err).cast::<i32>().read() }
    }

    /// Tells topics apart while the messages of one poll are handed out; 0 for an error of no topic.
    #[inline]
    pub(super) fn topic_id(&self) -> usize {
        // SAFETY: the message is alive.
        unsafe { (*self.raw()).rkt }.addr()
    }

    /// The name of the topic; empty for an error of no topic.
    pub(super) fn topic(&self) -> &str {
        // SAFETY: the message is alive and keeps its topic alive, whose name is a C string of ASCII.
        unsafe {
            let topic = (*self.raw()).rkt;
            if topic.is_null() {
                return "";
            }
            CStr::from_ptr(sys::rd_kafka_topic_name(topic)).to_str().unwrap_or_default()
        }
    }

    #[inline]
    pub(super) fn partition(&self) -> i32 {
        // SAFETY: the message is alive.
        unsafe { (*self.raw()).partition }
    }

    #[inline]
    pub(super) fn offset(&self) -> i64 {
        // SAFETY: the message is alive.
        unsafe { (*self.raw()).offset }
    }

    /// In ms since 1970; -1 for none.
    #[inline]
    pub(super) fn timestamp(&self) -> i64 {
        // SAFETY: the message is alive; librdkafka allows a null pointer for the kind of timestamp.
        unsafe { sys::rd_kafka_message_timestamp(self.raw(), ptr::null_mut()) }
    }

    #[inline]
    pub(super) fn key(&self) -> Option<&[u8]> {
        // SAFETY: the message is alive and owns `key_len` bytes at `key`, or none where `key` is null.
        unsafe {
            let message = self.raw();
            let key = (*message).key;
            (!key.is_null()).then(|| slice::from_raw_parts(key.cast::<u8>(), (*message).key_len))
        }
    }

    /// The headers that make the record a CloudEvent in binary mode: those that begin with `ce_`, each as name and value.
    /// `None` where there are none.
    pub(super) fn cloud_event(&self) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        // SAFETY: the message is alive and owns its headers; names are C strings, and a value has `length` bytes, or none
        // where it is null.
        unsafe {
            let mut headers = ptr::null_mut();
            let none = sys::rd_kafka_message_headers(self.raw(), &raw mut headers);
            if none as i32 != 0 || headers.is_null() {
                return None;
            }
            for at in 0.. {
                let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
                let end =
                    sys::rd_kafka_header_get_all(headers, at, &raw mut name, &raw mut value, &raw mut length);
                if end as i32 != 0 {
                    break;
                }
                let name = CStr::from_ptr(name).to_str().unwrap_or_default();
                if name.starts_with("ce_") && !value.is_null() {
                    let value = slice::from_raw_parts(value.cast::<u8>(), length);
                    found.push((name.to_owned(), String::from_utf8_lossy(value).into_owned()));
                }
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// The value; `None` for a tombstone. (Of an error, its text.)
    #[inline]
    pub(super) fn value(&self) -> Option<&[u8]> {
        // SAFETY: the message is alive and owns `len` bytes at `payload`, or none where `payload` is null.
        unsafe {
            let message = self.raw();
            let payload = (*message).payload;
            (!payload.is_null()).then(|| slice::from_raw_parts(payload.cast::<u8>(), (*message).len))
        }
    }
}

/// Messages of one poll; gives back to librdkafka what nobody looked at, also when the one who looks panics.
struct Batch<'a> {
    messages: &'a [*mut sys::rd_kafka_message_t],
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for message in self.messages {
            // SAFETY: librdkafka gave us these messages, and each leaves `messages` when it is destroyed.
            unsafe { sys::rd_kafka_message_destroy(*message) };
        }
    }
}

/// A consumer of a group.
pub(super) struct Native {
    client: ManuallyDrop<Client<Events>>,
    queue: *mut sys::rd_kafka_queue_t,
    slots: Vec<*mut sys::rd_kafka_message_t>,
}

impl Native {
    /// Connects to nothing yet. `batch_max`: messages of one poll.
    pub(super) fn new(config: &ClientConfig, batch_max: usize) -> KafkaResult<Native> {
        let native = config.create_native_config()?;
        // SAFETY: the configuration is alive and ours until `Client::new` takes it. That sets the callbacks' opaque
        // pointer to the context, which the client keeps alive until librdkafka has been destroyed.
        unsafe {
            sys::rd_kafka_conf_set_rebalance_cb(native.ptr(), Some(on_rebalance));
            sys::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
            sys::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
        }
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_CONSUMER, Events::default())?;
        // SAFETY: the client is alive. The first call makes its main queue part of the consumer's queue, so that there is
        // one queue to serve; the second returns a reference that `drop` gives back.
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(client.native_ptr());
            sys::rd_kafka_queue_get_consumer(client.native_ptr())
        };
        assert!(!queue.is_null(), "a consumer with a group has a queue");
        let slots = vec![ptr::null_mut(); batch_max.max(1)];
        Ok(Native { client: ManuallyDrop::new(client), queue, slots })
    }

    /// For metadata and watermarks, which have a safe interface.
    pub(super) fn client(&self) -> &Client<Events> {
        &self.client
    }

    /// Joins the group, at the next poll.
    pub(super) fn subscribe(&self, topics: &[String]) -> Result<(), String> {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            list.add_topic_unassigned(topic);
        }
        // SAFETY: client and list are alive; librdkafka copies the list.
        code_text(unsafe { sys::rd_kafka_subscribe(self.client.native_ptr(), list.ptr()) })
    }

    /// Waits until the batch is full or the time is over, and hands out what came. Returns how many.
    ///
    /// Callbacks run in here; what they said lies in [`Native::rebalances`] and [`Native::notes`] afterwards.
    pub(super) fn poll(&mut self, wait: Duration, mut each: impl FnMut(&Polled<'_>)) -> usize {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue is alive, and `slots` has room for as many pointers as we say.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(self.queue, wait, self.slots.as_mut_ptr(), self.slots.len())
        };
        let count = usize::try_from(count).unwrap_or(0);
        let mut batch = Batch { messages: &self.slots[..count] };
        while let [message, rest @ ..] = batch.messages {
            each(&Polled(message));
            batch.messages = rest;
            // SAFETY: the message is ours, nobody refers to it any more, and the batch has forgotten it.
            unsafe { sys::rd_kafka_message_destroy(*message) };
        }
        count
    }

    /// What the coordinator wants, oldest first.
    pub(super) fn rebalances(&self) -> VecDeque<Rebalance> {
        std::mem::take(&mut *self.client.context().rebalances.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What librdkafka had to say.
    pub(super) fn notes(&self) -> VecDeque<String> {
        std::mem::take(&mut *self.client.context().notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Partitions come and go one by one, rather than all at once.
    pub(super) fn cooperative(&self) -> bool {
        // SAFETY: the client is alive; librdkafka returns a static string or null.
        unsafe {
            let protocol = sys::rd_kafka_rebalance_protocol(self.client.native_ptr());
            !protocol.is_null() && CStr::from_ptr(protocol).to_bytes() == b"COOPERATIVE"
        }
    }

    /// The membership was lost: others may read these partitions already.
    pub(super) fn lost(&self) -> bool {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_assignment_lost(self.client.native_ptr()) == 1 }
    }

    /// Adds partitions at their positions (cooperative), or makes them the whole assignment (eager).
    pub(super) fn assign(&self, list: &TopicPartitionList) -> Result<(), String> {
        let client = self.client.native_ptr();
        // SAFETY: client and list are alive; librdkafka copies the list.
        unsafe {
            if self.cooperative() {
                error_text(sys::rd_kafka_incremental_assign(client, list.ptr()))
            } else {
                code_text(sys::rd_kafka_assign(client, list.ptr()))
            }
        }
    }

    /// Removes partitions (cooperative), or the whole assignment (eager).
    pub(super) fn unassign(&self, list: &TopicPartitionList) -> Result<(), String> {
        let client = self.client.native_ptr();
        // SAFETY: client and list are alive; librdkafka copies the list.
        unsafe {
            if self.cooperative() {
                error_text(sys::rd_kafka_incremental_unassign(client, list.ptr()))
            } else {
                code_text(sys::rd_kafka_assign(client, ptr::null()))
            }
        }
    }

    /// Fetches no more of these partitions; what was read ahead of them is thrown away and read again later.
    pub(super) fn pause(&self, list: &TopicPartitionList) -> Result<(), String> {
        // SAFETY: client and list are alive.
        code_text(unsafe { sys::rd_kafka_pause_partitions(self.client.native_ptr(), list.ptr()) })
    }

    /// Goes on where pausing stopped.
    pub(super) fn resume(&self, list: &TopicPartitionList) -> Result<(), String> {
        // SAFETY: client and list are alive.
        code_text(unsafe { sys::rd_kafka_resume_partitions(self.client.native_ptr(), list.ptr()) })
    }

    /// Moves partitions that are being fetched to these offsets; what was read ahead is thrown away. Does not wait for the
    /// brokers.
    pub(super) fn seek(&self, list: &TopicPartitionList) -> Result<(), String> {
        const WAIT_MAX_MS: c_int = 5_000;
        // SAFETY: client and list are alive; librdkafka writes each partition's outcome into the list.
        unsafe {
            error_text(sys::rd_kafka_seek_partitions(self.client.native_ptr(), list.ptr(), WAIT_MAX_MS))?;
        }
        list.elements().iter().try_for_each(|entry| entry.error().map_err(|error| error.to_string()))
    }

    /// Sends positions to the coordinator and does not wait for its answer.
    pub(super) fn commit(&self, list: &TopicPartitionList) -> Result<(), String> {
        const ASYNC: c_int = 1;
        // SAFETY: client and list are alive; librdkafka copies the list.
        code_text(unsafe { sys::rd_kafka_commit(self.client.native_ptr(), list.ptr(), ASYNC) })
    }

    /// First and next offset of a partition as the last fetch saw them; nothing is asked. `None` before the first.
    pub(super) fn watermarks_seen(&self, topic: &str, partition: i32) -> Option<(i64, i64)> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: client and name are alive; low and high may be written.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.client.native_ptr(),
                topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
            )
        };
        (code_text(code).is_ok() && high >= 0).then_some((low.max(0), high))
    }

    /// Starts to leave the group; poll until [`Native::closed`].
    pub(super) fn close(&self) -> Result<(), String> {
        // SAFETY: client and queue are alive; what is left to do is served from this queue.
        unsafe { error_text(sys::rd_kafka_consumer_close_queue(self.client.native_ptr(), self.queue)) }
    }

    /// The group has been left.
    pub(super) fn closed(&self) -> bool {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_consumer_closed(self.client.native_ptr()) == 1 }
    }
}

/// How long leaving the group may take before the client is given up.
const CLOSING_MAX: Duration = Duration::from_secs(10);

impl Drop for Native {
    fn drop(&mut self) {
        // librdkafka would wait for an unassign call in its destructor for ever, so the group is left first.
        let deadline = Instant::now() + CLOSING_MAX;
        let _ = if self.closed() { Ok(()) } else { self.close() };
        while !self.closed() && Instant::now() < deadline {
            self.poll(Duration::from_millis(20), |_| {});
            for rebalance in self.rebalances() {
                let (Rebalance::Given(list) | Rebalance::Taken(list)) = rebalance;
                let mut partitions = TopicPartitionList::new();
                for (topic, partition) in &list {
                    partitions.add_partition(topic, *partition);
                }
                let _ = self.unassign(&partitions);
            }
        }
        // SAFETY: the queue is ours and not used again.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
        if self.closed() {
            // SAFETY: not used again. A client that would not close is leaked: its destructor could block for ever.
            unsafe { ManuallyDrop::drop(&mut self.client) };
        }
    }
}

/// A list of partitions with the offsets to start at.
pub(super) fn list<'a>(partitions: impl IntoIterator<Item = (&'a str, i32, Offset)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in partitions {
        list.add_partition_offset(topic, partition, offset).expect("the entry was added just before");
    }
    list
}

unsafe extern "C" fn on_rebalance(
    _: *mut sys::rd_kafka_t,
    code: sys::rd_kafka_resp_err_t,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka calls this with its own list and with the opaque pointer, which is the client's `Events`.
    let (events, entries) = unsafe {
        let entries = if partitions.is_null() || (*partitions).elems.is_null() {
            &[]
        } else {
            slice::from_raw_parts((*partitions).elems, usize::try_from((*partitions).cnt).unwrap_or(0))
        };
        (&*opaque.cast::<Events>(), entries)
    };
    let named = entries.iter().map(|entry| {
        // SAFETY: an entry owns the C string of its topic.
        let topic = unsafe { CStr::from_ptr(entry.topic) };
        (topic.to_string_lossy().into_owned(), entry.partition)
    });
    let rebalance = if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
        Rebalance::Given(named.collect())
    } else {
        Rebalance::Taken(named.collect())
    };
    events.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
}

unsafe extern "C" fn on_error(_: *mut sys::rd_kafka_t, _: c_int, reason: *const c_char, opaque: *mut c_void) {
    // SAFETY: librdkafka calls this with a C string and with the opaque pointer, which is the client's `Events`.
    let (events, reason) = unsafe { (&*opaque.cast::<Events>(), CStr::from_ptr(reason)) };
    events.note(reason.to_string_lossy().into_owned());
}

unsafe extern "C" fn on_log(
    client: *const sys::rd_kafka_t,
    level: c_int,
    _: *const c_char,
    text: *const c_char,
) {
    const WARNING: c_int = 4;
    if level > WARNING {
        return;
    }
    // SAFETY: librdkafka calls this with a C string; the opaque pointer of the client is its `Events`, unless the client
    // is still being built.
    let (events, text) = unsafe {
        let opaque = sys::rd_kafka_opaque(client).cast::<Events>();
        if opaque.is_null() {
            return;
        }
        (&*opaque, CStr::from_ptr(text))
    };
    events.note(text.to_string_lossy().into_owned());
}

fn code_text(code: sys::rd_kafka_resp_err_t) -> Result<(), String> {
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: librdkafka returns a static string for every code.
    Err(unsafe { CStr::from_ptr(sys::rd_kafka_err2str(code)) }.to_string_lossy().into_owned())
}

/// Takes an error object of librdkafka, null for none.
///
/// # Safety
/// `error` is null or an error that the caller owns.
unsafe fn error_text(error: *mut sys::rd_kafka_error_t) -> Result<(), String> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is alive until it is destroyed here.
    unsafe {
        let text = CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned();
        sys::rd_kafka_error_destroy(error);
        Err(text)
    }
}

/// librdkafka's own mock cluster, inside the process.
pub(super) struct MockBroker {
    client: Client<rdkafka::client::DefaultClientContext>,
}

impl MockBroker {
    /// Starts one broker on a free loopback port.
    pub(super) fn start() -> KafkaResult<MockBroker> {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", "1");
        let native = config.create_native_config()?;
        let context = rdkafka::client::DefaultClientContext;
        let client = Client::new(&config, native, RDKafkaType::RD_KAFKA_PRODUCER, context)?;
        let broker = MockBroker { client };
        // SAFETY: the cluster lives as long as the client. Without this the first member of a group waits for 3 s.
        unsafe { sys::rd_kafka_mock_group_initial_rebalance_delay_ms(broker.cluster(), 0) };
        Ok(broker)
    }

    fn cluster(&self) -> *mut sys::rd_kafka_mock_cluster_t {
        // SAFETY: the client is alive.
        let cluster = unsafe { sys::rd_kafka_handle_mock_cluster(self.client.native_ptr()) };
        assert!(!cluster.is_null(), "the client was configured with a mock cluster");
        cluster
    }

    /// `host:port`.
    pub(super) fn brokers(&self) -> String {
        // SAFETY: the cluster owns the C string and lives as long as the client.
        unsafe { CStr::from_ptr(sys::rd_kafka_mock_cluster_bootstraps(self.cluster())) }
            .to_string_lossy()
            .into_owned()
    }

    /// Creates a topic.
    pub(super) fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), String> {
        let topic = CString::new(topic).map_err(|error| error.to_string())?;
        // SAFETY: cluster and name are alive.
        code_text(unsafe { sys::rd_kafka_mock_topic_create(self.cluster(), topic.as_ptr(), partitions, 1) })
    }
}
