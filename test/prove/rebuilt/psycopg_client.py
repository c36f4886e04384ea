"""Does with psycopg 3 what standard input says, on one connection. SLUICE_TEST_DSN says where."""
import json
import os
import re
import sys

import psycopg


def asked(sql, binary=False):
    """Parameters as psycopg writes them: in the order in which they stand."""
    return re.sub(r"\$\d+", "%b" if binary else "%s", sql.replace("%", "%%"))


def values(parameters):
    return [bytes.fromhex(p["hex"]) if isinstance(p, dict) else p for p in parameters]


def do(c, operation):
    kind = operation["kind"]
    if kind == "simple":
        cursor = c.execute(operation["sql"])
        while cursor.nextset():
            pass
    elif kind in ("query", "prepared"):
        binary = operation.get("binary", False)
        c.execute(asked(operation["sql"], binary), values(operation["parameters"]),
                  prepare=kind == "prepared", binary=binary)
    elif kind == "cursor":
        with c.transaction(), c.cursor(name="rows") as cursor:
            cursor.itersize = operation["rows"]
            cursor.execute(operation["sql"])
            for _ in cursor:
                pass
    elif kind in ("copyOut", "copyOutLong", "copyOutFailing"):
        with c.cursor() as cursor, cursor.copy(operation["sql"]) as copy:
            for _ in copy:
                pass
    elif kind in ("copyIn", "copyInFailing"):
        with c.cursor() as cursor, cursor.copy(operation["sql"]) as copy:
            copy.write(operation["data"])
    elif kind == "pipeline":
        with c.pipeline():
            for each in operation["each"]:
                c.execute(asked(each["sql"]), values(each["parameters"]))
    elif kind == "transaction":
        for sql in ["BEGIN", *operation["statements"], "ROLLBACK"]:
            try:
                c.execute(sql)
            except psycopg.Error:
                pass
    else:
        raise ValueError(kind)


with psycopg.connect(os.environ["SLUICE_TEST_DSN"], autocommit=True) as connection:
    for each in json.load(sys.stdin):
        try:
            do(connection, each)
        except psycopg.Error:
            if connection.closed:
                raise
