#!/usr/bin/env python3
"""One node of a PySyncObj cluster: registers behind the HTTP protocol `kv-http`.

Every operation, reads too, is an entry of the replicated log, so answers are linearizable if PySyncObj is right.
Only the leader takes operations; another node answers 421 and has done nothing. Once an operation is on its way
into the log, anything but its result is 503: it may have been done, or may yet.

One thread does everything: PySyncObj's poller waits for its own sockets and for those of the clients.
"""

import argparse
import json
import os
import socket
import time
import traceback
from functools import partial

from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, SyncObjConsumer, replicated
from pysyncobj.poller import POLL_EVENT_TYPE as EVENT

TICK_S = 0.05  # the longest sleep, and so how late an election or a deadline may be noticed
ANSWER_S = 1.0  # an operation that takes longer is answered with 503
SESSIONS_MAX = 4096  # clients whose last change is remembered
REQUEST_BYTES_MAX = 16 << 10  # so that an answer fits into the buffer of its socket


class Registers(SyncObjConsumer):
    """The replicated state. `read` and `change` are entries of the log; they return status and body of the answer."""

    def __init__(self):
        super().__init__()
        self.values = {}
        self.sessions = {}  # client: (seq, answer) of its last change; the longest silent comes first

    @replicated
    def read(self, key):
        return (200, {"value": self.values[key]}) if key in self.values else (404, {"error": "not found"})

    @replicated
    def change(self, client, seq, *what):
        """Makes the change, unless the client has made one with this number: then it gets that one's answer."""
        if client is None:
            return self.make(*what)
        last, answer = self.sessions.get(client, (seq - 1, None))
        if seq < last:
            return 409, {"error": "stale sequence number"}
        if seq > last:
            answer = self.make(*what)
            self.sessions.pop(client, None)
            self.sessions[client] = seq, answer
            if len(self.sessions) > SESSIONS_MAX:
                del self.sessions[next(iter(self.sessions))]
        return answer

    def make(self, kind, key, value=None, expect=None):
        if kind == "swap" and self.values.get(key) != expect:
            return 409, {"error": "mismatch", "actual": self.values.get(key)}
        if kind == "delete":
            return (200, {"ok": True}) if self.values.pop(key, None) is not None else (404, {"error": "not found"})
        self.values[key] = value
        return 200, {"ok": True}

    def operation(self, method, path, body):
        """The call of `read` or `change` that a request asks for; raises `ValueError` when there is none."""
        match method, path.split("/"), json.loads(body or b"{}"):
            case "GET", ["", "kv", key], _:
                return partial(self.read, key)
            case "PUT", ["", "kv", key], {"value": str(value), **session}:
                what = "write", key, value
            case "POST", ["", "kv", key, "cas"], {"expect": None | str() as expect, "value": str(value), **session}:
                what = "swap", key, value, expect
            case "DELETE", ["", "kv", key], {**session}:
                what = "delete", key
            case _:
                raise ValueError("no such operation")
        match session.get("client"), session.get("seq"):
            case (str() as client, int() as seq) | (None as client, None as seq):
                return partial(self.change, client, seq, *what)
        raise ValueError("client and seq go together")


class Connection:
    """A client's connection: one request at a time, in order, kept open. What is no HTTP/1.1 closes it."""

    def __init__(self, node, sock):
        self.node, self.sock, self.received, self.is_busy = node, sock, b"", False
        node.raft._poller.subscribe(sock.fileno(), self.on_event, EVENT.READ | EVENT.ERROR)

    def on_event(self, _fd, event):
        if self.sock is None:
            return  # closed by an earlier event of the same round
        try:
            data = b"" if event & EVENT.ERROR else self.sock.recv(REQUEST_BYTES_MAX)
            self.received += data
            if not data or len(self.received) > 2 * REQUEST_BYTES_MAX:
                return self.close()
            self.take()
        except (OSError, ValueError):
            self.close()

    def take(self):
        """Passes on the next request, once it is whole and the one before it is answered."""
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if self.is_busy or not end:
            return
        line, *fields = head.decode("ascii").split("\r\n")
        method, path, _version = line.split(" ")
        lengths = [value for name, value in (f.split(":", 1) for f in fields) if name.lower() == "content-length"]
        length = int(lengths[0]) if lengths else 0
        if len(rest) >= length:
            self.received, self.is_busy = rest[length:], True
            self.node.on_request(self, method, path, rest[:length])

    def answer(self, status, body):
        if self.sock is None:
            return
        body = json.dumps(body)
        head = f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        try:
            if self.sock.send((head + body).encode()) < len(head + body):
                return self.close()  # the client does not read
            self.is_busy = False
            self.take()
        except (OSError, ValueError):
            self.close()

    def close(self):
        self.node.raft._poller.unsubscribe(self.sock.fileno())
        self.sock = self.sock.close()


