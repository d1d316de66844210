import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** What DBeaver and other JDBC clients ask: tables, columns, keys, prepared statements, fetch size. */
public class SqlClient {
    static void hold(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static List<String> strings(ResultSet rows, String column) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(column));
        return found;
    }

    public static void main(String[] arguments) throws Exception {
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
        System.out.println("JDBC: tables, views, columns, keys, prepared statements, fetch size, refusal");
    }
}
