"""Counters, watched keys, queues, a bank and lists in memory, over HTTP: POST / {"f", "key", "value"}.

With `unlocked` it does what one client asks while it is in the middle of what another one asked. Shortly before final reads
`late` and `lost` go back to what was there a few changes ago, and take no change for a while: `late` until something is
changed, `lost` for good. `torn` shows money twice until something is changed, `minted` for good.
Usage: server.py IP PORT [unlocked | late | lost | torn | minted]
"""

import copy
import json
import sys
import threading
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

# Others may go on here; with a lock they cannot do harm.
STEP_S = 0
# Of the machine's time: final reads begin at two and a half.
BACK_S = 2.2
DEAF_S = 0.6
# How many changes are not shown then.
BEHIND = 4
CHANGES = ("increment", "write", "enqueue", "dequeue", "transfer", "txn")


class Deaf(Exception):
    """It takes no change for now."""


STATE = ("sums", "revision", "events", "queues", "accounts", "lists")


class Store:
    def __init__(self, is_locked):
        self.before = []
        self.whole = None
        self.deaf_until = 0
        self.lock = Lock() if is_locked else nullcontext()
        self.sums = {}
        self.revision = 0
        self.events = {}
        self.queues = {}
        self.accounts = {"0": 100, "1": 0, "2": 0, "3": 0, "4": 0}
        self.lists = {}

    def do(self, f, key, value):
        with self.lock:
            if f in CHANGES:
                if time.monotonic() < self.deaf_until:
                    raise Deaf
                if self.whole:
                    self.__dict__.update(self.whole)
                    self.whole = None
                self.before = [*self.before, copy.deepcopy(self.state())][-BEHIND:]
            return getattr(self, f)(key, value)

    def state(self):
        return {name: self.__dict__[name] for name in STATE}

    def go_back(self, flaw):
        with self.lock:
            if flaw in ("late", "torn"):
                self.whole = copy.deepcopy(self.state())
            if flaw in ("late", "lost"):
                # what was taken out of a queue stays out
                queues = {key: queue[:-1] for key, queue in self.queues.items()}
                self.__dict__.update({**self.before[0], "queues": queues})
            else:
                self.accounts["0"] += 1
            self.deaf_until = time.monotonic() + DEAF_S

    def increment(self, key, value):
        total = self.sums.get(key, 0)
        time.sleep(STEP_S)
        self.sums[key] = total + value
        return value

    def read(self, key, value):
        if key is not None:
            return self.sums.get(key, 0)
        balances = {}
        for account in self.accounts:
            time.sleep(STEP_S)
            balances[account] = self.accounts[account]
        return balances

    def write(self, key, value):
        event = [self.revision + 1, value]
        time.sleep(STEP_S)
        self.events.setdefault(key, []).append(event)
        self.revision = event[0]
        return event

    def watch(self, key, value):
        """The changes from revision `value` on."""
        return {"from": value, "events": [event for event in self.events.get(key, []) if event[0] >= value]}

    def enqueue(self, key, value):
        self.queues.setdefault(key, []).append(value)
        return value

    def dequeue(self, key, value):
        queue = self.queues.get(key)
        if not queue:
            return None
        head = queue[0]
        time.sleep(STEP_S)
        queue[:] = [element for element in queue if element != head]
        return head

    def drain(self, key, value):
        queue = self.queues.pop(key, [])
        if self.whole and key in self.whole["queues"]:
            self.whole["queues"][key] = [element for element in self.whole["queues"][key] if element not in queue]
        return queue

    def transfer(self, key, value):
        source, target, amount = str(value["from"]), str(value["to"]), value["amount"]
        if self.accounts[source] < amount:
            return {"refused": True}
        left, grown = self.accounts[source] - amount, self.accounts[target] + amount
        time.sleep(STEP_S)
        self.accounts[source], self.accounts[target] = left, grown
        return value

    def txn(self, key, value):
        done = []
        for f, name, element in value:
            time.sleep(STEP_S)
            known = self.lists.get(name, [])
            if f == "append":
                self.lists[name] = [*known, element]
            done.append([f, name, element if f == "append" else known])
        return done


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer({})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.answer({"value": self.server.store.do(asked["f"], asked["key"], asked.get("value"))})
        except Deaf:
            self.answer({}, 503)

    def log_message(self, format, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    store = Store("unlocked" not in sys.argv[3:])


for flaw in sys.argv[3:]:
    if flaw in ("late", "lost", "torn", "minted"):
        threading.Timer(BACK_S, Server.store.go_back, [flaw]).start()
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
