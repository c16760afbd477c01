"""A client of etcd's transactions for `fuzz`: appends to lists and reads them, moves money, and keeps queues.

Operations come as JSON lines on standard input and are answered on standard output. Each is done as etcd's manual
recommends: the keys that it needs are read in one transaction; a second one writes, on the condition that none of them
has changed since. Where one has, it begins anew. (POST /v3/kv/txn)
"""

import http.client
import json
import sys
import time
from binascii import a2b_base64, b2a_base64

PORT = 2379
# An operation has four seconds.
PATIENCE_S = 3.5
BROKEN = (OSError, http.client.HTTPException, ValueError)
# All money is on the first account in the beginning.
ACCOUNTS = {"0": 100, "1": 0, "2": 0, "3": 0, "4": 0}


def encoded(text):
    return b2a_base64(text.encode(), newline=False).decode()


class Refused(Exception):
    """It cannot be done, and nothing was."""


class Client:
    def __init__(self):
        self.connections = {}

    def ask(self, ip, body):
        """The answer to a transaction; a broken connection is not used again."""
        connection = self.connections.get(ip)
        if connection is None:
            connection = self.connections[ip] = http.client.HTTPConnection(ip, PORT, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/v3/kv/txn", json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise ConnectionError(f"{response.status} {text.decode(errors='replace').strip()}")
            return json.loads(text)
        except BROKEN:
            connection.close()
            del self.connections[ip]
            raise

    def read(self, ip, keys):
        """Values and revisions of keys, all at one instant."""
        ranges = [{"requestRange": {"key": encoded(key)}} for key in keys]
        values, revisions = {}, {}
        for key, answer in zip(keys, self.ask(ip, {"success": ranges})["responses"]):
            found = answer["response_range"].get("kvs", [])
            values[key] = json.loads(a2b_base64(found[0]["value"])) if found else None
            revisions[key] = found[0]["mod_revision"] if found else "0"
        return values, revisions

    def write(self, ip, changes, revisions):
        """Writes if no revision is another; whether it did."""
        unchanged = [
            {"key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision}
            for key, revision in revisions.items()
        ]
        puts = [
            {"requestPut": {"key": encoded(key), "value": encoded(json.dumps(value))}}
            for key, value in changes.items()
        ]
        return self.ask(ip, {"compare": unchanged, "success": puts}).get("succeeded", False)

    def transact(self, ip, keys, work):
        """Does `work`, which makes an answer and changes of the values of `keys`."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                values, revisions = self.read(ip, keys)
                answer, changes = work(values)
            except (*BROKEN, Refused) as error:
                return {"type": "fail", "error": str(error)}
            try:
                if not changes or self.write(ip, changes, revisions):
                    return {"type": "ok", "value": answer}
            except BROKEN as error:
                return {"type": "info", "error": str(error)}
        return {"type": "fail", "error": "others were always faster"}


def lists(parts):
    """The keys of a transaction on lists, and what it does."""

    def work(values):
        answer, changes = [], {}
        for f, name, element in parts:
            key = f"list/{name}"
            known = changes.get(key, values[key] or [])
            if f == "append":
                changes[key] = [*known, element]
            answer.append([f, name, element if f == "append" else known])
        return answer, changes

    return sorted({f"list/{name}" for _, name, _ in parts}), work


def balances(values):
    return {name: ACCOUNTS[name] if values[f"account/{name}"] is None else values[f"account/{name}"] for name in ACCOUNTS}


def transfer(asked):
    source, target, amount = str(asked["from"]), str(asked["to"]), asked["amount"]

    def work(values):
        before = balances({f"account/{name}": None for name in ACCOUNTS} | values)
        if before[source] < amount:
            raise Refused("not enough money")
        after = {source: before[source] - amount, target: before[target] + amount}
        return asked, {f"account/{name}": balance for name, balance in after.items()}

    return [f"account/{source}", f"account/{target}"], work


def queue(f, name, element):
    key = f"queue/{name}"

    def work(values):
        held = values[key] or []
        if f == "enqueue":
            return element, {key: [*held, element]}
        if f == "drain":
            return held, {key: []} if held else {}
        return (held[0], {key: held[1:]}) if held else (None, {})

    return [key], work


def main():
    client = Client()
    for line in sys.stdin:
        operation = json.loads(line)
        f, value = operation["f"], operation["value"]
        if f == "txn":
            keys, work = lists(value)
        elif f == "transfer":
            keys, work = transfer(value)
        elif f == "read":
            keys, work = [f"account/{name}" for name in ACCOUNTS], lambda values: (balances(values), {})
        else:
            keys, work = queue(f, operation["key"], value)
        answer = client.transact(operation["node"], keys, work)
        print(json.dumps({"id": operation["id"], **answer}), flush=True)


main()
