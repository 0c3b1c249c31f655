"""Somebody of the cast who asks the running console over HTTP, as a browser does."""

from __future__ import annotations

import http.client
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from lab.guest import Guest
from lab.stack import Stack
from tests.conftest import PASSWORD
from tests.promises import asking

ACCEPTED = 204
REFUSED = 409
Fields = list[tuple[str, str]]


class Answered(Exception):
    """The console answered with something else than was expected."""


class Operator:
    """A signed-in person. May be used by several threads at once.

    `asked` are the verbs that were accepted, by job: what Promises.asked wants.
    """

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack, self.name = stack, name
        self.asked: dict[int, list[str]] = defaultdict(list)
        self._cookies: dict[str, str] = {}

    def sign_in(self) -> None:
        """Sign in, with the password that the whole cast has."""
        self.get("/login/")
        fields = [("username", self.name), ("password", PASSWORD)]
        status, words, _ = self.post("/login/", fields)
        if status != http.client.FOUND:
            raise Answered(f"{self.name} could not sign in: {status} {words[:200]}")

    # --- Asking -----------------------------------------------------------------------

    def copy(self, guest: Guest, to: Path | str, **fields: str) -> int:
        """Ask for a copy of vda to a qcow2 file; return the job's number.

        `fields` are those of the form. Warnings are accepted.
        """
        page = f"/disks/{self._disk(guest.name)}/copy/"
        form: Fields = list(
            {
                "destination_kind": "file",
                "destination": str(to),
                "format": "qcow2",
                "when_ready": "wait",
                "at_limit": "flag",
                "reason": "to see what happens",
                **fields,
            }.items()
        )
        status, words, headers = self.post(page, form)
        if status == http.client.UNPROCESSABLE_ENTITY:
            tokens = re.findall(r'name="accepted" value="([^"]+)"', words)
            form += [("accepted", token) for token in tokens]
            status, words, headers = self.post(page, form)
        found = re.search(r"/jobs/(\d+)/", headers.get("Location", ""))
        if status != http.client.FOUND or not found:
            told = re.findall(r"(?:<strong>|field-error..)([^<]+)<", words)
            raise Answered(f"{status} for a copy of {guest.name}: {told}")
        return int(found[1])

    def adopt(self, name: str) -> int:
        """Adopt the copy on vda of a domain that somebody else began."""
        page = f"/disks/{self._disk(name)}/adopt/"
        status, words, _ = self.get(page)
        sight = re.search(r'name="sight" value="([^"]+)"', words)
        if sight is None:
            raise Answered(f"{status} for adopting the copy of {name}: {words[:200]}")
        status, words, headers = self.post(page, [("sight", sight[1])])
        found = re.search(r"/jobs/(\d+)/", headers.get("Location", ""))
        if status != http.client.FOUND or not found:
            raise Answered(f"{status} for adopting the copy of {name}: {words[:200]}")
        return int(found[1])

    def try_act(self, job: int, verb: str) -> tuple[int, str]:
        """Post a verb; return the status (ACCEPTED, REFUSED …) and what is said."""
        status, words, _ = self.post(f"/jobs/{job}/{verb}/", [], htmx=True)
        if status == ACCEPTED:
            self.asked[job].append(verb)
        return status, words

    def act(self, job: int, verb: str) -> None:
        """Post a verb that is possible now. Answered if the console refuses it."""
        status, words = self.try_act(job, verb)
        if status != ACCEPTED:
            text = " ".join(re.sub(r"<[^>]+>", " ", words).split())
            raise Answered(f"{status} for {verb} of job {job}: {text[:300]}")

    def speed(self, job: int, bandwidth: str) -> None:
        """Ask for another bandwidth, as people write it."""
        fields = [("bandwidth", bandwidth)]
        status, words, _ = self.post(f"/jobs/{job}/speed/", fields, htmx=True)
        if status != ACCEPTED:
            raise Answered(f"{status} for a bandwidth of job {job}: {words[:200]}")

    def _disk(self, name: str) -> int:
        with asking(self.stack.environment["DATABASE_URL"]) as ask:
            rows = ask(
                "select disk.id from jobs_disk disk join jobs_domain domain"
                " on domain.id = disk.domain_id where disk.target = 'vda'"
                f" and domain.name = '{name}' order by disk.id"
            )
        if not rows:
            raise Answered(f"The console does not know {name} yet.")
        return int(rows[-1][0])

    # --- HTTP -------------------------------------------------------------------------

    def get(self, path: str) -> tuple[int, str, http.client.HTTPMessage]:
        return self._ask("GET", path)

    def post(
        self, path: str, fields: Fields, *, htmx: bool = False
    ) -> tuple[int, str, http.client.HTTPMessage]:
        """Return status, body and headers; redirects are not followed."""
        token = self._cookies.get("csrftoken", "")
        body = urlencode([*fields, ("csrfmiddlewaretoken", token)])
        return self._ask("POST", path, body, htmx=htmx)

    def _ask(
        self, method: str, path: str, body: str | None = None, *, htmx: bool = False
    ) -> tuple[int, str, http.client.HTTPMessage]:
        headers = {
            "Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items()),
            "Content-Type": "application/x-www-form-urlencoded",
            **({"HX-Request": "true"} if htmx else {}),
        }
        with self._connected() as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            words = answer.read().decode(errors="replace")
        for line in answer.headers.get_all("Set-Cookie", []):
            kept = SimpleCookie(line)
            self._cookies |= {name: each.value for name, each in kept.items()}
        return answer.status, words, answer.headers

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.stack.port, timeout=60
        )
        try:
            yield connection
        finally:
            connection.close()
