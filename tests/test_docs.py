"""The pages of methods, networks and datasets say what docstrings and signatures say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kdbench.catalog.find import DATASETS, METHODS, NETWORKS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    found = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert found is not None
    assert found.loader is not None
    module = sys.modules["generate"] = importlib.util.module_from_spec(found)  # dataclasses look it up
    found.loader.exec_module(module)
    return module


def test_pages_are_those_that_the_command_makes(generate: ModuleType) -> None:
    wanted = generate.pages()
    folders = {ROOT / path.rpartition("/")[0] for path in wanted}
    assert {str(path.relative_to(ROOT)) for folder in folders for path in folder.glob("*.md")} == set(wanted)
    old = [path for path, text in wanted.items() if (ROOT / path).read_text(encoding="utf-8") != text]
    assert not old, "run `python docs/generate.py`"


def test_every_method_network_and_dataset_has_a_page_with_every_setting_explained(generate: ModuleType) -> None:
    pages = generate.pages()
    for kind, catalog in (("methods", METHODS), ("networks", NETWORKS), ("datasets", DATASETS)):
        for name in catalog.names():
            page = pages[f"docs/{kind}/{name}.md"]
            assert "::\n" not in page
            assert "``" not in page.replace("```", "")
            rows = {line.split(" | ")[0]: line for line in page.splitlines() if line.startswith("| `")}
            for setting in catalog.schema(name):
                assert not rows[f"| `{setting}`"].endswith("|  |"), f"{name}: {setting} is not explained"


def test_a_docstring_becomes_markdown(generate: ModuleType) -> None:
    class Documented:
        """Do <this>.

        Formula, with ``a`` and *b*::

            L = a

              + b

        Text that goes
        on | here.

        ====  =========
        part  layers
        ====  =========
        one   linear,
              ReLU
        two   none
        ====  =========

        Args:
            a: first,
                and more.
            b: second.

        Raises:
            ValueError: never.

        Deviations: none known.
        """

    doc = generate.Docstring.of(Documented)
    assert doc.summary == r"Do \<this>."
    assert doc.body == [
        r"**Formula**, with `a` and \*b\*:",
        "```\nL = a\n\n  + b\n```",
        "Text that goes on | here.",
        "| part | layers |\n| --- | --- |\n| one | linear, ReLU |\n| two | none |",
    ]
    assert doc.arguments == {"a": "first, and more.", "b": "second."}
    assert doc.errors == {"ValueError": "never."}
    assert doc.deviations == "none known."
