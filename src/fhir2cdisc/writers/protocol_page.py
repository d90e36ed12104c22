"""The protocol-definition sheet as a page to read: Markdown, the same for the same settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

_INTRODUCTION = """\
What the study defines, setting by setting, as it was in force in this run. A setting is changed in
`study.toml` under its section and key; all of them are in `protocol.csv`, too.
"""


def protocol_page(study: str, settings: pd.DataFrame) -> str:
    """The settings that differ from their defaults as sentences, then all of them by section.

    `settings` has the columns of `protocol.Setting`, one row a setting.
    """
    changed = settings[settings["differs"] == "Y"]
    listed = [
        f"- {sentence} (`{name}`, by default {_shown(default)})"
        for name, sentence, default in zip(
            changed["setting"], changed["sentence"], changed["default"], strict=True
        )
    ]
    section = settings["setting"].str.partition(".")[0]
    parts = [
        f"# Protocol definitions of {study}",
        _INTRODUCTION,
        "## What differs from the defaults",
        "\n".join(listed or ["Nothing."]) + "\n",
    ]
    for name in section.unique():
        parts += [f"## {name}", _table(settings[section == name])]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _table(settings: pd.DataFrame) -> str:
    names = ("setting", "in force", "default", "that means", "source")
    columns = ("setting", "value", "default", "sentence", "source")
    rows = zip(*(settings[column] for column in columns), strict=True)
    cells = [
        (f"`{name.rpartition('.')[2]}`", _shown(value), _shown(default), sentence, source)
        for name, value, default, sentence, source in rows
    ]
    return "\n".join(map(_line, _with_head(names, cells)))


def _with_head(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    return [names, ["---"] * len(names), *rows]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: str) -> str:
    return value if value else "(none)"
