"""The operator's browser: signed in, with cookies, over real HTTP."""

from __future__ import annotations

import http.client
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode

_TIMEOUT = 30  # seconds; SQLite may be locked for a while
_TOKEN = re.compile(r'name="accepted" value="([^"]+)"')
Fields = Sequence[tuple[str, str]]


class NotSent(Exception):
    """Nobody took the connection."""


class NoAnswer(Exception):
    """It was sent, and the connection broke or timed out."""


@dataclass(frozen=True)
class Page:
    status: int
    location: str
    text: str

    @property
    def warnings(self) -> list[str]:
        """What a form offers to accept, once each."""
        return list(dict.fromkeys(_TOKEN.findall(self.text)))


class Browser:
    """One person's. Not for several threads at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def sign_in(self, name: str, password: str) -> None:
        """NoAnswer if that does not work."""
        self.get("/login/")
        self.post("/login/", [("username", name), ("password", password)])
        if "sessionid" not in self._cookies:
            raise NoAnswer("signing in did not work")

    def get(self, path: str) -> Page:
        return self._ask("GET", path)

    def post(self, path: str, fields: Fields = ()) -> Page:
        return self._ask("POST", path, urlencode(fields))

    def _ask(self, method: str, path: str, body: str = "") -> Page:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._port, timeout=_TIMEOUT
        )
        try:
            try:
                connection.connect()
            except OSError as error:
                raise NotSent(str(error)) from error
            try:
                connection.request(method, path, body, self._headers())
                response = connection.getresponse()
                text = response.read().decode(errors="replace")
            except (OSError, http.client.HTTPException) as error:
                raise NoAnswer(str(error)) from error
        finally:
            connection.close()
        for value in response.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(value).items():
                self._cookies[name] = morsel.value
        return Page(response.status, response.headers.get("Location", ""), text)

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": cookies,
            "X-CSRFToken": self._cookies.get("csrftoken", ""),
        }
