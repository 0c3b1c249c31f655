"""What the documents say of the command line is what it does."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.management import CommandParser

from jobs.commandline.asked import KINDS
from jobs.commandline.parser import add_commands
from jobs.hypervisor import destination_to_json, from_xml, to_xml
from jobs.models import CopyJob, Disk, Leftover
from jobs.preflight import Finding, Level
from tests.cli.conftest import Run, Says

DOCS = Path(__file__).parents[2] / "docs"
# An example on the command line, and below it the XML that it comes to.
_EXAMPLE = re.compile(r"```sh\n(blockcopy job start [^`]*)```\n\n```xml\n([^`]*)```")
EXAMPLES = _EXAMPLE.findall((DOCS / "destinations.md").read_text())

# All options of virsh 12.2, as `virsh help blockcopy` and `virsh help blockjob` tell.
VIRSH = {
    "blockcopy": (
        *("path", "dest", "--bandwidth", "--shallow", "--reuse-external", "--blockdev"),
        *("--wait", "--verbose", "--timeout", "--pivot", "--finish", "--async"),
        *("--xml", "--format", "--raw", "--granularity", "--buf-size", "--bytes"),
        *("--transient-job", "--synchronous-writes", "--dest-is-zero", "--print-xml"),
    ),
    "blockjob": (
        *("--abort", "--async", "--pivot", "--info", "--raw", "--bytes", "bandwidth"),
    ),
}


def plain(xml: str) -> str:
    """Return XML without what is only its layout."""
    return ElementTree.canonicalize(xml, strip_text=True)


@pytest.mark.parametrize(("command", "xml"), EXAMPLES)
def test_an_example_comes_to_the_xml_below_it(
    blockcopy: Run, disk: Disk, redis: None, command: str, xml: str
) -> None:
    words = shlex.split(command.replace("\\\n", " "))[1:]

    done = blockcopy(*words, "--print-xml")

    assert done.status == 0, done.err
    assert plain(done.out) == plain(xml)
    assert not CopyJob.objects.exists()


@pytest.mark.parametrize("xml", [xml for _, xml in EXAMPLES])
def test_an_example_of_xml_can_be_given_as_it_is(xml: str) -> None:
    destination = from_xml(xml)

    assert plain(to_xml(destination)) == plain(xml)
    assert destination_to_json(destination)


def test_every_kind_has_an_example() -> None:
    shown = {word for command, _ in EXAMPLES for word in command.split()}

    assert shown >= set(KINDS)


def leaves(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    below: list[Any] = [
        action.choices.values()
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return [leaf for some in below for one in some for leaf in leaves(one)] or [parser]


def test_every_option_is_documented() -> None:
    parser = CommandParser()
    add_commands(parser)
    text = (DOCS / "cli.md").read_text()

    missing = {
        f"{leaf.prog}: {option}"
        for leaf in leaves(parser)
        for action in leaf._actions
        for option in action.option_strings
        if option.startswith("--") and not re.search(rf"{option}(?![\w-])", text)
    }

    assert len(leaves(parser)) > 20
    assert not missing


def test_the_list_of_commands_has_each_once() -> None:
    listed = (DOCS / "cli.md").read_text().split("```")[1]

    for name in ("verify", "export", "adopt", "speed", "withdraw"):
        assert len(re.findall(rf"\b{name}\b", listed)) == 1, name


def test_no_row_of_a_table_stands_alone() -> None:
    for page in DOCS.glob("*.md"):
        for block in page.read_text().split("\n\n"):
            rows = [row for row in block.splitlines() if row.startswith("|")]
            assert len(rows) != 1, (page.name, rows)
            assert not rows or set(rows[1]) <= set("|-: "), (page.name, rows[0])


@pytest.mark.parametrize("command", VIRSH)
def test_every_ability_of_virsh_has_its_row(command: str) -> None:
    text = (DOCS / "cli.md").read_text()
    section = text.split(f"### virsh {command}", 1)[1].split("\n#", 1)[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("|")]

    for option in VIRSH[command]:
        assert any(f"`{option}" in row for row in rows), option


def keys(value: Any) -> set[str]:
    """Return the keys of a JSON value, and of the lists in it."""
    if isinstance(value, list):
        return set().union(*map(keys, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    inner = ("findings", "problems", "leftovers", "check", "progress")
    return set(value).union(*(keys(value.get(name)) for name in inner))


@pytest.mark.usefixtures("redis")
def test_every_key_is_documented(
    blockcopy: Run, disk: Disk, host_says: Says, leftover: Leftover
) -> None:
    host_says(Finding("sparse_may_become_thick", Level.NOTICE, "It may."))
    target = ("alder", "web", "vda", "--to", "/srv/images/new.qcow2", "--json")
    told = [
        blockcopy("job", "check", *target).json,
        blockcopy("job", "start", *target).json,
        blockcopy("job", "start", *target).json,  # refused: the disk has a job
        blockcopy("job", "show", leftover.job_id, "--json").json,
        blockcopy("leftover", "list", "--json").json,
    ]

    text = (DOCS / "cli.md").read_text().split("## JSON", 1)[1]
    found = set().union(*map(keys, told))

    assert {"accepted", "used_by", "xml", "problems"} <= found
    assert {key for key in found if f"`{key}`" not in text} == {"error"}


def test_every_setting_is_documented() -> None:
    settings = (DOCS.parent / "blockcopy_web/settings.py").read_text()
    names = set(re.findall(r"env\.\w+\(\s*\"(\w+)\"", settings))
    text = (DOCS / "install.md").read_text()

    assert len(names) > 20
    assert {name for name in names if f"`{name}`" not in text} == {"BLOCKCOPY_DEBUG"}


@pytest.mark.parametrize(
    "page",
    [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))],
    ids=lambda p: p.name,
)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([\w-]+))?\)", page.read_text())

    for path, anchor in links:
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), anchor


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}
