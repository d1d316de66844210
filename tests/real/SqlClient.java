import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * What DBeaver and other JDBC clients ask: tables, columns, keys, prepared statements, fetch size; with a directory of
 * questions, their answers, into files beside them.
 */
public class SqlClient {
    static void hold(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static List<String> strings(ResultSet rows, String column) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(column));
        return found;
    }

    /** Answers DIR/N.sql into DIR/N.NAME: a row a line, its values between unit separators, NULL as \N. */
    static void answer(String url, String directory, String name) throws Exception {
        int asked = 0;
        try (Connection c = DriverManager.getConnection(url); var files = Files.list(Path.of(directory))) {
            for (Path question : (Iterable<Path>) files.filter(file -> file.toString().endsWith(".sql"))::iterator) {
                StringBuilder out = new StringBuilder();
                try (PreparedStatement s = c.prepareStatement(Files.readString(question)); ResultSet rows = s.executeQuery()) {
                    int columns = rows.getMetaData().getColumnCount();
                    while (rows.next()) {
                        for (int at = 1; at <= columns; at++) {
                            // The text of the wire, but for times: the driver shows those of Flight in this machine's zone.
                            int kind = rows.getMetaData().getColumnType(at);
                            boolean isTime = kind == java.sql.Types.TIMESTAMP || kind == java.sql.Types.TIMESTAMP_WITH_TIMEZONE;
                            java.sql.Timestamp time = isTime ? rows.getTimestamp(at) : null;
                            String text = time == null ? rows.getString(at) : time.toInstant().toString();
                            out.append(at > 1 ? "\u001f" : "").append(text == null ? "\\N" : text.replace('\n', ' '));
                        }
                        out.append('\n');
                    }
                }
                Files.writeString(Path.of(question.toString().replaceFirst("sql$", name)), out);
                asked++;
            }
        }
        System.out.println(name + ": " + asked + " questions");
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 3) {
            answer(arguments[0], arguments[1], arguments[2]);
            return;
        }
        try (Connection c = DriverManager.getConnection(arguments[0])) {
            DatabaseMetaData data = c.getMetaData();
            hold(data.getDatabaseProductName().equals("PostgreSQL"), data.getDatabaseProductName());
            hold(strings(data.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME").contains("legs"), "getTables");
            hold(strings(data.getTables(null, "public", "%", new String[] {"VIEW"}), "TABLE_NAME").contains("kpi_slot"), "views");
            hold(strings(data.getColumns(null, "public", "legs", "%"), "COLUMN_NAME").contains("queued_at"), "getColumns");
            hold(strings(data.getPrimaryKeys(null, "public", "legs"), "COLUMN_NAME").equals(List.of("contact_id", "leg")), "getPrimaryKeys");
            hold(strings(data.getSchemas(), "TABLE_SCHEM").contains("public"), "getSchemas");
            try (PreparedStatement s = c.prepareStatement("select queue, count(*) from legs where wait_ms >= ? group by 1")) {
                for (int run = 0; run < 8; run++) { // beyond the fifth run the driver names the statement
                    s.setLong(1, 0);
                    hold(s.executeQuery().next(), "a prepared statement");
                }
            }
            try (PreparedStatement s = c.prepareStatement("select count(*) from legs where queue = any(?) or leg = any(?)")) {
                s.setArray(1, c.createArrayOf("text", new String[] {"none", "with \"quotes\", and more"}));
                s.setArray(2, c.createArrayOf("bigint", new Long[] {1L, 2L}));
                try (ResultSet rows = s.executeQuery()) {
                    hold(rows.next() && rows.getLong(1) > 0, "lists");
                }
            }
            c.setAutoCommit(false);
            try (Statement s = c.createStatement()) {
                s.setFetchSize(50);
                int rows = 0;
                try (ResultSet all = s.executeQuery("select value from generate_series(1, 1000)")) {
                    while (all.next()) rows++;
                }
                hold(rows == 1000, "fetch size: " + rows);
            }
            c.rollback();
            c.setAutoCommit(true);
            try (Statement s = c.createStatement()) {
                s.execute("drop table legs");
                throw new AssertionError("DROP TABLE");
            } catch (SQLException refused) {
                hold("25006".equals(refused.getSQLState()), refused.getSQLState() + " " + refused.getMessage());
            }
        }
        System.out.println("JDBC: tables, views, columns, keys, prepared statements, lists, fetch size, refusal");
    }
}
