"""The reader of marks finds what it is there to find: each kind of text that a page
can show without gettext."""

from __future__ import annotations

import pytest
from django.template import Context, Template
from django.utils import translation
from django.utils.translation import gettext, ngettext, pgettext

from tests.language.marks import LANGUAGE, marking, unmarked


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("<p>⟦All is well⟧</p>", []),
        ("<p>All is well</p>", ["p: All is well"]),
        ("<p>⟦All is⟧ well</p>", ["p: well"]),
        # A message may hold elements, and these hold data.
        ("<p>⟦on <a href='/'>alder</a> since ⟦5 min⟧ or so⟧</p>", []),
        ("<p>⟦on <a>alder</a>⟧, quite well</p>", ["p: , quite well"]),
        ("<a title='Show it'>⟦Go⟧</a>", ["a[title]: Show it"]),
        ("<input placeholder='A name'>", ["input[placeholder]: A name"]),
        ("<nav aria-label='Main'></nav>", ["nav[aria-label]: Main"]),
        ("<nav aria-label='⟦Main⟧'></nav>", []),
        ("<div data-announce='Copying'></div>", ["div[data-announce]: Copying"]),
        ("<input type='submit' value='Send'>", ["input[value]: Send"]),
        ("<input type='text' value='what somebody typed'>", []),
        ("<title>Jobs</title>", ["title: Jobs"]),
        ("<option value='a'>Any</option>", ["option: Any"]),
        ("<svg><desc>A line</desc></svg>", ["svg.desc: A line"]),
        ("<p>12:31, 1.5 · 7 %</p>", []),
        ("<p><bdi>web</bdi> <code>virsh</code></p><script>let a;</script>", []),
        ("<p><span class='small path'>/srv/web</span></p>", []),
        ("<p translate='no'>as it was <b>recorded</b></p>", []),
        ("<p>on alder</p>", ["p: on alder"]),
        ("<p>alder</p>", []),
        ("<p>so <br>it goes</p>", ["p: so", "p: it goes"]),
    ],
)
def test_texts_outside_the_marks_are_found(page: str, found: list[str]) -> None:
    assert unmarked(page, known={"alder"}, data_classes={"path"}) == found


def test_a_mark_that_is_cut_off_is_found() -> None:
    with pytest.raises(AssertionError):
        unmarked("<p>⟦All is</p>")


def test_every_way_to_translate_is_marked() -> None:
    page = Template(
        "{% load i18n %}<p>{% translate 'Name' %}, "
        "{% blocktranslate %}of {{ whom }}{% endblocktranslate %}</p>"
    )
    with marking(), translation.override(LANGUAGE):
        assert page.render(Context({"whom": "web"})) == "<p>⟦Name⟧, ⟦of web⟧</p>"
        assert gettext("Name") == "⟦Name⟧"
        assert ngettext("%d job", "%d jobs", 2) == "⟦%d jobs⟧"
        assert pgettext("of a file", "Name") == "⟦Name⟧"
    with translation.override(LANGUAGE):
        assert gettext("Name") != "⟦Name⟧"
