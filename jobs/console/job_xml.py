"""A copy's XML: the disk before, what was sent, the disk after, and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from xml.etree import ElementTree

from jobs.models import CopyJob, JobDefinition

When = JobDefinition.When


@dataclass(frozen=True)
class Line:
    """A line of XML, and whether the other side has it too."""

    text: str
    changed: bool = False


@dataclass(frozen=True)
class JobXml:
    """`before` and `after` line by line; empty where no look showed it."""

    sent: str
    before: tuple[Line, ...] = ()
    after: tuple[Line, ...] = ()

    @property
    def compared(self) -> bool:
        return bool(self.before and self.after)

    @property
    def same(self) -> bool:
        """Whether the disk's element is afterwards what it was before."""
        return self.compared and not any(
            line.changed for line in (*self.before, *self.after)
        )


def xml_of(job: CopyJob) -> JobXml:
    """Return what is known of a job's XML; one query."""
    known = {one.when: indented(one.xml) for one in job.definitions.all()}
    before = known.get(When.BEFORE, "").splitlines()
    after = known.get(When.AFTER, "").splitlines()
    sent = "" if job.adopted_at else indented(job.destination_xml)
    if not (before and after):
        return JobXml(sent, tuple(map(Line, before)), tuple(map(Line, after)))
    blocks = SequenceMatcher(a=before, b=after, autojunk=False).get_matching_blocks()
    kept_before = {block.a + n for block in blocks for n in range(block.size)}
    kept_after = {block.b + n for block in blocks for n in range(block.size)}
    return JobXml(
        sent, tuple(_lines(before, kept_before)), tuple(_lines(after, kept_after))
    )


def _lines(texts: list[str], kept: set[int]) -> Iterator[Line]:
    for number, text in enumerate(texts):
        yield Line(text, number not in kept)


def indented(xml: str) -> str:
    """Return `xml` indented; as it is when it can't be read."""
    try:
        # Written by ourselves or by libvirt, never by a guest.
        root = ElementTree.fromstring(xml)  # noqa: S314
    except ElementTree.ParseError:
        return xml
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
