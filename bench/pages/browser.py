"""What a browser does to get a page: one connection, one page after the other."""

from __future__ import annotations

import gzip
import http.client
import re
import time
from dataclasses import dataclass, field

_LINKED = re.compile(
    r'<(?:script|img)\b[^>]*\bsrc="(/[^"]+)"|<link\b[^>]*\bhref="(/[^"]+)"'
)


@dataclass(frozen=True)
class Answer:
    """A page as it came: after how many seconds, in how many bytes."""

    seconds: float
    weight: int
    text: str


@dataclass
class Browser:
    """One that is signed in with a session's cookie, at a server on this machine."""

    port: int
    session: str
    weights: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str, *, part: bool = False) -> Answer:
        """Ask for a page; RuntimeError if it is none."""
        headers = {
            "Accept-Encoding": "gzip, deflate, br",
            "Cookie": f"sessionid={self.session}",
        }
        if part:
            headers |= {"HX-Request": "true", "HX-Target": "live"}
        begin = time.perf_counter()
        self.connection.request("GET", path, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - begin
        if answer.status != 200:
            raise RuntimeError(f"{path} answers with {answer.status}")
        encoding = answer.getheader("Content-Encoding", "")
        return Answer(seconds, len(body), _text(body, encoding))

    def weight_of_linked(self, text: str) -> int:
        """Return the bytes of all that a page has a browser load besides."""
        found = {one or other for one, other in _LINKED.findall(text)}
        return sum(map(self._weight, found))

    def _weight(self, path: str) -> int:
        if path not in self.weights:
            self.weights[path] = self.get(path).weight
        return self.weights[path]


def _text(body: bytes, encoding: str) -> str:
    if encoding == "gzip":
        body = gzip.decompress(body)
    return "" if encoding == "br" else body.decode(errors="replace")
