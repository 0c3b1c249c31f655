"""The command line's grammar. Each leaf sets `command`, a function of a Call."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from jobs.audit import Outcome
from jobs.audit.exports import FORMATS
from jobs.audit.log import LEFT_OUT
from jobs.commandline import (
    copies,
    domains,
    hosts,
    leftovers,
    log,
    processes,
    starting,
    strangers,
    users,
    values,
)
from jobs.commandline.answer import Command
from jobs.commandline.asked import add_copy_options, add_disk
from jobs.lifecycle import State
from jobs.models import Host
from jobs.roles import ROLES

EXIT_STATUSES = (
    "Exit status: 0 if it did what it was asked (with --wait: reached), 1 if it was "
    "refused or failed, 2 for a wrong command line, 3 if the time to wait was over."
)


class Parser(CommandParser):
    """A parser whose errors are its own leaf's, and JSON too where that is asked."""

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; arguments that nobody knows are an error here, at their leaf."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> Any:
        """End with the usage, the message and status 2."""
        if self.called_from_command_line and "--json" in sys.argv:
            print(json.dumps({"error": message}))
        return super().error(message)


Subparsers = Any  # argparse has no public name for what add_subparsers returns


def add_commands(parser: CommandParser) -> None:
    """Add every command to `parser`."""
    parser.epilog = EXIT_STATUSES
    nouns = _below(parser, "noun", parser_class=Parser)
    for name, what, add in (
        ("host", "libvirt hosts", _add_host_commands),
        ("domain", "domains and their disks", _add_domain_commands),
        ("job", "copy jobs", _add_job_commands),
        ("leftover", "what jobs left on the hosts' storage", _add_leftover_commands),
        ("audit", "the audit log", _add_audit_commands),
        ("user", "users and their roles", _add_user_commands),
        ("process", "what is at work", _add_process_commands),
    ):
        noun = nouns.add_parser(name, help=what, description=what, allow_abbrev=False)
        add(_below(noun, "act"))


def _below(parser: CommandParser, what: str, **kwargs: Any) -> Subparsers:
    return parser.add_subparsers(
        dest=what, metavar=what.upper(), required=True, **kwargs
    )


def _leaf(acts: Subparsers, name: str, command: Command) -> CommandParser:
    what = (command.__doc__ or "").strip().splitlines()[0]
    leaf: CommandParser = acts.add_parser(
        name, help=what, description=what, epilog=EXIT_STATUSES, allow_abbrev=False
    )
    leaf.set_defaults(command=command)
    leaf.add_argument("--json", action="store_true", help="print JSON")
    leaf.add_argument(
        "--as",
        dest="console_user",
        metavar="USER",
        help="act as this console user, with that user's rights",
    )
    return leaf


def _add_reason(leaf: CommandParser, *, required: bool = False) -> None:
    leaf.add_argument(
        "--reason",
        default="",
        required=required,
        metavar="TEXT",
        help="kept in the audit log",
    )


def _add_wait(leaf: CommandParser, until: str) -> None:
    leaf.add_argument("--wait", action="store_true", help=f"wait until {until}")
    _add_timeout(leaf)


def _add_timeout(
    leaf: CommandParser,
    what: str = "wait no longer than so many seconds; a job goes on all the same",
) -> None:
    leaf.add_argument("--timeout", type=values.seconds, metavar="S", help=what)


# --- host, domain --------------------------------------------------------------------


def _add_host_commands(acts: Subparsers) -> None:
    add = _leaf(acts, "add", hosts.add)
    add.add_argument("name")
    _add_host_fields(add, new=True)
    add.add_argument("--disabled", action="store_true", help="do not look at it yet")
    add.add_argument("--production", action="store_true", help=_PRODUCTION)
    _add_reason(add)
    edit = _leaf(acts, "edit", hosts.edit)
    edit.add_argument("host")
    edit.add_argument("--name", help="call it so from now on")
    _add_host_fields(edit, new=False)
    for name, what in (("enabled", "look at it"), ("production", _PRODUCTION)):
        edit.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=what)
    _add_reason(edit)
    _leaf(acts, "list", hosts.list_all)
    _leaf(acts, "show", hosts.show).add_argument("host")
    for name, command, until in (
        ("sync", hosts.sync, "the inventory is read (at most 300 s)"),
        ("test", hosts.test, "the host answered or did not (at most 60 s)"),
    ):
        leaf = _leaf(acts, name, command)
        leaf.add_argument("host")
        _add_wait(leaf, until)


_PRODUCTION = "pages ask for the domain's name before a copy on it is ended"


def _add_host_fields(leaf: CommandParser, *, new: bool) -> None:
    """Add the fields of an address; those not given to a host that is there stay."""
    nothing = "" if new else None
    mode = Host.Mode.SYSTEM.value if new else None
    site = "default" if new else None
    leaf.add_argument("--transport", choices=Host.Transport.values, required=new)
    leaf.add_argument("--host-name", default=nothing, help="for ssh and tls")
    leaf.add_argument("--port", type=int, help="for ssh and tls")
    leaf.add_argument("--user", default=nothing, help="for ssh: the account there")
    leaf.add_argument("--mode", choices=Host.Mode.values, default=mode)
    leaf.add_argument("--socket", default=nothing, help="for socket: its path")
    leaf.add_argument("--site", default=site, help="a site that exists")


def _add_domain_commands(acts: Subparsers) -> None:
    _leaf(acts, "list", domains.list_all).add_argument("--host")
    show = _leaf(acts, "show", domains.show)
    show.add_argument("host")
    show.add_argument("domain", help="name or UUID")


# --- job -----------------------------------------------------------------------------


