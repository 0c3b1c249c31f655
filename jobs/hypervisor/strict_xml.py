"""XML that people wrote: bounded, without entities, and read to the last attribute."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from jobs.hypervisor.destination import DestinationError
from jobs.said import say

LONGEST_XML = 64 * 1024
DEEPEST_XML = 64
LONGEST_NAME = 60

# What is in another place than where many write it.
_ELSEWHERE = {("disk", tag): "source" for tag in ("auth", "encryption", "slices")}


def wrong(message: str) -> DestinationError:
    return DestinationError("xml", message)


def parse(text: str) -> Node:
    """The root. Raises DestinationError for what is too long, too deep or no XML."""
    if len(text.encode(errors="replace")) > LONGEST_XML:
        raise wrong(say("The XML is longer than 64 KiB: keep only the destination."))
    parser = ElementTree.XMLParser(target=_Bounded())  # noqa: S314  see _Bounded
    try:
        parser.feed(text)
        return Node(parser.close())
    except (ElementTree.ParseError, UnicodeError) as error:
        raise wrong(
            say("The XML cannot be read (%(error)s): correct it.", error=error)
        ) from error


class _Bounded(ElementTree.TreeBuilder):
    """Refuses entities by refusing what could declare them, and endless nesting."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise wrong(say("The XML declares a document type: remove <!DOCTYPE>."))

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        if self._depth > DEEPEST_XML:
            raise wrong(
                say(
                    "The XML is nested too deeply: %(deepest_xml)s elements at most.",
                    deepest_xml=DEEPEST_XML,
                )
            )
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


class Node:
    """An element of which everything has to be taken before `end` is content."""

    def __init__(self, element: Element) -> None:
        self.tag = element.tag[:LONGEST_NAME]
        self._text = (element.text or "").strip()
        self._attributes = dict(element.attrib)
        self._children = list(element)
        if any((child.tail or "").strip() for child in element):
            raise self._has_text()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left in it."""
        return not (self._text or self._attributes or self._children)

    def attribute(self, name: str, otherwise: str = "") -> str:
        return self._attributes.pop(name, otherwise)

    def one_of(self, name: str, allowed: tuple[str, ...], otherwise: str = "") -> str:
        """An attribute that has few values."""
        value = self.attribute(name, otherwise)
        if value not in allowed:
            raise wrong(self._not_one_of(name, allowed, value[:LONGEST_NAME]))
        return value

    def _not_one_of(self, name: str, allowed: tuple[str, ...], value: str) -> str:
        words = {"name": name, "tag": self.tag, "allowed": " or ".join(allowed)}
        if not value:
            return say("“%(name)s” of <%(tag)s> must be %(allowed)s.", **words)
        return say(
            "“%(name)s” of <%(tag)s> must be %(allowed)s, not “%(value)s”.",
            value=value,
            **words,
        )

    def number(self, name: str) -> int | None:
        text = self.attribute(name)
        what = say("“%(name)s” of <%(tag)s>", name=name, tag=self.tag)
        return whole_number(text, what) if text else None

    def text(self) -> str:
        text, self._text = self._text, ""
        return text

    def all(self, tag: str) -> list[Node]:
        found = [child for child in self._children if child.tag == tag]
        self._children = [child for child in self._children if child.tag != tag]
        return [Node(child) for child in found]

    def only(self, tag: str) -> Node | None:
        found = self.all(tag)
        if len(found) > 1:
            raise wrong(
                say(
                    "<%(parent)s> has more than one <%(tag)s>: keep one.",
                    parent=self.tag,
                    tag=tag,
                )
            )
        return found[0] if found else None

    def need(self, tag: str) -> Node:
        found = self.only(tag)
        if found is None:
            raise wrong(
                say("<%(parent)s> has no <%(tag)s>: add it.", parent=self.tag, tag=tag)
            )
        return found

    def end(self) -> None:
        """Refuse, by its name, whatever was not taken."""
        for name in self._attributes:
            raise wrong(
                say(
                    "The attribute “%(name)s” of <%(tag)s> cannot be used for a "
                    "destination: remove it.",
                    name=name[:LONGEST_NAME],
                    tag=self.tag,
                )
            )
        for child in self._children:
            place = _ELSEWHERE.get((self.tag, child.tag))
            remedy = say("remove it")
            if place:
                remedy = say("write it inside <%(place)s>", place=place)
            raise wrong(
                say(
                    "<%(tag)s> in <%(parent)s> cannot be used for a destination: "
                    "%(remedy)s.",
                    tag=child.tag[:LONGEST_NAME],
                    parent=self.tag,
                    remedy=remedy,
                )
            )
        if self._text:
            raise self._has_text()

    def _has_text(self) -> DestinationError:
        return wrong(say("There is text in <%(tag)s>: remove it.", tag=self.tag))


def whole_number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 19:
        raise wrong(say("%(what)s must be a whole number.", what=what))
    return int(text)
