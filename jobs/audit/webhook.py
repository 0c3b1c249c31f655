"""Sending a checkpoint to a web address: bounded in time, whatever answers there."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT = 5.0  # seconds for each step
DEADLINE = 15.0  # seconds for all of it


class NotSent(OSError):
    """The other side did not take a checkpoint; the message says why."""


def post(address: str, line: str) -> None:
    """POST a line of JSON to `address` (http or https); no redirect is followed.

    NotSent when nobody takes it within DEADLINE seconds with a status of 2xx.
    """
    there = urlsplit(address)
    kind = HTTPSConnection if there.scheme == "https" else HTTPConnection
    connection = kind(there.hostname or "", there.port, timeout=TIMEOUT)
    path = f"{there.path or '/'}{'?' if there.query else ''}{there.query}"
    try:
        with closing(connection):
            status = _status(connection, path, line.encode())
    except (OSError, HTTPException, ValueError) as error:
        raise NotSent(f"{there.hostname} did not take it: {error!r}.") from error
    if not 200 <= status < 300:
        raise NotSent(f"{there.hostname} answered with status {status}.")


def _status(connection: HTTPConnection, path: str, body: bytes) -> int:
    connection.connect()
    # One that answers a byte at a time would else hold us for ever.
    end = threading.Timer(DEADLINE, _hang_up, [connection.sock])
    end.daemon = True
    end.start()
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    finally:
        end.cancel()


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