def _add_job_commands(acts: Subparsers) -> None:
    _add_start(acts)
    jobs = _leaf(acts, "list", copies.list_all)
    jobs.add_argument("--state", choices=State.values, action="append")
    jobs.add_argument("--host")
    jobs.add_argument("--active", action="store_true", help="only those not ended")
    jobs.add_argument("--flagged", action="store_true", help="reached a limit")
    jobs.add_argument("--limit", type=values.count, default=100, metavar="N")
    _leaf(acts, "foreign", strangers.list_all).add_argument("--host")
    adopt = _leaf(acts, "adopt", strangers.adopt)
    add_disk(adopt)
    _add_reason(adopt)
    _add_wait(adopt, "it is mirroring")
    _with_job(_leaf(acts, "show", copies.show))
    watch = _with_job(_leaf(acts, "watch", copies.watch))
    watch.add_argument(
        "--until",
        choices=("ready", "end"),
        default="end",
        help="what to wait for; the end must be a good one (default: end)",
    )
    _add_timeout(watch)
    start_now = _with_job(_leaf(acts, "start-now", copies.start_now))
    start_now.set_defaults(verb="start")
    _add_reason(start_now)
    _add_wait(start_now, "it is mirroring, or pivoted or finished as it was asked for")
    for verb in ("pivot", "finish", "cancel"):
        leaf = _with_job(_leaf(acts, verb, copies.act))
        leaf.set_defaults(verb=verb)
        if verb == "finish":
            leaf.add_argument(
                "--consistent",
                action=argparse.BooleanOptionalAction,
                help="freeze the guest's file systems meanwhile, or not; default: as "
                "the job was asked for",
            )
        _add_reason(leaf)
        _add_wait(leaf, "it is done")
    speed = _with_job(_leaf(acts, "speed", copies.speed))
    speed.add_argument(
        "bandwidth", type=values.size, help="such as 100MiB; 0 is no limit"
    )
    _add_reason(speed)
    _add_wait(speed, "it is in force, or was refused")


def _with_job(leaf: CommandParser) -> CommandParser:
    leaf.add_argument("job", type=int, help="the job's number")
    return leaf


def _add_start(acts: Subparsers) -> None:
    start = _leaf(acts, "start", starting.start)
    add_copy_options(start)
    start.add_argument(
        "--at",
        type=values.start_time,
        metavar="TIME",
        help="start then: 02:00 (the next one), 2026-11-27T02:00; in UTC, or with an "
        "offset such as +01:00",
    )
    instead = start.add_mutually_exclusive_group()
    instead.add_argument(
        "--print-xml", action="store_true", help="print the XML and start nothing"
    )
    instead.add_argument(
        "--dry-run", action="store_true", help="check it on the host and start nothing"
    )
    _add_reason(start)
    _add_wait(start, "it is mirroring, or pivoted or finished as --when-ready says")
    check = _leaf(acts, "check", starting.check)
    add_copy_options(check)
    _add_reason(check)
    _add_timeout(check, "wait no longer than so many seconds for the host's answer")


# --- leftover ------------------------------------------------------------------------


def _add_leftover_commands(acts: Subparsers) -> None:
    listed = _leaf(acts, "list", leftovers.list_all)
    listed.add_argument("--host")
    listed.add_argument("--all", action="store_true", help="those removed, too")
    listed.add_argument("--limit", type=values.count, default=100, metavar="N")
    _with_leftover(_leaf(acts, "show", leftovers.show))
    remove = _with_leftover(_leaf(acts, "remove", leftovers.remove))
    _add_reason(remove, required=True)
    _add_wait(remove, "it is removed, or was refused (at most 240 s)")
    _add_reason(_with_leftover(_leaf(acts, "withdraw", leftovers.withdraw)))


def _with_leftover(leaf: CommandParser) -> CommandParser:
    leaf.add_argument("leftover", type=int, help="its number")
    return leaf


# --- audit, user ---------------------------------------------------------------------


def _add_audit_commands(acts: Subparsers) -> None:
    entries = _with_filters(_leaf(acts, "list", log.list_all))
    entries.add_argument("--limit", type=values.count, default=50, metavar="N")
    verify = _leaf(acts, "verify", log.verify)
    verify.add_argument(
        "--file", type=Path, metavar="EXPORT", help="an export, instead of the database"
    )
    export = _with_filters(_leaf(acts, "export", log.export))
    export.add_argument("--format", choices=FORMATS, default="jsonl")
    export.add_argument("--since", type=values.moment, metavar="TIME")
    export.add_argument(
        "--until", type=values.moment, metavar="TIME", help="only what was before it"
    )
    export.add_argument(
        *("-o", "--output"),
        type=Path,
        metavar="FILE",
        help="write to a file; --json then tells what is in it",
    )


def _with_filters(leaf: CommandParser) -> CommandParser:
    leaf.add_argument("--actor")
    leaf.add_argument("--action")
    leaf.add_argument("--outcome", choices=Outcome.values)
    leaf.add_argument("--job", type=int)
    leaf.add_argument(
        "--without",
        choices=LEFT_OUT,
        help="leave out sign-ins and sign-outs that succeeded",
    )
    return leaf


def _add_user_commands(acts: Subparsers) -> None:
    add = _leaf(acts, "add", users.add)
    add.add_argument("name")
    add.add_argument("--role", choices=ROLES, required=True)
    add.description = (
        f"{add.description} The password comes from {users.PASSWORD_VARIABLE}, else "
        "from standard input."
    )
    _leaf(acts, "list", users.list_all)


def _add_process_commands(acts: Subparsers) -> None:
    _leaf(acts, "list", processes.list_all)
    _leaf(acts, "check", processes.check)
