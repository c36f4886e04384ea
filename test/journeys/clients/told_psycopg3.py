"""psycopg 3 that is told what to do while it runs: see told.ts."""
import os

import psycopg
from told_client import placeholders, serve

connection = psycopg.connect(os.environ["SLUICE_TEST_DSN"], autocommit=True)


def rows_of(cursor):
    return cursor.fetchall() if cursor.description else []


def run(sql, values=()):
    # Without parameters too it is the extended protocol: binary results are.
    cursor = connection.cursor(binary=True)
    return rows_of(cursor.execute(placeholders(sql), values) if values else cursor.execute(sql))


def together(first, others):
    run(first)
    with connection.pipeline():
        cursors = [connection.execute(sql) for sql in others]
    return rows_of(cursors[-1])


serve(run, together, connection.cancel, psycopg.Error)
