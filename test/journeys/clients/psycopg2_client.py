"""psycopg2 as an application uses it. Prints what it saw as JSON; SLUICE_TEST_DSN says where."""
import contextlib
import io
import json
import os
import select
import sys
import threading
import time

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

DSN = os.environ["SLUICE_TEST_DSN"]


def connect():
    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    return connection


def connected():
    # Not `with connect()`: psycopg2 would open a transaction for the block.
    return contextlib.closing(connect())


def error_of(error):
    d = error.diag
    return {
        "class": type(error).__name__, "code": error.pgcode, "severity": d.severity, "message": d.message_primary,
        "detail": d.message_detail, "hint": d.message_hint, "position": d.statement_position, "schema": d.schema_name,
        "table": d.table_name, "column": d.column_name, "constraint": d.constraint_name, "context": d.context,
    }


def failing(cursor, sql, args=None):
    try:
        cursor.execute(sql, args)
        return "no error"
    except psycopg2.Error as error:
        return error_of(error)


def shown(value):
    if isinstance(value, memoryview):
        return "bytes:" + bytes(value).hex()
    return f"{type(value).__name__}:{value}"


def simple():
    with connected() as c, c.cursor() as cursor:
        cursor.execute("SELECT id, name FROM things ORDER BY id")
        description = [(d.name, d.type_code, d.internal_size) for d in cursor.description]
        return {"rows": cursor.fetchall(), "description": description, "status": cursor.statusmessage, "count": cursor.rowcount}


def several_in_one():
    with connected() as c, c.cursor() as cursor:
        cursor.execute("SELECT 1; SET application_name = 'x'; SELECT 'last' AS a, NULL AS b")
        return {"rows": cursor.fetchall(), "status": cursor.statusmessage}


def types():
    with connected() as c, c.cursor() as cursor:
        psycopg2.extras.register_uuid(conn_or_curs=cursor)
        cursor.execute("SELECT * FROM types ORDER BY id")
        return [[shown(value) for value in row] for row in cursor.fetchall()]


def parameters():
    with connected() as c, c.cursor() as cursor:
        cursor.execute(
            "SELECT %s, %s, %s, %s::bytea, %s::int[], %s::jsonb",
            (7, "it's 100% \\ fine \U0001F388", None, b"\x00\x01\xff", [1, None, 3], psycopg2.extras.Json({"a": [1]})),
        )
        return [shown(value) for value in cursor.fetchone()]


def transactions():
    c = psycopg2.connect(DSN)
    cursor = c.cursor()
    cursor.execute("DELETE FROM scratch")
    c.commit()
    cursor.execute("INSERT INTO scratch VALUES (1, 'a')")
    c.rollback()
    cursor.execute("INSERT INTO scratch VALUES (2, 'b')")
    cursor.execute("SAVEPOINT s")
    failure = failing(cursor, "INSERT INTO scratch VALUES (3, NULL)")
    in_error = c.get_transaction_status()
    aborted = failing(cursor, "SELECT 1")
    cursor.execute("ROLLBACK TO SAVEPOINT s")
    in_transaction = c.get_transaction_status()
    c.commit()
    cursor.execute("SELECT * FROM scratch")
    rows = cursor.fetchall()
    c.rollback()
    c.set_session(isolation_level="SERIALIZABLE", readonly=True)
    readonly = failing(cursor, "INSERT INTO scratch VALUES (9, 'x')")
    c.close()
    return {"failure": failure, "aborted": aborted, "states": [in_error, in_transaction], "rows": rows, "readonly": readonly}


def server_side_cursor():
    c = psycopg2.connect(DSN)
    cursor = c.cursor(name="rows")
    cursor.itersize = 100
    cursor.execute("SELECT g FROM generate_series(1, 1050) AS g")
    total = sum(row[0] for row in cursor)
    cursor.close()
    scrolling = c.cursor(name="scrolling", scrollable=True)
    scrolling.execute("SELECT g FROM generate_series(1, 20) AS g")
    scrolling.scroll(10, mode="absolute")
    middle = scrolling.fetchmany(2)
    scrolling.scroll(-5)
    back = scrolling.fetchone()
    c.close()
    return {"total": total, "middle": middle, "back": back}


