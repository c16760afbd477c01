"""Passes what clients ask on to the server, and watches from where it was."""

import http.client
import json
import sys

PORT = 8000
PATIENCE_S = 0.8


def main():
    places = {}
    for line in sys.stdin:
        asked = json.loads(line)
        f, key, value = asked["f"], asked["key"], asked.get("value")
        if f == "watch":
            value = places.get(key, 1)
        connection = http.client.HTTPConnection(asked["node"], PORT, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/", json.dumps({"f": f, "key": key, "value": value}))
            response = connection.getresponse()
            done = json.loads(response.read()).get("value")
            answer = {"type": "ok", "value": done}
            if response.status != 200:
                answer = {"type": "fail", "error": f"status {response.status}"}
            elif f == "transfer" and "refused" in done:
                answer = {"type": "fail", "error": "not enough money"}
            elif f == "watch" and done["events"]:
                places[key] = done["events"][-1][0] + 1
        except (OSError, http.client.HTTPException) as error:
            answer = {"type": "info", "error": str(error)}
        connection.close()
        print(json.dumps({"id": asked["id"], **answer}), flush=True)


main()
