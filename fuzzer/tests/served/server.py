"""A store over HTTP for tests: registers and sets that are kept in a file, with a flaw that is asked for.

    GET /health                 200
    GET /status                 200 {"me": "n1", "leader": "n1" or null, "state": "Leader" or "Follower", "term": 4}
    GET /v/KEY                  200 {"value": "..."}, or 404
    PUT /v/KEY {"value": "..."} 200
    GET /s/KEY                  200 {"elements": [...]}
    POST /s/KEY {"value": "..."} 200

Usage: server.py IP PORT DIRECTORY FLAW

`late`: it starts again by itself shortly before final reads, takes no change for a while, and answers from a snapshot
without the last changes until something is changed. `lost`: so it stays. `crash`: it says why and ends. `leads`: after a
while it says that it leads. All flaws show without any fault.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Of the machine's time: faults are over a second after the cluster is ready, final reads begin at two and a half.
RESTART_S = 2.2
# How many changes the snapshot lacks, and how long it takes no new one.
BEHIND = 3
DEAF_S = 0.6


class Store:
    def __init__(self, directory, flaw):
        self.lock = threading.Lock()
        self.log = f"{directory}/log"
        self.flaw = flaw
        self.changes = [json.loads(line) for line in open(self.log)] if os.path.exists(self.log) else []
        self.hidden = 0
        self.deaf_until = 0
        if os.path.exists(f"{directory}/again"):
            self.hidden = BEHIND
            self.deaf_until = time.monotonic() + DEAF_S
            if flaw == "lost":
                self.changes, self.hidden = self.changes[:-BEHIND], 0
        else:
            open(f"{directory}/again", "w").close()
            if flaw in ("late", "lost"):
                threading.Timer(RESTART_S, lambda: os._exit(0)).start()
            if flaw == "crash":
                threading.Timer(RESTART_S, self.crash).start()
        self.leads = False
        if flaw == "leads":
            threading.Timer(RESTART_S, self.lead).start()
        self.file = open(self.log, "a")

    def lead(self):
        self.leads = True
        print("info: became leader at term 4", flush=True)

    def crash(self):
        print("the store is out of ideas", flush=True)
        os._exit(7)

    def seen(self):
        return self.changes[: len(self.changes) - self.hidden]

    def value(self, key):
        with self.lock:
            return next((value for kind, name, value in reversed(self.seen()) if (kind, name) == ("v", key)), None)

    def elements(self, key):
        with self.lock:
            return [value for kind, name, value in self.seen() if (kind, name) == ("s", key)]

    def change(self, kind, key, value):
        with self.lock:
            self.hidden = 0
            self.changes.append([kind, key, value])
            self.file.write(json.dumps([kind, key, value]) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        kind, _, key = self.path[1:].partition("/")
        if kind == "s":
            return self.answer(200, {"elements": self.server.store.elements(key)})
        if kind == "status":
            leads = self.server.store.leads
            state = {"state": "Leader" if leads else "Follower", "leader": "n1" if leads else None, "me": "n1", "term": 4}
            return self.answer(200, state)
        value = self.server.store.value(key)
        if kind == "health" or value is not None:
            return self.answer(200, {"value": value})
        self.answer(404, {})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind, _, key = self.path[1:].partition("/")
        if kind not in ("v", "s"):
            return self.answer(404, {})
        if time.monotonic() < self.server.store.deaf_until:
            return self.answer(503, {})
        self.server.store.change(kind, key, body["value"])
        self.answer(200, {})

    do_POST = do_PUT

    def log_message(self, *words):
        pass


def main():
    ip, port, directory, flaw = sys.argv[1:]
    server = ThreadingHTTPServer((ip, int(port)), Handler)
    server.store = Store(directory, flaw)
    server.serve_forever()


main()
