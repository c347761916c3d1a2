"""Write a page for every method, network, dataset and reference: ``python docs/generate.py`` reads their docstrings."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from kdbench.architectures import Backbone
from kdbench.catalog.find import DATASETS, METHODS, NETWORKS, REFERENCES, Catalog
from kdbench.catalog.schema import Setting
from kdbench.commands.listing import chosen, legal_values, search_values, summary, year
from kdbench.data import Dataset
from kdbench.methods import KINDS, Method
from kdbench.spec.words import show_value

ROOT = Path(__file__).resolve().parent.parent
MADE = "Made by `python docs/generate.py` from"


def main() -> None:
    wanted = pages()
    for folder in {path.rpartition("/")[0] for path in wanted}:
        for old in Path(ROOT, folder).glob("*.md"):
            if str(old.relative_to(ROOT)) not in wanted:
                old.unlink()
    for path, text in wanted.items():
        Path(ROOT, path).parent.mkdir(exist_ok=True)
        Path(ROOT, path).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Every page by its path."""
    made = {"docs/methods/README.md": all_methods(), "docs/networks/README.md": all_networks()}
    made |= {"docs/datasets/README.md": all_datasets(), "docs/references/README.md": all_references()}
    made |= {f"docs/references/{name}.md": reference_page(name) for name in own(REFERENCES)}
    made |= {f"docs/datasets/{name}.md": dataset_page(name) for name in own(DATASETS)}
    made |= {f"docs/methods/{name}.md": method_page(name) for name in own(METHODS)}
    return made | {f"docs/networks/{name}.md": network_page(name) for name in own(NETWORKS)}


def own(catalog: Catalog[Any]) -> list[str]:
    """Names that are built in."""
    return [name for name in catalog.names() if catalog.get(name).__module__.startswith("kdbench.")]


def all_methods() -> str:
    kinds = sorted({METHODS.get(name).kind for name in own(METHODS)}, key=KINDS.index)
    parts = ["# Methods", "`kdbench show NAME` prints the same in a terminal."]
    for kind in kinds:
        rows = []
        for name in (name for name in own(METHODS) if METHODS.get(name).kind == kind):
            cls = METHODS.get(name)
            checked = ", ".join(f"`{reference}`" for reference in cls.checked_against)
            rows.append([f"[{name}]({name}.md)", summary(cls), ", ".join(cls.roles), year(cls), checked])
        parts += [
            f"## {kind.capitalize()}",
            table(["method", "what it does", "teacher", "year", "checked against"], rows),
        ]
    parts += [
        "Year: of the source. Checked against: names of reference numbers, computed from independent public code "
        "([index](../../tests/methods/oracles/index.json)); the tests compare values and gradients.",
        f"{MADE} the docstrings in `methods/`.",
    ]
    return "\n\n".join(parts) + "\n"


def all_networks() -> str:
    rows = []
    for name in own(NETWORKS):
        cls = NETWORKS.get(name)
        rows.append([f"[{name}]({name}.md)", cls.family, summary(cls), year(cls)])
    return (
        "\n\n".join(
            ["# Networks", table(["network", "family", "what it is", "year"], rows), f"{MADE} `architectures/`."]
        )
        + "\n"
    )


def all_datasets() -> str:
    rows = []
    for name in own(DATASETS):
        cls = DATASETS.get(name)
        about = None if cls.usage else cls().description  # where it is the user's, only the files tell
        shape = f"{len(about.channels)} x {about.length} at {about.rate:g} Hz" if about else ""
        rows.append([f"[{name}]({name}.md)", summary(cls), shape, str(len(about.classes)) if about else ""])
    parts = [
        "# Datasets",
        "`kdbench show NAME` prints the same in a terminal, `kdbench data list` which of them are here.",
        table(["dataset", "what it is", "a window", "classes"], rows),
        f"{MADE} `benchmark/data/`.",
    ]
    return "\n\n".join(parts) + "\n"