class Node:
    """The node: listens to clients and passes their operations to the log."""

    def __init__(self, options):
        os.makedirs(options.data_dir, exist_ok=True)
        self.ids = {address: int(number) for number, address in (p.split("=") for p in options.peers.split(","))}
        self.waiting, self.tickets = {}, 0  # ticket: (deadline, connection)
        self.id, self.registers = options.id, Registers()
        conf = SyncObjConf(  # by default, a heartbeat comes each 0.1 s and an election after 0.4 to 1.4 s without
            appendEntriesUseBatch=False,  # else an entry waits for the next heartbeat
            leaderFallbackTimeout=2.0,  # a leader without a majority steps down; by default after 30 s
            connectionRetryTime=0.5,  # by default 5 s
            journalFile=os.path.join(options.data_dir, "journal"),
            fullDumpFile=os.path.join(options.data_dir, "dump"),
            **{"autoTick": False, "useFork": False, "bindAddress": options.listen, "maxBindRetries": 1},
        )
        self.raft = SyncObj(options.listen, self.ids.keys() - {options.listen}, conf, consumers=[self.registers])
        ip, port = options.client.split(":")
        self.listener = socket.create_server((ip, int(port)))
        self.raft._poller.subscribe(self.listener.fileno(), self.on_connection, EVENT.READ)

    def run(self):
        while True:
            try:
                self.raft.doTick(TICK_S)
                now = time.monotonic()
                for ticket in [ticket for ticket, (deadline, _) in self.waiting.items() if deadline <= now]:
                    self.on_result(ticket, None, "timeout")
            except Exception:  # as PySyncObj's own thread does: tell what a tick throws, and go on
                traceback.print_exc()
                time.sleep(TICK_S)

    def on_connection(self, _fd, _event):
        sock, _address = self.listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Connection(self, sock)

    def on_request(self, connection, method, path, body):
        leader = self.raft._getLeader() and self.ids[self.raft._getLeader().id]
        if (method, path) == ("GET", "/status"):
            return connection.answer(200, {"id": self.id, "leader": leader, "term": self.raft.raftCurrentTerm})
        try:
            operation = self.registers.operation(method, path, body)
        except ValueError as error:
            return connection.answer(400, {"error": str(error)})
        if not self.raft._isLeader():
            return connection.answer(421, {"leader": leader})
        self.tickets += 1
        self.waiting[self.tickets] = time.monotonic() + ANSWER_S, connection
        operation(callback=partial(self.on_result, self.tickets))

    def on_result(self, ticket, answer, error):
        _deadline, connection = self.waiting.pop(ticket, (None, None))
        if connection is not None:  # it has gone if its time was over
            is_known = error == FAIL_REASON.SUCCESS
            connection.answer(*(answer if is_known else (503, {"error": f"unknown outcome: {error}"})))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One node of a PySyncObj cluster that speaks kv-http.")
    parser.add_argument("--id", type=int, required=True, help="its number among the peers")
    parser.add_argument("--listen", metavar="IP:PORT", required=True, help="for the other nodes")
    parser.add_argument("--client", metavar="IP:PORT", required=True, help="for clients")
    parser.add_argument("--peers", metavar="1=IP:PORT,...", required=True, help="all nodes, this one too")
    parser.add_argument("--data-dir", metavar="DIR", required=True, help="for the journal and the full dump")
    Node(parser.parse_args()).run()
