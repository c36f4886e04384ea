"""What the Python clients share that are told what to do while they run: see told.ts."""
import json
import re
import sys
import threading


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def serve(run, together, cancel, failure):
    """`run(sql, values)`, `together(first, others)`: rows; `failure`: the driver's class of errors, with an SQLSTATE."""

    def work(number, verb, text, more):
        try:
            rows = together(text, more) if verb == "together" else run(text, more)
            say({"id": number, "rows": [[str(cell) for cell in row] for row in rows]})
        except failure as error:
            code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
            say({"id": number, "code": code, "message": str(error)})

    say({"id": 0, "rows": []})
    for line in sys.stdin:
        number, verb, text, *more = line.rstrip("\n").split("\t")
        if verb == "cancel":
            cancel()
        else:
            threading.Thread(target=work, args=(int(number), verb, text, more)).start()


def placeholders(sql):
    """Python's drivers write parameters in their own way."""
    return re.sub(r"\$\d+", "%s", sql.replace("%", "%%"))
