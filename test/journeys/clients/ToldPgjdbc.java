/* pgjdbc that is told what to do while it runs: see told.ts. */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Properties;

public class ToldPgjdbc {
  static Connection connection;
  static volatile Statement running;

  public static void main(String[] args) throws Exception {
    URI dsn = URI.create(System.getenv("SLUICE_TEST_DSN"));
    String[] user = dsn.getRawUserInfo().split(":", 2);
    Properties properties = new Properties();
    properties.setProperty("user", URLDecoder.decode(user[0], StandardCharsets.UTF_8));
    properties.setProperty("password", URLDecoder.decode(user[1], StandardCharsets.UTF_8));
    properties.setProperty("stringtype", "unspecified");
    connection = DriverManager.getConnection("jdbc:postgresql://" + dsn.getHost() + ":" + dsn.getPort() + dsn.getPath(), properties);
    say("{\"id\":0,\"rows\":[]}");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] parts = line.split("\t");
      if (parts[1].equals("cancel")) running.cancel();
      else new Thread(() -> work(parts)).start();
    }
    System.exit(0);
  }

  static void work(String[] parts) {
    try {
      String[] more = Arrays.copyOfRange(parts, 3, parts.length);
      String rows = parts[1].equals("together") ? together(parts[2], more) : run(parts[2], more);
      say("{\"id\":" + parts[0] + ",\"rows\":" + rows + "}");
    } catch (SQLException thrown) {
      SQLException error = thrown instanceof BatchUpdateException && thrown.getNextException() != null ? thrown.getNextException() : thrown;
      say("{\"id\":" + parts[0] + ",\"code\":" + quoted(error.getSQLState()) + ",\"message\":" + quoted(error.getMessage()) + "}");
    }
  }

  static String run(String sql, String... values) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql.replaceAll("\\$\\d+", "?"))) {
      for (int i = 0; i < values.length; i++) statement.setString(i + 1, values[i]);
      running = statement;
      return statement.execute() ? rowsOf(statement.getResultSet()) : "[]";
    }
  }

  /* In auto-commit mode a batch is one group of messages with one Sync behind it. A batch gives no rows. */
  static String together(String first, String[] others) throws SQLException {
    run(first);
    try (Statement statement = connection.createStatement()) {
      for (String sql : others) statement.addBatch(sql);
      running = statement;
      statement.executeBatch();
      return "[]";
    }
  }

  static String rowsOf(ResultSet rows) throws SQLException {
    StringBuilder text = new StringBuilder("[");
    while (rows.next()) {
      text.append(text.length() > 1 ? ",[" : "[");
      for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) text.append(i > 1 ? "," : "").append(quoted(rows.getString(i)));
      text.append("]");
    }
    return text.append("]").toString();
  }

  static String quoted(String text) {
    return text == null ? "\"\"" : "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
  }

  static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
