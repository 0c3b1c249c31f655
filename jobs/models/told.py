"""Rows that keep sentences for readers of any language."""

from __future__ import annotations

from typing import Any

from django.db import models

from jobs.said import Said, from_json, to_json


class Told(models.Model):
    """A row some of whose texts are sentences: English in their columns, as records
    are, and beside them how each was said, so that pages can tell it in any language.
    """

    # By a column's name what `said.to_json` makes of its text. A text that is not
    # there, or is another by now, is English for everybody.
    said = models.JSONField(null=True)

    class Meta:
        abstract = True

    def saying(self, **fields: Any) -> dict[str, Any]:
        """Return `fields` for an update of this row, with how their texts were said."""
        kept = {
            name: to_json(text)
            for name, text in fields.items()
            if isinstance(text, Said)
        }
        return {**fields, "said": {**(self.said or {}), **kept}} if kept else fields

    def told(self, name: str) -> str:
        """Return the text of the column `name` as it was said."""
        return from_json(getattr(self, name), (self.said or {}).get(name))