def all_references() -> str:
    rows = [
        [f"[{name}]({name}.md)", summary(REFERENCES.get(name)), year(REFERENCES.get(name))] for name in own(REFERENCES)
    ]
    said = (
        "What stands beside networks in a table and is none: fitted at once on the same people, windows and channels, "
        "not ranked and in no test. Named among the methods, as in `kdbench run -m forest`."
    )
    parts = ["# References", said, table(["reference", "what it is", "year"], rows), f"{MADE} `benchmark/references/`."]
    return "\n\n".join(parts) + "\n"


def reference_page(name: str) -> str:
    doc = Docstring.of(REFERENCES.get(name))
    parts = [*head(name, doc), *doc.body, *settings_table(REFERENCES.schema(name), doc), *doc.end()]
    return "\n\n".join([*parts, f"{MADE} `benchmark/references/{name}.py`."]) + "\n"


def dataset_page(name: str) -> str:
    cls, doc = DATASETS.get(name), Docstring.of(DATASETS.get(name))
    parts = [*head(name, doc), *([] if cls.usage else [table(["", ""], described(cls()))]), *doc.body]
    return (
        "\n\n".join([*parts, *settings_table(DATASETS.schema(name), doc), f"{MADE} `benchmark/data/{name}.py`."]) + "\n"
    )


def described(dataset: Dataset) -> list[list[str]]:
    """What a dataset with its default settings is, and what its archive is called."""
    about = dataset.description
    channels = ", ".join(f"`{channel.name}` ({channel.unit})" for channel in about.channels)
    facts = {
        "called": about.title,
        "channels": channels,
        "windows": f"{about.length} samples at {about.rate:g} Hz",
        "classes": ", ".join(about.classes),
        "people": f"those of `{dataset.people_of}`" if dataset.people_of else str(len(about.people) or ""),
        "read from": " or ".join(f"`{archive}`" for archive in dataset.archives),
        "licence": about.licence,
        "cite": about.citation,
        "page": about.url,
    }
    return [
        [what, prose(said) if what not in ("channels", "read from") else said] for what, said in facts.items() if said
    ]


def method_page(name: str) -> str:
    cls, doc = METHODS.get(name), Docstring.of(METHODS.get(name))
    facts = [["kind", cls.kind], ["teacher", ", ".join(cls.roles)], ["checked against", checked_against(cls)]]
    if cls.note:
        facts.append(["note", cls.note])
    parts = [*head(name, doc), table(["", ""], facts), *doc.body]
    presets = [[f"`{preset}`", chosen(settings) or "the defaults"] for preset, settings in cls.presets.items()]
    parts += settings_table(METHODS.schema(name), doc)
    if presets:
        parts += ["## Presets", f"Used as `{name}(preset=...)`.", table(["preset", "settings"], presets)]
    return "\n\n".join([*parts, *doc.end(), f"{MADE} `methods/{name}.py`."]) + "\n"


def network_page(name: str) -> str:
    cls, doc = NETWORKS.get(name), Docstring.of(NETWORKS.get(name))
    parts = [*head(name, doc), f"Family: {cls.family}.", *doc.body, *settings_table(NETWORKS.schema(name), doc)]
    return "\n\n".join([*parts, *doc.end(), f"{MADE} `architectures/{name}.py`."]) + "\n"


def head(name: str, doc: Docstring) -> list[str]:
    return [f"# {name}", doc.summary]


def checked_against(cls: type[Method]) -> str:
    """Reference numbers and the public code that they come from."""
    index = json.loads((ROOT / "tests/methods/oracles/index.json").read_text(encoding="utf-8"))["losses"]
    found = []
    for reference in cls.checked_against:
        sources = dict.fromkeys(entry.split("@")[0] for entry in index[reference]["references"])
        found.append(f"`{reference}`, of {', '.join(sources)}")
    return "; ".join(found) or "no independent code"


