"""psycopg 3 as an application uses it: binary cursors, pipeline mode, COPY, async. SLUICE_TEST_DSN says where."""
import asyncio
import json
import os
import sys
import threading
import time

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

DSN = os.environ["SLUICE_TEST_DSN"]


def connect(**options):
    return psycopg.connect(DSN, autocommit=True, **options)


def error_of(error):
    d = error.diag
    return {
        "class": type(error).__name__, "code": error.sqlstate, "severity": d.severity_nonlocalized, "message": d.message_primary,
        "detail": d.message_detail, "hint": d.message_hint, "position": d.statement_position, "schema": d.schema_name,
        "table": d.table_name, "column": d.column_name, "constraint": d.constraint_name, "context": d.context,
    }


def failing(c, sql, args=None, **options):
    try:
        c.execute(sql, args, **options)
        return "no error"
    except psycopg.Error as error:
        return error_of(error)


def shown(value):
    if isinstance(value, (bytes, memoryview)):
        return "bytes:" + bytes(value).hex()
    return f"{type(value).__name__}:{value}"


def simple():
    with connect() as c:
        cursor = c.execute("SELECT id, name FROM things ORDER BY id")
        description = [(d.name, d.type_code, d.internal_size) for d in cursor.description]
        return {"rows": cursor.fetchall(), "description": description, "status": cursor.statusmessage}


def several_in_one():
    with connect() as c:
        cursor = c.execute("SELECT 1 AS a; SELECT 'x' AS b")
        first = cursor.fetchall()
        cursor.nextset()
        return [first, cursor.fetchall()]


# Python has no infinite dates: the second row is read without them.
TYPES = ["SELECT * FROM types WHERE id = 1",
         "SELECT id, small, big, exact, single, double, truth, words, padded, clock, span, doc, docb, bytes, ints, address, nothing "
         "FROM types WHERE id = 2"]


def types_text():
    with connect() as c:
        return [[shown(value) for value in c.execute(sql).fetchone()] for sql in TYPES]


def types_binary():
    with connect() as c:
        return [[shown(value) for value in c.execute(sql, binary=True).fetchone()] for sql in TYPES]


def parameters():
    with connect() as c:
        cursor = c.execute(
            "SELECT %s::int8, %s::text, %s::text, %b::bytea, %s::int[], %s, %s::uuid",
            (7, "it's 100% \\ fine \U0001F388", None, b"\x00\x01\xff", [1, None, 3], Jsonb({"a": [1]}), "6f1c1f5e-8d3b-4a52-9a70-0f2a5a4c9f10"),
        )
        return [shown(value) for value in cursor.fetchone()]


def prepared():
    with connect() as c:
        c.prepare_threshold = 2
        seen = [c.execute("SELECT name FROM things WHERE id = %s", (n,)).fetchall() for n in (1, 2, 3, 1, 2)]
        names = c.execute("SELECT statement FROM pg_prepared_statements", prepare=False).fetchall()
        return {"seen": seen, "prepared": names}


def transactions():
    with connect() as c:
        c.execute("DELETE FROM scratch")
        try:
            with c.transaction():
                c.execute("INSERT INTO scratch VALUES (1, 'a')")
                raise RuntimeError("on purpose")
        except RuntimeError:
            pass
        with c.transaction():
            c.execute("INSERT INTO scratch VALUES (2, 'b')")
            try:
                with c.transaction():
                    c.execute("INSERT INTO scratch VALUES (3, NULL)")
            except psycopg.errors.NotNullViolation as error:
                failure = error_of(error)
            state = c.info.transaction_status.name
        return {"failure": failure, "state": state, "rows": c.execute("SELECT * FROM scratch").fetchall()}


def pipeline():
    with connect() as c:
        c.execute("DELETE FROM scratch")
        with c.pipeline() as p:
            first = c.execute("INSERT INTO scratch VALUES (1, 'a') RETURNING id")
            second = c.execute("SELECT count(*) FROM scratch")
            p.sync()
            counts = [first.fetchone(), second.fetchone()]
        failures = []
        try:
            with c.pipeline() as p:
                c.execute("SELECT 1/0")
                c.execute("INSERT INTO scratch VALUES (2, 'behind an error')")
                p.sync()
        except psycopg.Error as error:
            failures.append(error_of(error))
        with c.cursor() as cursor:
            cursor.executemany("INSERT INTO scratch VALUES (%s, %s)", [(n, "many") for n in range(10, 40)])
        return {"counts": counts, "failures": failures, "rows": c.execute("SELECT count(*), max(id) FROM scratch").fetchall()}


