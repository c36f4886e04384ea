"""One step with httpx, as people write it: prints what it saw as JSON."""

import json
import os
import sys

import httpx

client = httpx.Client(
    base_url=os.environ["SLUICE_URL"],
    headers={"Authorization": "Bearer " + os.environ["SLUICE_TOKEN"]},
    timeout=60,
)


def one(path):
    answer = client.get(path)
    answer.raise_for_status()
    return answer.json()


def pages(path):
    url, items = path, []
    while url is not None:
        answer = client.get(url)
        answer.raise_for_status()
        items += answer.json()
        url = answer.links.get("next", {}).get("url")
    return items


def lines(path):
    with client.stream("GET", path) as answer:
        answer.raise_for_status()
        return [json.loads(line) for line in answer.iter_lines() if line.strip()]


def create(path, body):
    answer = client.post(path, json=json.loads(body))
    answer.raise_for_status()
    return {"status": answer.status_code, "location": answer.headers["Location"], "body": answer.json()}


def refused(path, body):
    try:
        create(path, body)
    except httpx.HTTPStatusError as error:
        return {"error": str(error), "problem": error.response.json()}


json.dump(globals()[sys.argv[1]](*sys.argv[2:]), sys.stdout)