def settings_table(schema: Mapping[str, Setting], doc: Docstring) -> list[str]:
    rows = [
        [
            f"`{s.name}`",
            f"`{show_value(s.default)}`",
            legal_values(s) or {bool: "true, false"}.get(s.type, ""),
            search_values(s) or "no",
            s.meaning or doc.arguments.get(s.name, ""),
        ]
        for s in schema.values()
    ]
    headings = ["setting", "default", "legal", "searched", "meaning"]
    return ["## Settings", table(headings, rows) if rows else "None."]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(headings), ["---"] * len(headings), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


@dataclass
class Docstring:
    """A class's docstring, as Markdown.

    Args:
        summary: its first line.
        body: its paragraphs, code and tables.
        arguments: what is said of each argument.
        errors: what is said of each exception.
        deviations: its last paragraph.
    """

    summary: str
    body: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    deviations: str = ""

    @classmethod
    def of(cls, documented: type[Method] | type[Backbone] | type[Dataset]) -> Docstring:
        first, _, rest = (inspect.getdoc(documented) or "").partition("\n")
        doc = cls(prose(first))
        for block in blocks(rest.splitlines()):
            if block[0] in ("Args:", "Raises:"):
                (doc.arguments if block[0] == "Args:" else doc.errors).update(entries(block[1:]))
            elif block[0].startswith("Deviation"):
                doc.deviations = prose(" ".join(block).partition(":")[2].strip())
            elif block[0].startswith("==="):
                doc.body.append(simple_table(block))
            elif block[0].startswith("    "):
                doc.body.append("```\n" + textwrap.dedent("\n".join(block)) + "\n```")
            else:
                doc.body.append(labelled(prose(" ".join(block))))
        return doc

    def end(self) -> list[str]:
        raised = [f"- `{name}`: {text}" for name, text in self.errors.items()]
        said = self.deviations[:1].upper() + self.deviations[1:]
        return [*(["## Errors", "\n".join(raised)] if raised else []), "## Deviations from the source", said]


def blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Paragraphs, and sections and indented code with the empty lines that are within them."""
    block: list[str] = []
    for line in [*lines, ""]:
        inside = bool(block) and (block[0].startswith("    ") or block[0] in ("Args:", "Raises:"))
        if block and (line and not line.startswith("    ") if inside else not line):
            yield strip(block)
            block = []
        if line or inside:
            block.append(line)
    if block and any(block):
        yield strip(block)


def strip(block: list[str]) -> list[str]:
    while not block[-1]:
        block = block[:-1]
    return block


def entries(lines: Sequence[str]) -> dict[str, str]:
    """Names and descriptions of a section such as ``Args``."""
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        match = re.match(r"    (\w+): (.*)", line)
        if match:
            name = match[1]
            found[name] = match[2].strip()
        elif line.strip():
            found[name] += " " + line.strip()
    return {name: prose(text) for name, text in found.items()}


def simple_table(lines: Sequence[str]) -> str:
    """A table of reStructuredText whose rows may go on in lines with an empty first column."""
    starts = [match.start() for match in re.finditer("=+", lines[0])]
    spans = [slice(a, b) for a, b in pairwise([*starts, None])]
    rows: list[list[str]] = []
    for line in (line for line in lines if not line.startswith("===")):
        cells = [line[span].strip() for span in spans]
        if rows and not cells[0]:
            rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    return table(rows[0], [[prose(cell) for cell in row] for row in rows[1:]])


def labelled(text: str) -> str:
    """A paragraph whose first word is a label, as Formula or Source, with the label in bold."""
    return re.sub(r"^(Formula|Source|Defaults|Presets?|Reads|Schedule)\b([^:.]*:)", r"**\1**\2", text)


def prose(text: str) -> str:
    """Text of a docstring as Markdown: code in single backticks, and nothing else that would be read as markup."""
    text = re.sub(r"``(.+?)``", r"`\1`", text).removesuffix("::") + (":" if text.endswith("::") else "")
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*<]|(?<!\w)_|\](?=\())", r"\\\1", part) for part in parts
    )


if __name__ == "__main__":
    main()
