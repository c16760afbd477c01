"""A client of ZooKeeper for `fuzz`: registers and sets, over ZooKeeper's own protocol.

Operations come as JSON lines on standard input and are answered on standard output. A register is a znode of its key's
name; a set is a znode with a child an element. A read asks for `sync` first, as the manual recommends to those who must
see the latest value. The protocol is described by zookeeper.jute in ZooKeeper's source.
"""

import json
import socket
import struct
import sys

PORT = 2181
SESSION_MS = 4000
# An operation has two seconds.
PATIENCE_S = 1.8

CREATE, DELETE, GET, SET, CHILDREN, SYNC = 1, 2, 4, 5, 8, 9
NO_NODE, BAD_VERSION, NODE_EXISTS = -101, -103, -110
# Errors that a server answers with instead of doing what was asked.
DONE_NOTHING = {NO_NODE, BAD_VERSION, NODE_EXISTS}
EVERYTHING = struct.pack(">ii", 1, 31)  # one entry: all permissions, to


def text(value):
    data = value.encode()
    return struct.pack(">i", len(data)) + data


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, code):
        super().__init__(f"error {code}")
        self.code = code


class Unsent(Exception):
    """Nothing was asked: there is no session."""


class Session:
    """A connection to one server, with a session of its own."""

    def __init__(self, ip):
        self.xid = 0
        try:
            self.socket = socket.create_connection((ip, PORT), timeout=PATIENCE_S)
            self.socket.settimeout(PATIENCE_S)
            self.send(struct.pack(">iqiqi", 0, 0, SESSION_MS, 0, 16) + bytes(16))
            _, granted_ms = struct.unpack(">ii", self.receive()[:8])
        except (OSError, struct.error) as error:
            raise Unsent(str(error)) from error
        if granted_ms <= 0:
            raise Unsent("no session was granted")

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return data

    def receive(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def ask(self, kind, body):
        """What the server answers to a request, without its header."""
        self.xid += 1
        self.send(struct.pack(">ii", self.xid, kind) + body)
        while True:
            reply = self.receive()
            xid, _, code = struct.unpack(">iqi", reply[:16])
            if xid == self.xid:
                break
        if code != 0:
            raise Refused(code)
        return reply[16:]

    def create(self, path, value):
        acl = EVERYTHING + text("world") + text("anyone")
        self.ask(CREATE, text(path) + text(value) + acl + struct.pack(">i", 0))

    def get(self, path):
        """Value and version."""
        answer = self.ask(GET, text(path) + b"\0")
        (length,) = struct.unpack(">i", answer[:4])
        (version,) = struct.unpack(">i", answer[4 + length + 32 :][:4])
        return answer[4 : 4 + length].decode(), version

    def set(self, path, value, version):
        self.ask(SET, text(path) + text(value) + struct.pack(">i", version))


class Client:
    def __init__(self):
        self.sessions = {}

    def do(self, operation):
        ip = operation["node"]
        asked = False
        try:
            if ip not in self.sessions:
                self.sessions[ip] = Session(ip)
            asked = True
            return getattr(self, operation["f"])(self.sessions[ip], operation)
        except Refused as refused:
            outcome = "fail" if refused.code in DONE_NOTHING else "info"
            if outcome == "info":
                self.drop(ip)
            return {"type": outcome, "error": str(refused)}
        except Unsent as error:
            return {"type": "fail", "error": str(error)}
        except (OSError, struct.error) as error:
            self.drop(ip)
            reads = operation["f"] in ("read", "elements")
            return {"type": "fail" if reads or not asked else "info", "error": str(error)}

    def drop(self, ip):
        session = self.sessions.pop(ip, None)
        if session:
            session.socket.close()

    def read(self, session, operation):
        path = "/" + operation["key"]
        session.ask(SYNC, text(path))
        try:
            return {"type": "ok", "value": session.get(path)[0]}
        except Refused as refused:
            if refused.code != NO_NODE:
                raise
            return {"type": "ok", "value": None}

    def write(self, session, operation):
        path = "/" + operation["key"]
        for _ in range(3):
            try:
                session.set(path, operation["value"], -1)
                return {"type": "ok"}
            except Refused as refused:
                if refused.code != NO_NODE:
                    raise
            try:
                session.create(path, operation["value"])
                return {"type": "ok"}
            except Refused as refused:
                if refused.code != NODE_EXISTS:
                    raise
        return {"type": "fail", "error": "it came and went"}

    def cas(self, session, operation):
        path = "/" + operation["key"]
        expect = operation.get("expect")
        if expect is None:
            try:
                session.create(path, operation["value"])
                return {"type": "ok", "value": True}
            except Refused as refused:
                if refused.code != NODE_EXISTS:
                    raise
                return {"type": "ok", "value": False}
        value, version = session.get(path)
        if value != expect:
            # What was read may be old: that it is refused for certain can only be said of nothing done.
            return {"type": "fail", "error": "it holds something else"}
        session.set(path, operation["value"], version)
        return {"type": "ok", "value": True}

    def add(self, session, operation):
        path = "/" + operation["key"]
        try:
            session.create(path, "")
        except Refused as refused:
            if refused.code != NODE_EXISTS:
                raise
        session.create(f"{path}/{operation['value']}", "")
        return {"type": "ok"}

    def elements(self, session, operation):
        path = "/" + operation["key"]
        session.ask(SYNC, text(path))
        try:
            answer = session.ask(CHILDREN, text(path) + b"\0")
        except Refused as refused:
            if refused.code != NO_NODE:
                raise
            return {"type": "ok", "value": []}
        (count,) = struct.unpack(">i", answer[:4])
        names, at = [], 4
        for _ in range(count):
            (length,) = struct.unpack(">i", answer[at : at + 4])
            names.append(answer[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return {"type": "ok", "value": sorted(names)}


def main():
    client = Client()
    for line in sys.stdin:
        operation = json.loads(line)
        print(json.dumps({"id": operation["id"], **client.do(operation)}), flush=True)


main()
