import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyWindowStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The reduced job in Kafka Streams: two threads, exactly_once_v2, windows in memory, a streaming JSON reader (no tree) that
 * looks only at the fields that are needed.
 *
 * <p>StreamsReduced BROKERS TOPIC OUTPUT EVENTS STATE_DIR: ends when its windows hold EVENTS events.
 */
public final class StreamsReduced {
    /** Time, queue and the two durations of a record. */
    record Event(long time, String queue, long durationMs, long dialMs) {}

    private static final JsonFactory JSON = new JsonFactory();

    static Event read(byte[] value) {
        long duration = 0, dial = 0, time = -1;
        String queue = null;
        try (JsonParser json = JSON.createParser(value)) {
            json.nextToken();
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String name = json.currentName();
                json.nextToken();
                switch (name) {
                    case "time" -> time = OffsetDateTime.parse(json.getText()).toInstant().toEpochMilli();
                    case "queue" -> queue = json.getText();
                    case "duration_ms" -> duration = json.getLongValue();
                    case "dial_ms" -> dial = json.getLongValue();
                    default -> json.skipChildren();
                }
            }
        } catch (java.io.IOException e) {
            return null;
        }
        return new Event(time, queue, duration, dial);
    }

    private static final Serde<Event> EVENTS = Serdes.serdeFrom(
            (Serializer<Event>) (topic, event) -> ByteBuffer.allocate(24).putLong(event.time()).putLong(event.durationMs()).putLong(event.dialMs()).array(),
            (Deserializer<Event>) (topic, bytes) -> {
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                return new Event(buffer.getLong(), null, buffer.getLong(), buffer.getLong());
            });
    private static final Serde<long[]> SUMS = Serdes.serdeFrom(
            (Serializer<long[]>) (topic, sums) -> ByteBuffer.allocate(24).putLong(sums[0]).putLong(sums[1]).putLong(sums[2]).array(),
            (Deserializer<long[]>) (topic, bytes) -> {
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                return new long[] {buffer.getLong(), buffer.getLong(), buffer.getLong()};
            });

    public static void main(String[] args) throws Exception {
        long wanted = Long.parseLong(args[3]);
        Properties settings = new Properties();
        settings.put("application.id", "streams-reduced-" + ProcessHandle.current().pid());
        settings.put("bootstrap.servers", args[0]);
        settings.put("state.dir", args[4]);
        settings.put("num.stream.threads", "2");
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("commit.interval.ms", "10000");
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", "5000");
        settings.put("fetch.min.bytes", "65536");
        settings.put("producer.linger.ms", "100");
        settings.put("producer.batch.size", "262144");
        settings.put("producer.compression.type", "lz4");
        settings.put("statestore.cache.max.bytes", String.valueOf(64 << 20));
        // A record whose producer's clock is behind may come in any order: nothing is ever dropped as late.
        Duration grace = Duration.ofDays(400);
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(args[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray())
                        .withTimestampExtractor((record, before) -> {
                            Event event = read((byte[]) record.value());
                            return event == null ? before : event.time();
                        }))
                .mapValues(StreamsReduced::read)
                .filter((key, event) -> event != null && event.queue() != null)
                .groupBy((key, event) -> event.queue(), Grouped.with(Serdes.String(), EVENTS))
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(30), grace))
                .aggregate(() -> new long[3], (queue, event, sums) ->
                                new long[] {sums[0] + 1, sums[1] + event.durationMs(), sums[2] + event.dialMs()},
                        Materialized.<String, long[]>as(Stores.inMemoryWindowStore("sums", grace, Duration.ofMinutes(30), false))
                                .withKeySerde(Serdes.String()).withValueSerde(SUMS));
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings)) {
            streams.start();
            TreeSet<String> lines = new TreeSet<>();
            long counted = 0;
            while (counted < wanted) {
                Thread.sleep(500);
                if (streams.state() != KafkaStreams.State.RUNNING) {
                    continue;
                }
                lines.clear();
                counted = 0;
                ReadOnlyWindowStore<String, long[]> store =
                        streams.store(StoreQueryParameters.fromNameAndType("sums", QueryableStoreTypes.windowStore()));
                try (KeyValueIterator<Windowed<String>, long[]> all = store.all()) {
                    while (all.hasNext()) {
                        KeyValue<Windowed<String>, long[]> row = all.next();
                        counted += row.value[0];
                        lines.add(row.key.window().start() + "," + row.key.key() + "," + row.value[0] + "," + row.value[1] + "," + row.value[2]);
                    }
                }
            }
            try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[2])))) {
                lines.forEach(out::println);
            }
        }
    }
}