def copy():
    c = connect()
    cursor = c.cursor()
    cursor.execute("DELETE FROM scratch")
    lines = "".join(f"{n}\tline {n}\n" for n in range(5000))
    cursor.copy_expert("COPY scratch FROM STDIN", io.StringIO(lines))
    copied = cursor.rowcount
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT * FROM scratch ORDER BY id) TO STDOUT", out)
    csv = io.StringIO()
    cursor.copy_expert("COPY (SELECT id, name FROM things ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)", csv)
    binary = io.BytesIO()
    cursor.copy_expert("COPY (SELECT 1::int4, 'x'::text) TO STDOUT (FORMAT binary)", binary)
    try:
        cursor.copy_expert("COPY scratch FROM STDIN", io.StringIO("1\tok\nnot a number\tx\n"))
        broken = "no error"
    except psycopg2.Error as error:
        broken = error_of(error)
    cursor.execute("SELECT count(*) FROM scratch")
    return {"copied": copied, "same": out.getvalue() == lines, "csv": csv.getvalue(), "binary": binary.getvalue().hex(), "broken": broken, "left": cursor.fetchone()}


def errors():
    with connected() as c, c.cursor() as cursor:
        return {
            "syntax": failing(cursor, "SELEC 1"),
            "column": failing(cursor, "SELECT id,\n  nothere FROM things"),
            "unique": failing(cursor, "INSERT INTO things (id, name) VALUES (1, 'again')"),
            "not_null": failing(cursor, "INSERT INTO things (id) VALUES (1000)"),
            "raised": failing(cursor, "SELECT complain('loudly')"),
            "division": failing(cursor, "SELECT 1/0"),
            "usable": failing(cursor, "SELECT 1"),
        }


def notices():
    with connected() as c, c.cursor() as cursor:
        cursor.execute("SELECT mention('hello')")
        return list(c.notices)


def listen():
    listener, speaker = connect(), connect()
    listener.cursor().execute("LISTEN news")
    speaker.cursor().execute("SELECT pg_notify('news', 'paper')")
    select.select([listener], [], [], 10)
    listener.poll()
    heard = [(n.channel, n.payload) for n in listener.notifies]
    listener.close()
    speaker.close()
    return heard


def cancel():
    c = connect()
    cursor = c.cursor()
    timer = threading.Timer(0.3, c.cancel)
    timer.start()
    started = time.monotonic()
    canceled = failing(cursor, "SELECT pg_sleep(30)")
    quick = time.monotonic() - started < 10
    # PostgreSQL signals a backend twice for one cancel request; the second must not meet the next statement.
    time.sleep(0.5)
    cursor.execute("SET statement_timeout = 150")
    timed_out = failing(cursor, "SELECT pg_sleep(30)")
    cursor.execute("RESET statement_timeout")
    cursor.execute("SELECT 1")
    usable = cursor.fetchall()
    c.close()
    return {"canceled": canceled, "quick": quick, "timed_out": timed_out, "usable": usable}


def status():
    with connected() as c:
        names = ["server_version", "client_encoding", "standard_conforming_strings", "integer_datetimes", "TimeZone", "is_superuser"]
        return {name: c.get_parameter_status(name) for name in names} | {"encoding": c.encoding, "version": c.server_version}


def batches():
    with connected() as c, c.cursor() as cursor:
        cursor.execute("DELETE FROM scratch")
        psycopg2.extras.execute_values(cursor, "INSERT INTO scratch VALUES %s", [(n, f"n{n}") for n in range(500)], page_size=100)
        psycopg2.extras.execute_batch(cursor, "UPDATE scratch SET note = %s WHERE id = %s", [("x", n) for n in range(50)])
        cursor.execute("SELECT note, count(*) FROM scratch WHERE id < 52 GROUP BY note ORDER BY note")
        return cursor.fetchall()


def guarded():
    """Against the sample company with its rules. Only when asked for by name."""
    with connected() as c, c.cursor() as cursor:
        cursor.execute("SELECT id, email, phone FROM customers ORDER BY id LIMIT 2")
        masked = cursor.fetchall()
        prepared = []
        for n in (1, 2, 1):
            cursor.execute("SELECT id, email, phone FROM customers WHERE id = %s", (n,))
            prepared += cursor.fetchall()
        seen = {"masked": masked, "prepared": prepared, "refused": failing(cursor, "DROP TABLE customers"),
                "filtered": failing(cursor, "SELECT id FROM customers WHERE email LIKE 'a%'")}
        c.autocommit = False
        cursor.execute("SELECT 1")
        seen["inside"] = failing(cursor, "DROP TABLE customers")
        seen["after"] = failing(cursor, "SELECT 1")
        c.rollback()
        cursor.execute("SELECT 1")
        return seen | {"usable": cursor.fetchone()[0]}


STEPS = [simple, several_in_one, types, parameters, transactions, server_side_cursor, copy, errors, notices, listen, cancel, status, batches]
wanted = sys.argv[1:]
seen = {}
for step in [guarded] if wanted == ["guarded"] else STEPS:
    if wanted and step.__name__ not in wanted:
        continue
    try:
        seen[step.__name__] = step()
    except Exception as error:
        seen[step.__name__] = {"thrown": f"{type(error).__name__}: {error}"}
print(json.dumps(seen, default=shown))
