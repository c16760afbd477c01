"""A store of values over HTTP: each change is appended to a file, which is read and written anew at the next start.

    GET /v/KEY                  200 {"value": "..."}, or 404
    PUT /v/KEY {"value": "..."} 200 once it is in the file

It has a mistake. Usage: server.py IP PORT DIRECTORY
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock


class Store:
    def __init__(self, directory):
        self.lock = Lock()
        self.values = {}
        if os.path.exists(f"{directory}/log"):
            for line in open(f"{directory}/log", "rb"):
                try:
                    self.values.update(json.loads(line))
                except ValueError:
                    break  # cut short when the machine stopped: it was not acknowledged
        self.file = open(f"{directory}/new", "wb")
        self.append(self.values)
        os.rename(f"{directory}/new", f"{directory}/log")

    def append(self, values):
        self.file.write(json.dumps(values).encode() + b"\n")
        self.file.flush()

    def get(self, key):
        with self.lock:
            return self.values.get(key)

    def put(self, key, value):
        with self.lock:
            try:
                self.append({key: value})
            except OSError:
                os._exit(1)  # whatever is in the file now, the next start will find out
            self.values[key] = value


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        value = self.server.store.get(self.path.removeprefix("/v/"))
        self.answer(404, {}) if value is None else self.answer(200, {"value": value})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.store.put(self.path.removeprefix("/v/"), body["value"])
        self.answer(200, {})

    def log_message(self, *words):
        pass


def main():
    ip, port, directory = sys.argv[1:]
    server = ThreadingHTTPServer((ip, int(port)), Handler)
    server.store = Store(directory)
    server.serve_forever()


main()
