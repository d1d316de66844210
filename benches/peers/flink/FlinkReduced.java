import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.TreeSet;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * The reduced job in Flink SQL on a mini cluster in this process: two slots, object reuse, checkpoints (exactly once)
 * every ten seconds, only the columns that are needed.
 *
 * <p>FlinkReduced BROKERS TOPIC OUTPUT [PARALLELISM]
 */
public final class FlinkReduced {
    public static void main(String[] args) throws Exception {
        Configuration settings = new Configuration();
        settings.setString("parallelism.default", args.length > 3 ? args[3] : "2");
        settings.setString("pipeline.object-reuse", "true");
        settings.setString("execution.checkpointing.interval", "10 s");
        settings.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        settings.setString("taskmanager.memory.managed.size", "256m");
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(settings);
        StreamTableEnvironment sql = StreamTableEnvironment.create(env);
        // Times of the simulated centre carry the offset +08:00 throughout: the local time is read, and the offset taken off
        // when rows are written. A bound of a day keeps every event, however far the partitions drift apart.
        sql.executeSql(
                "CREATE TABLE events (`time` STRING, queue STRING, duration_ms BIGINT, dial_ms BIGINT,"
                        + " ts AS TO_TIMESTAMP(REPLACE(SUBSTR(`time`, 1, 23), 'T', ' ')),"
                        + " WATERMARK FOR ts AS ts - INTERVAL '1' DAY)"
                        + " WITH ('connector' = 'kafka', 'topic' = '" + args[1] + "',"
                        + " 'properties.bootstrap.servers' = '" + args[0] + "',"
                        + " 'properties.group.id' = 'flink-reduced',"
                        + " 'properties.fetch.min.bytes' = '65536', 'properties.max.poll.records' = '5000',"
                        + " 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',"
                        + " 'format' = 'json')");
        TreeSet<String> lines = new TreeSet<>();
        try (CloseableIterator<Row> rows = sql.executeSql(
                        "SELECT window_start, queue, COUNT(*), SUM(COALESCE(duration_ms, 0)), SUM(COALESCE(dial_ms, 0))"
                                + " FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '30' MINUTES))"
                                + " WHERE queue IS NOT NULL GROUP BY window_start, window_end, queue")
                .collect()) {
            while (rows.hasNext()) {
                Row row = rows.next();
                long slot = ((LocalDateTime) row.getField(0)).minus(Duration.ofHours(8)).toInstant(ZoneOffset.UTC).toEpochMilli();
                lines.add(slot + "," + row.getField(1) + "," + row.getField(2) + "," + row.getField(3) + "," + row.getField(4));
            }
        }
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[2])))) {
            lines.forEach(out::println);
        }
    }
}