def server_side_cursor():
    with psycopg.connect(DSN) as c:
        with c.cursor(name="rows") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT g FROM generate_series(1, 1050) AS g")
            return sum(row[0] for row in cursor)


def single_rows():
    with connect() as c, c.cursor() as cursor:
        return sum(row[0] for row in cursor.stream("SELECT g FROM generate_series(1, 5000) AS g"))


def copy():
    with connect() as c, c.cursor() as cursor:
        cursor.execute("DELETE FROM scratch")
        with cursor.copy("COPY scratch FROM STDIN") as into:
            for n in range(5000):
                into.write_row((n, f"line {n}\twith\\escapes"))
        with cursor.copy("COPY scratch (id, note) FROM STDIN (FORMAT binary)") as into:
            into.set_types(["int4", "text"])
            into.write_row((9001, "binary"))
        with cursor.copy("COPY (SELECT * FROM scratch WHERE id > 4990 ORDER BY id) TO STDOUT") as out:
            text = list(out.rows())
        with cursor.copy("COPY (SELECT id, note FROM scratch WHERE id > 4997 ORDER BY id) TO STDOUT (FORMAT binary)") as out:
            out.set_types(["int4", "text"])
            binary = list(out.rows())
        try:
            with cursor.copy("COPY scratch FROM STDIN") as into:
                into.write("1\tone\n")
                raise RuntimeError("given up")
        except psycopg.errors.QueryCanceled as error:
            given_up = error_of(error)
        return {"text": text, "binary": binary, "given_up": given_up, "left": cursor.execute("SELECT count(*) FROM scratch").fetchone()}


def errors():
    with connect() as c:
        return {
            "syntax": failing(c, "SELEC 1"),
            "unique": failing(c, "INSERT INTO things (id, name) VALUES (%s, %s)", (1, "again")),
            "raised": failing(c, "SELECT complain(%s)", ("loudly",)),
            "binary": failing(c, "SELECT 1/%s", (0,), binary=True),
            "usable": failing(c, "SELECT 1"),
        }


def notices():
    seen = []
    with connect() as c:
        c.add_notice_handler(lambda d: seen.append([d.severity_nonlocalized, d.sqlstate, d.message_primary, d.message_detail, d.message_hint]))
        c.execute("SELECT mention('hello')")
    return seen


def listen():
    with connect() as listener, connect() as speaker:
        listener.execute("LISTEN news")
        speaker.execute("SELECT pg_notify('news', 'paper')")
        for notification in listener.notifies():
            return [notification.channel, notification.payload]


def cancel():
    with connect() as c:
        threading.Timer(0.3, c.cancel).start()
        canceled = failing(c, "SELECT pg_sleep(30)")
        # PostgreSQL signals a backend twice for one cancel request; the second must not meet the next statement.
        time.sleep(0.5)
        return {"canceled": canceled, "usable": c.execute("SELECT 1").fetchall()}


def rows_as_dicts():
    with connect(row_factory=dict_row) as c:
        return c.execute("SELECT id, name FROM things WHERE id = %s", (2,)).fetchone()


def asynchronous():
    async def work():
        async with await psycopg.AsyncConnection.connect(DSN, autocommit=True) as c:
            async def one(n):
                cursor = await c.execute("SELECT %s::int", (n,))
                return (await cursor.fetchone())[0]
            return [await one(n) for n in range(5)]
    return asyncio.run(work())


def guarded():
    """Against the sample company with its rules. Only when asked for by name."""
    with connect() as c:
        sql = "SELECT id, email, phone FROM customers WHERE id = %s"
        seen = {
            "masked": c.execute("SELECT id, email, phone FROM customers ORDER BY id LIMIT 2", binary=True).fetchall(),
            "prepared": [c.execute(sql, (n,), prepare=True).fetchone() for n in (1, 2, 1)],
            "refused": failing(c, "DROP TABLE customers"),
            "filtered": failing(c, "SELECT id FROM customers WHERE email LIKE %s", ("a%",)),
        }
        c.autocommit = False
        c.execute("SELECT 1")
        seen["inside"] = failing(c, "DROP TABLE customers")
        seen["after"] = failing(c, "SELECT 1")
        c.rollback()
        return seen | {"usable": c.execute("SELECT 1").fetchone()[0]}


STEPS = [simple, several_in_one, types_text, types_binary, parameters, prepared, transactions, pipeline, server_side_cursor,
         single_rows, copy, errors, notices, listen, cancel, rows_as_dicts, asynchronous]
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
