"""A server whose answers go wrong in every way, and files to put on disk."""

import hashlib
import http.client
import http.server
import threading
from pathlib import Path

from fjdl.data.files import RemoteFile

BODY = b"the official content " * 5000


class Handler(http.server.BaseHTTPRequestHandler):
    """Each path is one way a server can behave."""

    def do_GET(self) -> None:
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        getattr(self, "answer_" + self.path.strip("/"))()

    def send(self, body: bytes, *, status: int = 200, length: int | None = None, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self) -> None:
        self.send(BODY)

    def answer_wrong(self) -> None:
        self.send(BODY[:-1] + b"?")

    def answer_page(self) -> None:
        self.send(b"<html>Please log in</html>")

    def answer_short(self) -> None:
        self.send(BODY[:-100], length=len(BODY))

    def answer_long(self) -> None:
        self.send(BODY * 50)

    def answer_missing(self) -> None:
        self.send(b"not found", status=404)

    def answer_redirect(self) -> None:
        self.send(b"", status=302, location="/good")

    def answer_ftp(self) -> None:
        self.send(b"", status=302, location="ftp://127.0.0.1/good")

    def answer_garbage(self) -> None:
        self.wfile.write(b"this is not HTTP\r\n\r\n")

    def answer_silent(self) -> None:
        self.server.released.wait(10)  # type: ignore[attr-defined]

    def answer_drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for byte in BODY:
            if self.server.released.wait(0.02):  # type: ignore[attr-defined]
                return
            self.wfile.write(bytes([byte]))

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up is what some tests are about

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def file(self, *paths: str) -> RemoteFile:
        urls = tuple(self.url(path) for path in paths)
        return RemoteFile(name="toy.gz", urls=urls, size=len(BODY), sha256=hashlib.sha256(BODY).hexdigest())


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def put(path: Path, content: bytes = BODY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
