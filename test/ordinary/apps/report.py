"""What the Python applications share: run every step, print one JSON object, never hide a step that failed."""
import datetime
import decimal
import json


def shown(value):
    if isinstance(value, (datetime.date, datetime.datetime, decimal.Decimal)):
        return f"{type(value).__name__} {value}"
    return str(value)


def report(steps):
    seen = {}
    for step in steps:
        try:
            seen[step.__name__] = step()
        except Exception as error:
            seen[step.__name__] = {"thrown": f"{type(error).__name__}: {error}"}
    print(json.dumps(seen, default=shown))
