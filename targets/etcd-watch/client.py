"""A client of etcd for `fuzz`: writes keys, and watches them.

Operations come as JSON lines on standard input and are answered on standard output. Every key that is watched has a
stream of its own (POST /v3/watch, which answers without end). It begins at the store's first revision; when it is lost
or silent it is asked for again, of the node that the operation names, from the revision after the last one seen.
"""

import http.client
import json
import socket
import sys
import time
from binascii import a2b_base64, b2a_base64

PORT = 2379
# An operation has four seconds.
PATIENCE_S = 3.5
CONNECT_S = 0.5
# A stream that has said nothing for so long, and should have, is given up.
SILENCE_S = 0.7
PAUSE_S = 0.05
BROKEN = (OSError, http.client.HTTPException, ValueError)


def encoded(text):
    return b2a_base64(text.encode(), newline=False).decode()


class Stream:
    """The lines of an answer in chunks that does not end."""

    def __init__(self, ip, path, body):
        self.socket = socket.create_connection((ip, PORT), timeout=CONNECT_S)
        text = json.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nhost: {ip}:{PORT}\r\ncontent-type: application/json\r\n"
        self.socket.sendall(f"{head}content-length: {len(text)}\r\n\r\n{text}".encode())
        self.received = b""
        self.lines = b""
        self.has_begun = False

    def line(self, patience_s):
        """The next line; None when none came in time."""
        until = time.monotonic() + patience_s
        while b"\n" not in self.lines:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return None
            self.socket.settimeout(left_s)
            try:
                received = self.socket.recv(65536)
            except TimeoutError:
                return None
            if not received:
                raise ConnectionError("the stream has ended")
            self.received += received
            self.take_chunks()
        line, self.lines = self.lines.split(b"\n", 1)
        return line

    def take_chunks(self):
        if not self.has_begun:
            head, end, rest = self.received.partition(b"\r\n\r\n")
            if not end:
                return
            status = head.split(b"\r\n")[0]
            if b" 200 " not in status:
                raise ConnectionError(status.decode(errors="replace"))
            self.received, self.has_begun = rest, True
        while True:
            size, end, rest = self.received.partition(b"\r\n")
            if not end:
                return
            size = int(size, 16)
            if size == 0:
                raise ConnectionError("the stream has ended")
            if len(rest) < size + 2:
                return
            self.lines += rest[:size]
            self.received = rest[size + 2 :]

    def close(self):
        self.socket.close()


class Watcher:
    """What is known of one key: all of its changes from the first revision on."""

    def __init__(self, key):
        self.key = key
        self.stream = None
        self.next = 1  # the revision from which on nothing has been seen
        self.since = 1  # that from which on nothing has been told
        self.events = []

    def take(self, ip, patience_s):
        """Takes the next changes from the stream; False when nothing came in time."""
        if self.stream is None:
            question = {"create_request": {"key": encoded(self.key), "start_revision": self.next}}
            self.stream = Stream(ip, "/v3/watch", question)
        line = self.stream.line(patience_s)
        if line is None:
            return False
        result = json.loads(line).get("result")
        if result is None or result.get("canceled"):
            raise ConnectionError(f"the watch was refused: {line.decode(errors='replace')}")
        for event in result.get("events", []):
            revision = int(event["kv"]["mod_revision"])
            self.events.append([revision, json.loads(a2b_base64(event["kv"]["value"]))])
            self.next = max(self.next, revision + 1)
        return True

    def give_up(self):
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def tell(self):
        told = {"from": self.since, "events": self.events}
        self.since, self.events = self.next, []
        return told


class Client:
    def __init__(self):
        self.connections = {}
        self.watchers = {}

    def ask(self, ip, path, body):
        """The answer to a request; a broken connection is not used again."""
        connection = self.connections.get(ip)
        if connection is None:
            connection = self.connections[ip] = http.client.HTTPConnection(ip, PORT, timeout=PATIENCE_S)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise ConnectionError(f"{response.status} {text.decode(errors='replace').strip()}")
            return json.loads(text)
        except BROKEN:
            connection.close()
            del self.connections[ip]
            raise

    def write(self, ip, key, value):
        body = {"key": encoded(key), "value": encoded(json.dumps(value))}
        try:
            answer = self.ask(ip, "/v3/kv/put", body)
        except ConnectionRefusedError as error:
            return {"type": "fail", "error": str(error)}
        except BROKEN as error:
            return {"type": "info", "error": str(error)}
        return {"type": "ok", "value": [int(answer["header"]["revision"]), value]}

    def watch(self, ip, key):
        """All changes of a key until the one that was the last when it was asked."""
        until = time.monotonic() + PATIENCE_S
        try:
            found = self.ask(ip, "/v3/kv/range", {"key": encoded(key)}).get("kvs", [])
        except BROKEN as error:
            return {"type": "fail", "error": str(error)}
        last = int(found[0]["mod_revision"]) if found else 0
        watcher = self.watchers.setdefault(key, Watcher(key))
        error = "it was silent"
        while watcher.next <= last:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return {"type": "fail", "error": f"revision {last} was not told: {error}"}
            try:
                if not watcher.take(ip, min(SILENCE_S, left_s)):
                    watcher.give_up()
            except BROKEN as broken:
                error = str(broken)
                watcher.give_up()
                time.sleep(PAUSE_S)
        return {"type": "ok", "value": watcher.tell()}


def main():
    client = Client()
    for line in sys.stdin:
        operation = json.loads(line)
        ip, key = operation["node"], operation["key"]
        if operation["f"] == "write":
            answer = client.write(ip, key, operation["value"])
        else:
            answer = client.watch(ip, key)
        print(json.dumps({"id": operation["id"], **answer}), flush=True)


main()
