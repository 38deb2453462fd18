"""Stands in for the press. Words in the text steer it: SMUDGED, JAM, JAM1 (once), SLOW."""

import json
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen: Counter[str] = Counter()


class Press(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, again = asked["text"], seen[asked["order"]]
        seen[asked["order"]] += 1
        time.sleep(1.5 if "SLOW" in text else 0.15)
        if "SMUDGED" in text:
            self._answer(422, {"code": "illegible"})
        elif "JAM" in text and not ("JAM1" in text and again):
            self._answer(502, {})
        else:
            self._answer(200, {"state": "printed", "sheets": 1 + len(text) // 40})

    def _answer(self, code: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Press).serve_forever()
