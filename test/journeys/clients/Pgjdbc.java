/* pgjdbc as an application uses it. Prints what it saw as JSON lines of one object; SLUICE_TEST_DSN says where. */
import java.io.StringReader;
import java.io.StringWriter;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Pgjdbc {
  interface Step { Object run() throws Exception; }

  static Connection connect(String... options) throws SQLException {
    URI dsn = URI.create(System.getenv("SLUICE_TEST_DSN"));
    String[] user = dsn.getRawUserInfo().split(":", 2);
    Properties properties = new Properties();
    properties.setProperty("user", URLDecoder.decode(user[0], StandardCharsets.UTF_8));
    properties.setProperty("password", URLDecoder.decode(user[1], StandardCharsets.UTF_8));
    for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
    String query = dsn.getRawQuery() == null ? "" : "?" + dsn.getRawQuery();
    return DriverManager.getConnection("jdbc:postgresql://" + dsn.getHost() + ":" + dsn.getPort() + dsn.getPath() + query, properties);
  }

  static Object errorOf(SQLException error) {
    Map<String, Object> seen = new LinkedHashMap<>();
    seen.put("class", error.getClass().getSimpleName());
    seen.put("code", error.getSQLState());
    if (error instanceof PSQLException) {
      ServerErrorMessage m = ((PSQLException) error).getServerErrorMessage();
      if (m == null) seen.put("message", error.getMessage());
      else {
        seen.put("severity", m.getSeverity());
        seen.put("message", m.getMessage());
        seen.put("detail", m.getDetail());
        seen.put("hint", m.getHint());
        seen.put("position", m.getPosition());
        seen.put("table", m.getTable());
        seen.put("column", m.getColumn());
        seen.put("constraint", m.getConstraint());
        seen.put("where", m.getWhere());
      }
    } else seen.put("message", error.getMessage());
    return seen;
  }

  static Object failing(Connection c, String sql) {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
      return "no error";
    } catch (SQLException error) {
      return errorOf(error);
    }
  }

  static Object shown(Object value) throws SQLException {
    if (value instanceof byte[]) return "bytes:" + HexFormat.of().formatHex((byte[]) value);
    if (value instanceof Array) return "array:" + Arrays.deepToString((Object[]) ((Array) value).getArray());
    return value == null ? null : value.getClass().getSimpleName() + ":" + value;
  }

  static List<List<Object>> rows(ResultSet r) throws SQLException {
    List<List<Object>> all = new ArrayList<>();
    while (r.next()) {
      List<Object> row = new ArrayList<>();
      for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) row.add(shown(r.getObject(i)));
      all.add(row);
    }
    return all;
  }

  static List<List<Object>> query(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) { return rows(r); }
  }

  static Object metadata() throws Exception {
    try (Connection c = connect()) {
      Map<String, Object> seen = new LinkedHashMap<>();
      seen.put("product", c.getMetaData().getDatabaseProductName() + " " + c.getMetaData().getDatabaseMajorVersion());
      seen.put("catalog", c.getCatalog());
      seen.put("schema", c.getSchema());
      try (ResultSet r = c.getMetaData().getColumns(null, "public", "things", null)) {
        List<Object> columns = new ArrayList<>();
        while (r.next()) columns.add(r.getString("COLUMN_NAME") + " " + r.getString("TYPE_NAME") + " " + r.getInt("NULLABLE"));
        seen.put("columns", columns);
      }
      try (ResultSet r = c.getMetaData().getPrimaryKeys(null, "public", "things")) {
        r.next();
        seen.put("key", r.getString("COLUMN_NAME"));
      }
      try (ResultSet r = c.getMetaData().getTables(null, "public", "%", new String[] {"TABLE"})) {
        List<Object> tables = new ArrayList<>();
        while (r.next()) tables.add(r.getString("TABLE_NAME"));
        seen.put("tables", tables);
      }
      return seen;
    }
  }

  static Object types(String... options) throws Exception {
    try (Connection c = connect(options); PreparedStatement s = c.prepareStatement("SELECT * FROM types WHERE id > ? ORDER BY id")) {
      List<Object> all = new ArrayList<>();
      // Past its threshold the driver names the statement and asks for binary results: both ways are seen here.
      for (int i = 0; i < 7; i++) {
        s.setInt(1, 0);
        try (ResultSet r = s.executeQuery()) {
          ResultSetMetaData m = r.getMetaData();
          if (i == 0) for (int k = 1; k <= m.getColumnCount(); k++) all.add(m.getColumnName(k) + " " + m.getColumnTypeName(k));
          List<List<Object>> found = rows(r);
          if (i == 0 || i == 6) all.add(found);
        }
      }
      return all;
    }
  }

  static Object parameters() throws Exception {
    try (Connection c = connect(); PreparedStatement s = c.prepareStatement("SELECT ?::int, ?::numeric, ?::text, ?::bytea, ?::boolean, ?::text, ?::uuid, ?::int[]")) {
      s.setInt(1, -7);
      s.setBigDecimal(2, new java.math.BigDecimal("12345678901234567890.5"));
      s.setString(3, "gr\u00fc\u00dfe \uD83C\uDF88 it's");
      s.setBytes(4, new byte[] {0, 1, (byte) 255});
      s.setBoolean(5, true);
      s.setNull(6, Types.VARCHAR);
      s.setObject(7, java.util.UUID.fromString("6f1c1f5e-8d3b-4a52-9a70-0f2a5a4c9f10"));
      s.setArray(8, c.createArrayOf("int4", new Object[] {1, null, 3}));
      try (ResultSet r = s.executeQuery()) { return rows(r); }
    }
  }

  static Object prepared() throws Exception {
    try (Connection c = connect("prepareThreshold", "1"); PreparedStatement s = c.prepareStatement("SELECT name FROM things WHERE id = ?")) {
      List<Object> seen = new ArrayList<>();
      for (int id : new int[] {1, 2, 3, 99}) {
        s.setInt(1, id);
        try (ResultSet r = s.executeQuery()) { seen.add(rows(r)); }
      }
      seen.add(query(c, "SELECT statement FROM pg_prepared_statements WHERE name = 'S_1'"));
      return seen;
    }
  }

  static Object batch() throws Exception {
    try (Connection c = connect(); Statement wipe = c.createStatement()) {
      wipe.execute("DELETE FROM scratch");
      c.setAutoCommit(false);
      int[] counts;
      try (PreparedStatement s = c.prepareStatement("INSERT INTO scratch VALUES (?, ?)")) {
        for (int i = 0; i < 300; i++) {
          s.setInt(1, i);
          s.setString(2, "n" + i);
          s.addBatch();
        }
        counts = s.executeBatch();
      }
      c.commit();
      Object failure;
      try (Statement s = c.createStatement()) {
        s.addBatch("INSERT INTO scratch VALUES (1000, 'ok')");
        s.addBatch("INSERT INTO scratch VALUES (1001, NULL)");
        s.addBatch("INSERT INTO scratch VALUES (1002, 'behind')");
        s.executeBatch();
        failure = "no error";
      } catch (SQLException error) {
        failure = error.getSQLState();
      }
      c.rollback();
      return Arrays.asList(counts.length, failure, query(c, "SELECT count(*), max(id) FROM scratch"));
    }
  }

  static Object fetchSize() throws Exception {
    try (Connection c = connect()) {
      c.setAutoCommit(false);
      try (Statement s = c.createStatement()) {
        s.setFetchSize(100);
        long sum = 0;
        try (ResultSet r = s.executeQuery("SELECT g FROM generate_series(1, 1234) AS g")) { while (r.next()) sum += r.getLong(1); }
        // Closed early: the portal is left half read.
        try (ResultSet r = s.executeQuery("SELECT g FROM generate_series(1, 100000) AS g")) { r.next(); sum += r.getLong(1); }
        c.commit();
        return sum;
      }
    }
  }

  static Object transactions() throws Exception {
    try (Connection c = connect()) {
      c.setAutoCommit(false);
      List<Object> seen = new ArrayList<>();
      seen.add(failing(c, "DELETE FROM scratch"));
      c.commit();
      seen.add(failing(c, "INSERT INTO scratch VALUES (1, 'a')"));
      c.rollback();
      seen.add(failing(c, "INSERT INTO scratch VALUES (2, 'b')"));
      Savepoint point = c.setSavepoint("here");
      seen.add(failing(c, "INSERT INTO scratch VALUES (3, NULL)"));
      seen.add(failing(c, "SELECT 1"));
      c.rollback(point);
      c.commit();
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      c.setReadOnly(true);
      seen.add(failing(c, "INSERT INTO scratch VALUES (4, 'd')"));
      c.rollback();
      c.setReadOnly(false);
      seen.add(query(c, "SELECT * FROM scratch"));
      c.rollback();
      return seen;
    }
  }

  static Object copy() throws Exception {
    try (Connection c = connect()) {
      CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
      query(c, "WITH gone AS (DELETE FROM scratch RETURNING 1) SELECT count(*) >= 0 FROM gone");
      StringBuilder lines = new StringBuilder();
      for (int i = 0; i < 3000; i++) lines.append(i).append("\tline ").append(i).append('\n');
      long in = copy.copyIn("COPY scratch FROM STDIN", new StringReader(lines.toString()));
      StringWriter out = new StringWriter();
      long back = copy.copyOut("COPY (SELECT * FROM scratch ORDER BY id) TO STDOUT", out);
      Object broken;
      try {
        copy.copyIn("COPY scratch FROM STDIN", new StringReader("x\ty\n"));
        broken = "no error";
      } catch (SQLException error) {
        broken = errorOf(error);
      }
      return Arrays.asList(in, back, out.toString().contentEquals(lines), broken);
    }
  }

  static Object errors() throws Exception {
    try (Connection c = connect()) {
      return Arrays.asList(
          failing(c, "SELEC 1"), failing(c, "SELECT id,\n nothere FROM things"), failing(c, "INSERT INTO things (id, name) VALUES (1, 'again')"),
          failing(c, "SELECT complain('loudly')"), failing(c, "SELECT 1/0"), query(c, "SELECT 1"));
    }
  }

  static Object severalInOne() throws Exception {
    try (Connection c = connect("preferQueryMode", "simple"); Statement s = c.createStatement()) {
      List<Object> seen = new ArrayList<>();
      boolean more = s.execute("SELECT 1 AS a; DELETE FROM scratch WHERE id = -1; SELECT 'x' AS b");
      while (true) {
        if (more) seen.add(rows(s.getResultSet()));
        else if (s.getUpdateCount() == -1) break;
        else seen.add(s.getUpdateCount());
        more = s.getMoreResults();
      }
      return seen;
    }
  }

  static Object generatedKeys() throws Exception {
    try (Connection c = connect(); PreparedStatement s = c.prepareStatement("INSERT INTO numbered (note) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
      s.setString(1, "n");
      s.executeUpdate();
      try (ResultSet r = s.getGeneratedKeys()) { return r.next() && r.getInt(1) > 0; }
    }
  }

  static Object notices() throws Exception {
    try (Connection c = connect(); Statement s = c.createStatement()) {
      s.execute("SELECT mention('hello')");
      List<Object> seen = new ArrayList<>();
      for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) seen.add(w.getSQLState() + " " + w.getMessage());
      return seen;
    }
  }

  static Object listen() throws Exception {
    try (Connection listener = connect(); Connection speaker = connect()) {
      failing(listener, "LISTEN news");
      query(speaker, "SELECT pg_notify('news', 'paper')");
      PGNotification[] heard = listener.unwrap(PGConnection.class).getNotifications(10_000);
      return heard.length == 0 ? "nothing" : heard[0].getName() + " " + heard[0].getParameter();
    }
  }

  static Object cancel() throws Exception {
    try (Connection c = connect(); Statement s = c.createStatement()) {
      new Thread(() -> { try { Thread.sleep(300); s.cancel(); } catch (Exception error) { throw new IllegalStateException(error); } }).start();
      Object canceled;
      try { s.execute("SELECT pg_sleep(30)"); canceled = "no error"; } catch (SQLException error) { canceled = errorOf(error); }
      // PostgreSQL signals a backend twice for one cancel request; the second must not meet the next statement.
      Thread.sleep(500);
      s.setQueryTimeout(1);
      Object timedOut;
      try { s.execute("SELECT pg_sleep(30)"); timedOut = "no error"; } catch (SQLException error) { timedOut = errorOf(error); }
      Thread.sleep(500);
      return Arrays.asList(canceled, timedOut, query(c, "SELECT 1"));
    }
  }

  static List<Object> plain(ResultSet r) throws SQLException {
    List<Object> all = new ArrayList<>();
    while (r.next()) all.add(Arrays.asList(r.getInt(1), r.getString(2), r.getString(3)));
    return all;
  }

  /* Against the sample company with its rules. Only when asked for by name. */
  static Object guarded() throws Exception {
    try (Connection c = connect()) {
      Map<String, Object> seen = new LinkedHashMap<>();
      try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT id, email, phone FROM customers ORDER BY id LIMIT 2")) {
        seen.put("masked", plain(r));
      }
      List<Object> prepared = new ArrayList<>();
      // The last of seven is by a named statement and in binary.
      try (PreparedStatement s = c.prepareStatement("SELECT id, email, phone FROM customers WHERE id = ?")) {
        for (int id : new int[] {1, 2, 1, 1, 1, 1, 1}) {
          s.setInt(1, id);
          try (ResultSet r = s.executeQuery()) { prepared.addAll(plain(r)); }
        }
      }
      seen.put("prepared", Arrays.asList(prepared.get(0), prepared.get(1), prepared.get(6)));
      seen.put("refused", failing(c, "DROP TABLE customers"));
      seen.put("filtered", failing(c, "SELECT id FROM customers WHERE email LIKE 'a%'"));
      c.setAutoCommit(false);
      failing(c, "SELECT 1");
      seen.put("inside", failing(c, "DROP TABLE customers"));
      seen.put("after", failing(c, "SELECT 1"));
      c.rollback();
      try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT 1")) { r.next(); seen.put("usable", r.getInt(1)); }
      c.rollback();
      return seen;
    }
  }

  static String json(Object value) {
    if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
    if (value instanceof List) {
      List<String> parts = new ArrayList<>();
      for (Object each : (List<?>) value) parts.add(json(each));
      return "[" + String.join(",", parts) + "]";
    }
    if (value instanceof Map) {
      List<String> parts = new ArrayList<>();
      for (Map.Entry<?, ?> each : ((Map<?, ?>) value).entrySet()) parts.add(json(each.getKey()) + ":" + json(each.getValue()));
      return "{" + String.join(",", parts) + "}";
    }
    StringBuilder text = new StringBuilder("\"");
    for (char ch : value.toString().toCharArray()) {
      if (ch == '"' || ch == '\\') text.append('\\').append(ch);
      else if (ch < 32 || ch > 126) text.append(String.format("\\u%04x", (int) ch));
      else text.append(ch);
    }
    return text.append('"').toString();
  }

  public static void main(String[] args) {
    Map<String, Step> steps = new LinkedHashMap<>();
    steps.put("metadata", Pgjdbc::metadata);
    steps.put("types", () -> types());
    steps.put("typesSimple", () -> types("preferQueryMode", "simple"));
    steps.put("parameters", Pgjdbc::parameters);
    steps.put("prepared", Pgjdbc::prepared);
    steps.put("batch", Pgjdbc::batch);
    steps.put("fetchSize", Pgjdbc::fetchSize);
    steps.put("transactions", Pgjdbc::transactions);
    steps.put("copy", Pgjdbc::copy);
    steps.put("errors", Pgjdbc::errors);
    steps.put("severalInOne", Pgjdbc::severalInOne);
    steps.put("generatedKeys", Pgjdbc::generatedKeys);
    steps.put("notices", Pgjdbc::notices);
    steps.put("listen", Pgjdbc::listen);
    steps.put("cancel", Pgjdbc::cancel);
    Map<String, Object> seen = new LinkedHashMap<>();
    List<String> wanted = Arrays.asList(args);
    if (wanted.contains("guarded")) steps.put("guarded", Pgjdbc::guarded);
    for (Map.Entry<String, Step> step : steps.entrySet()) {
      if (!wanted.isEmpty() && !wanted.contains(step.getKey())) continue;
      try {
        seen.put(step.getKey(), step.getValue().run());
      } catch (Exception error) {
        seen.put(step.getKey(), Map.of("thrown", error.getClass().getSimpleName() + ": " + error.getMessage()));
      }
    }
    System.out.println(json(seen));
    System.exit(0);
  }
}
