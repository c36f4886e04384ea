"""psycopg2 that is told what to do while it runs: see told.ts."""
import os

import psycopg2
from told_client import placeholders, serve

connection = psycopg2.connect(os.environ["SLUICE_TEST_DSN"])
connection.autocommit = True


def run(sql, values=()):
    with connection.cursor() as cursor:
        if values:
            cursor.execute(placeholders(sql), values)
        else:
            cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def together(first, others):
    run(first)
    # It has no pipelines: several statements go as one text.
    return run("; ".join(others))


serve(run, together, connection.cancel, psycopg2.Error)
