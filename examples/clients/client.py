#!/usr/bin/env python3
"""Uses TRAE from Python with nothing but the standard library.

    python3 examples/clients/client.py [http://127.0.0.1:8007]

A key, where the server wants one, is read from TRAE_KEY.
"""

import json
import os
import sys
import urllib.error
import urllib.request

BASE = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8007"
KEY = os.environ.get("TRAE_KEY")


class Refused(Exception):
    """An answer that is not a success; says what to do."""


def request(method, path, body=None, accept="application/json"):
    """The open answer to a call."""
    headers = {"Accept": accept}
    if KEY:
        headers["Authorization"] = f"Bearer {KEY}"
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    try:
        return urllib.request.urlopen(urllib.request.Request(BASE + path, data, headers, method=method), timeout=60)
    except urllib.error.HTTPError as error:
        answer = json.load(error)
        raise Refused(f"{error.code} {answer['error_code']}: {answer['error']}") from None


def call(method, path, body=None):
    """The answer to a call, as JSON."""
    with request(method, path, body) as answer:
        return json.load(answer)


def events(run_id):
    """The events of a run as they come, from the first to the last."""
    with request("GET", f"/api/runs/{run_id}/events", accept="text/event-stream") as stream:
        for line in stream:
            if line.startswith(b"data:"):
                event = json.loads(line[5:])
                yield event
                if event["type"] == "run_finished":
                    return


def main():
    print("screens:", [f"{s['width']}x{s['height']}" for s in call("GET", "/api/desktop/info")["screens"]])

    with request("GET", "/api/desktop/frame?format=png", accept="image/png") as picture:
        data = picture.read()
    assert data.startswith(b"\x89PNG"), "not a picture"
    print("screenshot:", len(data), "bytes")

    command = call("POST", "/api/shell/bash", {"command": "echo $((6 * 7))", "timeout": 10})
    assert command["output"].strip() == "42", command
    print("shell:", command["output"].strip())

    session = call("POST", "/api/shell/sessions", {"name": "example", "shell_type": "bash"})["session"]["session_id"]
    call("POST", "/api/shell/bash", {"command": "cd /tmp && kept=yes", "session_id": session})
    kept = call("POST", "/api/shell/bash", {"command": "echo $PWD $kept", "session_id": session})["output"].strip()
    assert kept == "/tmp yes", kept
    print("session:", kept)
    call("DELETE", f"/api/shell/sessions/{session}")

    graph = {
        "name": "Two steps",
        "nodes": [
            {"id": "start", "type": "manual_trigger", "data": {}},
            {"id": "double", "type": "transform", "data": {"expression": "params.number * 2"}},
            {"id": "say", "type": "log_message", "data": {"message": "the double is {{ input }}"}},
        ],
        "edges": [
            {"id": "a", "source": "start", "target": "double"},
            {"id": "b", "source": "double", "target": "say"},
        ],
    }
    workflow = call("POST", "/api/workflows/", graph)
    assert not workflow["problems"], workflow["problems"]
    run_id = call("POST", f"/api/workflows/{workflow['id']}/execute", {"parameters": {"number": 21}})["run_id"]
    for event in events(run_id):
        print("event:", event["type"], event.get("node_id") or event.get("message") or event.get("status") or "")
    assert call("GET", f"/api/runs/{run_id}")["status"] == "succeeded"
    call("DELETE", f"/api/workflows/{workflow['id']}")

    try:
        call("POST", "/api/automation/mouse/click", {"x": -1, "y": 5})
    except Refused as refused:
        print("refused:", refused)


if __name__ == "__main__":
    main()
