"""A client of NATS JetStream for `fuzz`: logs that are added to and read back.

Operations come as JSON lines on standard input and are answered on standard output; a key is a stream of that name,
with three replicas on disk. The protocol is the text protocol of NATS (docs.nats.io, "Client Protocol"); requests to
JetStream are messages to subjects under $JS.API with an inbox for the answer.
"""

import json
import os
import socket
import sys
import time

PORT = 4222
# An operation has two seconds; a question to the server that takes longer is given up before that.
PATIENCE = 1.5
NO_RESPONDERS = 503


class Silence(Exception):
    """No answer came: what was asked may have been done."""


class Connection:
    """One connection to one server, with an inbox that no other connection ever had: the servers hand an answer to whoever
    has its inbox now, and one that is late must not be taken for the answer to a new request of the same number."""

    def __init__(self, ip, name):
        self.ip = ip
        self.asked = 0
        self.buffer = b""
        self.inbox = f"_INBOX.{name}.{os.urandom(11).hex()}"
        self.deadline = time.monotonic() + PATIENCE
        self.socket = socket.create_connection((ip, PORT), timeout=PATIENCE)
        self.line()  # INFO
        hello = {"verbose": False, "pedantic": False, "name": name, "lang": "python", "version": "1",
                 "headers": True, "no_responders": True, "protocol": 1}
        self.send(f"CONNECT {json.dumps(hello)}\r\nSUB {self.inbox}.* 1\r\nPING\r\n".encode())
        while self.line() != b"PONG":
            pass

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Silence("no answer in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise Silence("no answer in time") from None
        if not data:
            raise Silence("the server closed the connection")
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.receive()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, size):
        while len(self.buffer) < size + 2:
            self.receive()
        data, self.buffer = self.buffer[:size], self.buffer[size + 2:]
        return data

    def message(self):
        """The next message: the last part of its subject, its status, its payload."""
        while True:
            words = self.line().split()
            if words[0] == b"PING":
                self.send(b"PONG\r\n")
            elif words[0] == b"-ERR":
                raise Silence(b" ".join(words).decode())
            elif words[0] == b"MSG":
                return words[1].rsplit(b".", 1)[1], 200, self.exactly(int(words[-1]))
            elif words[0] == b"HMSG":
                data = self.exactly(int(words[-1]))
                head, payload = data[: int(words[-2])], data[int(words[-2]):]
                status = head.split(b"\r\n", 1)[0].split()
                return words[1].rsplit(b".", 1)[1], int(status[1]) if len(status) > 1 else 200, payload

    def ask_all(self, requests):
        """Sends all (subject, payload) and gives their answers (status, payload) in order."""
        first = self.asked
        data = b""
        for subject, payload in requests:
            data += f"PUB {subject} {self.inbox}.{self.asked} {len(payload)}\r\n".encode() + payload + b"\r\n"
            self.asked += 1
        self.send(data)
        answers = {}
        while len(answers) < len(requests):
            number, status, payload = self.message()
            if int(number) >= first:
                answers[int(number)] = (status, payload)
        return [answers[first + i] for i in range(len(requests))]

    def ask(self, subject, payload):
        return self.ask_all([(subject, payload)])[0]


class Client:
    """The operations."""

    def __init__(self, name):
        self.name = name
        self.connection = None
        self.streams = set()

    def connect(self, ip):
        if self.connection is None or self.connection.ip != ip:
            self.drop()
            self.connection = Connection(ip, self.name)
        self.connection.deadline = time.monotonic() + PATIENCE
        return self.connection

    def drop(self):
        if self.connection is not None:
            self.connection.socket.close()
            self.connection = None

    def make(self, connection, key):
        """Makes the stream; to ask for it again changes nothing."""
        if key in self.streams:
            return
        config = {"name": key, "subjects": [key], "num_replicas": 3, "storage": "file", "retention": "limits"}
        status, payload = connection.ask(f"$JS.API.STREAM.CREATE.{key}", json.dumps(config).encode())
        if status != 200 or "error" in json.loads(payload):
            raise ConnectionError(f"no stream yet: {status} {payload.decode()}")
        self.streams.add(key)

    def add(self, connection, key, value):
        status, payload = connection.ask(key, value.encode())
        if status == NO_RESPONDERS:
            return {"type": "fail", "error": "no stream answers"}
        answer = json.loads(payload)
        if "error" in answer:
            return {"type": "info", "error": payload.decode()}
        return {"type": "ok"}

    def elements(self, connection, key):
        status, payload = connection.ask(f"$JS.API.STREAM.INFO.{key}", b"")
        answer = json.loads(payload) if status == 200 else {"error": status}
        if "error" in answer:
            return {"type": "fail", "error": str(answer["error"])}
        state = answer["state"]
        wanted = range(state["first_seq"], state["last_seq"] + 1) if state["messages"] else []
        subject = f"$JS.API.STREAM.MSG.GET.{key}"
        answers = connection.ask_all([(subject, json.dumps({"seq": seq}).encode()) for seq in wanted])
        elements = []
        for status, payload in answers:
            answer = json.loads(payload) if status == 200 else {"error": {"code": status}}
            if "error" in answer:
                if answer["error"].get("code") == 404:
                    continue
                return {"type": "fail", "error": str(answer["error"])}
            elements.append(decode(answer["message"]["data"]))
        return {"type": "ok", "value": elements}

    def do(self, operation):
        """Nothing is done before the last question, so what fails until then has failed for certain."""
        try:
            connection = self.connect(operation["node"])
            self.make(connection, operation["key"])
        except (OSError, Silence, ValueError) as error:
            self.drop()
            return {"type": "fail", "error": str(error)}
        try:
            if operation["f"] == "add":
                return self.add(connection, operation["key"], operation["value"])
            return self.elements(connection, operation["key"])
        except (OSError, Silence, ValueError) as error:
            self.drop()
            return {"type": "info" if operation["f"] == "add" else "fail", "error": str(error)}


def decode(text):
    from binascii import a2b_base64

    return a2b_base64(text).decode()


def main():
    client = None
    for line in sys.stdin:
        operation = json.loads(line)
        client = client or Client(operation["client"])
        answer = client.do(operation)
        print(json.dumps({"id": operation["id"], **answer}), flush=True)


main()
