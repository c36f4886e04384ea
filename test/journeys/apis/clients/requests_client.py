"""One step with requests, as people write it: prints what it saw as JSON."""

import json
import os
import sys

import requests

base = os.environ["SLUICE_URL"]
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["SLUICE_TOKEN"]


def one(path):
    answer = session.get(base + path, timeout=60)
    answer.raise_for_status()
    return answer.json()


def pages(path):
    url, items = base + path, []
    while url is not None:
        answer = session.get(url, timeout=60)
        answer.raise_for_status()
        items += answer.json()
        url = answer.links.get("next", {}).get("url")
    return items


def lines(path):
    with session.get(base + path, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        return [json.loads(line) for line in answer.iter_lines()]


def create(path, body):
    answer = session.post(base + path, json=json.loads(body), timeout=60)
    answer.raise_for_status()
    return {"status": answer.status_code, "location": answer.headers["Location"], "body": answer.json()}


def refused(path, body):
    try:
        create(path, body)
    except requests.HTTPError as error:
        return {"error": str(error), "problem": error.response.json()}


json.dump(globals()[sys.argv[1]](*sys.argv[2:]), sys.stdout)
