"""A client of etcd's lock service for `fuzz`: acquires and releases locks, and looks whether it has them.

Operations come as JSON lines on standard input and are answered on standard output. A lock is held under a lease of
two seconds, as in etcd's own client; it is released within a fraction of that, so no lease is kept alive. The service
is asked over its JSON gateway (/v3/lease/grant, /v3/lock/lock, /v3/lock/unlock).
"""

import http.client
import json
import sys
import time
from binascii import a2b_base64, b2a_base64

PORT = 2379
LEASE_S = 2
# An operation has eight seconds; a wait for a lock that takes longer is given up before that.
PATIENCE_S = 7.5


def encoded(text):
    return b2a_base64(text.encode(), newline=False).decode()


class Refused(Exception):
    """The service said no: nothing was done."""


class Client:
    def __init__(self):
        self.connections = {}
        self.held = {}  # lock: the key that etcd gave this client's place in the queue

    def ask(self, ip, path, body):
        """The answer to a request; a broken connection is not used again."""
        connection = self.connections.get(ip)
        if connection is None:
            connection = self.connections[ip] = http.client.HTTPConnection(ip, PORT, timeout=PATIENCE_S)
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            del self.connections[ip]
            raise
        if response.status != 200:
            raise Refused(f"{response.status} {text.decode(errors='replace').strip()}")
        return json.loads(text)

    def acquire(self, ip, lock):
        try:
            since = time.monotonic()
            lease = self.ask(ip, "/v3/lease/grant", {"TTL": LEASE_S})["ID"]
        except (OSError, http.client.HTTPException, Refused) as error:
            return {"type": "fail", "error": str(error)}
        try:
            granted = self.ask(ip, "/v3/lock/lock", {"name": encoded(lock), "lease": lease})
        except Refused as error:
            # The request may still wait in the queue of another node's log.
            return {"type": "info", "error": str(error)}
        except (OSError, http.client.HTTPException) as error:
            return {"type": "info", "error": str(error)}
        self.held[lock] = granted["key"]
        left_ms = int((since + LEASE_S - time.monotonic()) * 1000)
        answer = {"type": "ok", "value": {"lease_ms": max(left_ms, 0)}}
        return {**answer, **self.look(ip, granted)}

    def look(self, ip, granted):
        """Whether the lock's key was there when the service said that the lock is ours: it must have been."""
        revision = granted["header"]["revision"]
        try:
            found = self.ask(ip, "/v3/kv/range", {"key": granted["key"], "revision": revision})
        except (OSError, http.client.HTTPException, Refused):
            return {}
        if found.get("kvs"):
            return {}
        key = a2b_base64(granted["key"]).decode(errors="replace")
        seen = f"the lock was granted at revision {revision}, at which its key {key} is not there"
        return {"assert": "lock-granted-without-lease", "error": seen}

    def release(self, ip, lock):
        key = self.held.pop(lock, None)
        if key is None:
            return {"type": "fail", "error": "it is not held"}
        try:
            self.ask(ip, "/v3/lock/unlock", {"key": key})
        except (OSError, http.client.HTTPException, Refused) as error:
            return {"type": "info", "error": str(error)}
        return {"type": "ok"}


def main():
    client = Client()
    for line in sys.stdin:
        operation = json.loads(line)
        do = client.acquire if operation["f"] == "acquire" else client.release
        answer = do(operation["node"], operation["key"])
        print(json.dumps({"id": operation["id"], **answer}), flush=True)


main()
