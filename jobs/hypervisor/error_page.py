"""docs/errors.md, made from the tables: `python -m jobs.hypervisor.error_page`.

It prints the page; a test holds the one in docs to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs.hypervisor.error_table import SECTIONS, Row, Section, code_name
from jobs.hypervisor.reasons import KNOWN, UNKNOWN, Reason

_HEAD = """\
# Errors

What the console says when a host refuses something, by what libvirt said. Each error
that the console shows has a cause and a remedy, and keeps libvirt's number and its own
words: look either of them up here. *Again* says whether the same request may well
succeed later by itself.

libvirt uses most of its numbers for several things, so the first row whose number and
words fit is the one that counts.

<!-- Made by: python -m jobs.hypervisor.error_page > docs/errors.md -->
"""

_QEMU = """
## Copies that fail while they run

libvirt reports these only as "failed". The reason is QEMU's own and comes with the
event that the listener hears; the job shows it as *QEMU: …*. Where nobody listened, the
job shows the *likely cause* instead, from what lay at the destination afterwards: its
size, its format, the free space. A likely cause is called one wherever it is shown.

| QEMU says | Cause | What to do | Again |
|---|---|---|---|
"""

_ROW = "| {} | {} | {} | {} | {} |\n"


def page() -> str:
    """Return docs/errors.md."""
    return "".join([_HEAD, *map(_section, SECTIONS), _QEMU, *_reasons()])


def _section(section: Section) -> str:
    title = f"\n## {section.title}\n\n"
    head = _ROW.format("Number", "libvirt says", "Cause", "What to do", "Again")
    return title + head + "|---|---|---|---|---|\n" + "".join(map(_row, section.rows))


def _row(row: Row) -> str:
    retryable = row.kind.retryable if row.retryable is None else row.retryable
    return _ROW.format(
        ", ".join(f"{code} {code_name(code)}" for code in row.codes) or "any",
        _cell(row.said),
        row.cause or row.kind.cause,
        row.remedy or row.kind.remedy,
        "yes" if retryable else "no",
    )


def _reasons() -> Iterator[str]:
    for reason in KNOWN:
        where = " of a server" if reason.network else ""
        yield _reason(reason, ", ".join(map(_cell, reason.said)) + where)
    yield _reason(UNKNOWN, "anything else")


def _reason(reason: Reason, said: str) -> str:
    again = "yes" if reason.retryable else "no"
    return f"| {said} | {reason.cause}. | {reason.remedy} | {again} |\n"


def _cell(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`"


if __name__ == "__main__":
    print(page(), end="")
