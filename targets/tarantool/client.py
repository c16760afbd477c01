"""A client of Tarantool for `fuzz`: sets and registers, by calls of the functions that instance.lua has.

Operations come as JSON lines on standard input and are answered on standard output. Tarantool speaks IPROTO, which is
MessagePack behind a length (tarantool.io, "Binary protocol"); of MessagePack this knows what it needs. Every node is
asked until one leads: one that does not has done nothing.
"""

import json
import socket
import struct
import sys
import time

PORT = 3301
# An operation has four seconds.
PATIENCE_S = 3.5
# The codes of requests and of what is in them (iproto_constants.h).
CALL = 0x0A
REQUEST_TYPE, SYNC, FUNCTION, TUPLE, DATA, ERROR = 0x00, 0x01, 0x22, 0x21, 0x30, 0x31
# What instance.lua says before it has done anything.
NOT_THE_LEADER = "not the leader"


def packed(value):
    """A number, a text, a list or a map of few members in MessagePack."""
    if isinstance(value, int):
        return bytes([value]) if value < 128 else b"\xce" + struct.pack(">I", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\xda" + struct.pack(">H", len(data)) + data
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(packed, value))
    members = b"".join(packed(key) + packed(member) for key, member in value.items())
    return bytes([0x80 | len(value)]) + members


def unpacked(data, at=0):
    """The value at a place, and the place behind it."""
    tag = data[at]
    at += 1
    if tag <= 0x7F:
        return tag, at
    if tag <= 0x8F:
        return members(data, at, tag & 0x0F)
    if tag <= 0x9F:
        return listed(data, at, tag & 0x0F)
    if tag <= 0xBF:
        return text(data, at, tag & 0x1F)
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at
    if tag == 0xCB:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if tag == 0xC7:  # an extension: its length, its type, its bytes
        return None, at + 2 + data[at]
    if 0xCC <= tag <= 0xDF and tag not in (0xD4, 0xD5, 0xD6, 0xD7, 0xD8):
        form = {0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q",
                0xD9: "B", 0xDA: "H", 0xDB: "I", 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}[tag]
        number = struct.unpack_from(">" + form, data, at)[0]
        at += struct.calcsize(form)
        if tag <= 0xD3:
            return number, at
        return (text if tag <= 0xDB else listed if tag <= 0xDD else members)(data, at, number)
    raise ValueError(f"MessagePack has a tag {tag:#x} that is not expected here")


def text(data, at, length):
    return data[at:at + length].decode(errors="replace"), at + length


def listed(data, at, count):
    values = []
    for _ in range(count):
        value, at = unpacked(data, at)
        values.append(value)
    return values, at


def members(data, at, count):
    values = {}
    for _ in range(count):
        key, at = unpacked(data, at)
        values[key], at = unpacked(data, at)
    return values, at


class Refused(Exception):
    """The server answered with an error."""


class Unsent(Exception):
    """Nothing was asked: there is no connection."""


class Connection:
    """A connection to one node."""

    def __init__(self, ip, deadline):
        self.asked = 0
        try:
            self.socket = socket.create_connection((ip, PORT), timeout=max(deadline - time.monotonic(), 0.001))
            self.deadline = deadline
            self.exactly(128)  # the greeting
        except OSError as error:
            raise Unsent(str(error)) from error

    def exactly(self, count):
        data = b""
        while len(data) < count:
            self.socket.settimeout(max(self.deadline - time.monotonic(), 0.001))
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return data

    def call(self, function, arguments, deadline):
        """What a function of the server returns."""
        self.asked += 1
        self.deadline = deadline
        request = packed({REQUEST_TYPE: CALL, SYNC: self.asked}) + packed({FUNCTION: function, TUPLE: arguments})
        self.socket.sendall(b"\xce" + struct.pack(">I", len(request)) + request)
        while True:
            size, _ = unpacked(self.exactly(5))
            answer = self.exactly(size)
            header, at = unpacked(answer)
            if header[SYNC] == self.asked:
                break
        body = unpacked(answer, at)[0] if at < len(answer) else {}
        if header[REQUEST_TYPE] != 0:
            raise Refused(body.get(ERROR, f"error {header[REQUEST_TYPE]:#x}"))
        return (body.get(DATA) or [None])[0]


class Client:
    def __init__(self, ips):
        self.ips = ips
        self.connections = {}

    def do(self, operation):
        """Asks the node that was named, then the others."""
        first = operation["node"]
        deadline = time.monotonic() + PATIENCE_S
        answer = None
        for ip in [first] + [ip for ip in self.ips if ip != first]:
            answer = {**self.ask(ip, operation, deadline), "node": ip}
            if answer["type"] != "fail" or time.monotonic() > deadline:
                break
        return answer

    def ask(self, ip, operation, deadline):
        name = operation["f"]
        arguments = [operation["key"]] + ([operation["value"]] if name in ("add", "write") else [])
        try:
            if ip not in self.connections:
                self.connections[ip] = Connection(ip, deadline)
            value = self.connections[ip].call(name, arguments, deadline)
        except Unsent as error:
            return {"type": "fail", "error": str(error)}
        except Refused as refused:
            # A transaction that has no quorum is rolled back here, but may be confirmed by another leader.
            outcome = "fail" if str(refused) == NOT_THE_LEADER or name in ("elements", "read") else "info"
            return {"type": outcome, "error": str(refused)}
        except (OSError, ValueError, IndexError, struct.error) as error:
            self.connections.pop(ip).socket.close()
            return {"type": "fail" if name in ("elements", "read") else "info", "error": str(error)}
        return {"type": "ok", "value": value} if name in ("elements", "read") else {"type": "ok"}


def main():
    client = Client(sys.argv[1].split(","))
    answered = None
    for line in sys.stdin:
        operation = json.loads(line)
        if operation["id"] == answered:
            continue  # asked again by who did not want to wait, and answered meanwhile
        answered = operation["id"]
        print(json.dumps({"id": operation["id"], **client.do(operation)}), flush=True)


main()
