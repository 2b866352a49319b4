"""A repository's address whose tracker fails: bad_tracker.py SERVER PORT [ADDRESS=FAULT...].

It passes everything on to SERVER but the announces of each ADDRESS, which are answered with
`nonsense`, or with nothing at all (`hangs`), from its first one on, or from its second one on (`later-...`).
"""

import os
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

server, port = sys.argv[1], int(sys.argv[2])
faults = dict(word.split("=") for word in sys.argv[3:])
announces: Counter[str] = Counter()


class Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        fault = faults.get(self.client_address[0], "")
        if self.path.startswith("/announce") and fault:
            announces[self.client_address[0]] += 1
            if announces[self.client_address[0]] > fault.startswith("later-"):
                if fault.endswith("hangs"):
                    threading.Event().wait()
                self._say(200, os.urandom(300))
                return
        asked = urllib.request.Request(
            f"http://{server}{self.path}", headers={"X-Forwarded-For": self.client_address[0]}
        )
        try:
            with urllib.request.urlopen(asked) as answer:
                self._say(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._say(error.code, error.read())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("", port), Door).serve_forever()
