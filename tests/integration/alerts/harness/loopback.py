"""Servers on loopback that take alerts, and the settings that have each channel lead there.

Belongs here: what every channel's tests share; a new channel adds its settings to LEADING_TO. Does not belong here:
assertions.
"""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "s3cr3t"
# The settings of a channel that send to a server at `127.0.0.1:port`.
LEADING_TO: Mapping[str, Callable[[int], dict[str, str]]] = {
    "slack": lambda port: {"HOTDASH_SLACK_WEBHOOK_URL": f"http://127.0.0.1:{port}/services/{SECRET}"},
    "apprise": lambda port: {"HOTDASH_ALERT_URLS": f"json://127.0.0.1:{port}/{SECRET}"},
}


class Loopback:
    """An HTTP server that keeps what it takes and answers as `status` says (`None`: not at all)."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.asked = 0
        self.accepted: list[Any] = []
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                if body == {}:
                    # A question without a message.
                    self.send_error(400)
                    return
                loopback.asked += 1
                status = loopback.status
                if status is None:
                    time.sleep(2)
                    return
                if status < 300:
                    loopback.accepted.append(body)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def texts(self) -> list[str]:
        """Every message that was taken, as one text."""
        return [json.dumps(body, ensure_ascii=False) for body in self.accepted]

    def close(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def loopback() -> Iterator[Loopback]:
    """A server for a test."""
    server = Loopback()
    try:
        yield server
    finally:
        server.close()


class _Mailbox(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        post_office: Any = self.server
        self._say("220 loopback")
        while word := self.rfile.readline().decode().strip().upper():
            if word.startswith("RCPT") and post_office.refusal:
                self._say(post_office.refusal)
            elif word == "DATA":
                self._say("354 go on")
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line)
                post_office.mails.append(b"".join(lines))
                self._say("250 taken")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class PostOffice(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it takes, or refuses every recipient with a line such as `550 nobody here`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mailbox)
        self.port = self.server_address[1]
        self.mails: list[bytes] = []
        self.refusal = ""


@contextmanager
def post_office() -> Iterator[PostOffice]:
    """A mail server for a test."""
    with PostOffice() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
