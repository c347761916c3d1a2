"""A report needs nothing but itself, escapes what users write, and its tables sort and filter in a browser."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kdbench.results import Asked, Entry
from kdbench.results.report import Command, report_html
from kdbench.results.seen import Seen

STUDENT = "student alone"
ODD = "<script>alert(1)</script> & \"q\" 'p' </table>"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def report(make_run: Any, asked: Asked) -> Callable[..., str]:
    """Of eleven methods and an oddly named one on nine people, at two seeds."""

    def made(entries: list[Entry] | None = None) -> str:
        gains = {f"method {number}": number / 100 for number in (9, 2, 7, 1, 3, 4, 5, 6, 8)}
        gains |= {"method 10": -0.05, ODD: -0.12}
        entries = entries or [
            make_run(row, seed, [0.4 + person / 20 + gain + seed / 1000 for person in range(9)])
            for row, gain in {"teacher": 0.2, STUDENT: 0.0, **gains}.items()
            for seed in (0, 1)
        ]
        seen = Seen(entries, asked, "1", "accuracy")
        return report_html(seen, [Command("Run <it>:", "kdbench run -c 'a&b'")], ["accuracy"], "a <b>")

    return made


class Tags(HTMLParser):
    """Tags that are open, and what a page would load."""

    VOID = ("meta", "link", "input", "img", "br", "path", "use", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loads += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href") and not str(v).startswith("#")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_report_is_whole_loads_nothing_and_escapes_what_users_write(report: Any) -> None:
    text = report()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.scripts == 1
    assert all(each.startswith("data:") for each in tags.loads)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", text)
    assert ODD not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "kdbench run -c 'a&amp;b'" in text.replace("&#x27;", "'")
    assert "<title>kdbench: a &lt;b&gt;</title>" in text


def test_a_report_has_the_answer_scores_statistics_views_figures_and_how_to_make_it_again(report: Any) -> None:
    text = report()
    assert text.index('class="answer"') < text.index('id="scores"') < text.index('id="figures"')
    for part in ("statistics", "failures", "harm", "people", "classes", "curves", "protocol", "costs", "again"):
        assert f'<h2 id="{part}">' in text
    assert text.count("<svg ") + text.count("<img ") >= 4
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert report() == text


def test_a_report_of_little_is_a_report(report: Any, make_entry: Any) -> None:
    for entries in (
        [make_entry(row, 0, None) for row in (STUDENT, "kd")],
        [make_entry(row, 0, None, status="failed", reason="<boom>") for row in (STUDENT, "kd")],
        [make_entry("kd", 0, 0.5)],
        [make_entry(STUDENT, 0, 0.5)],
    ):
        text = report(entries)
        tags = Tags()
        tags.feed(text)
        assert tags.open == []
        assert "No answer" in text


PROBE = """<script>
const failed = [], told = {};
window.onerror = (message) => failed.push(message);
console.error = (...words) => failed.push(words.join(" "));
window.addEventListener("load", () => {
  const tables = [...document.querySelectorAll("table.sheet")];
  const table = tables.find((each) => each.closest("section").querySelector("input"));
  const first = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
  const heads = table.tHead.rows[0].cells;
  heads[2].querySelector("button").click(); told.up = first();
  heads[2].querySelector("button").click(); told.down = first();
  const spanned = (each) => {
    const names = [...each.tHead.rows[0].cells].map((head) => head.textContent), gain = names.indexOf("gain");
    return names[gain + 1] === "95 %" ? gain + 1 : -1;
  };
  const long = tables.find((each) => spanned(each) >= 0), span = spanned(long);
  long.tHead.rows[0].cells[span].querySelector("button").click();
  told.spans = [...long.tBodies[0].rows].map((row) => row.cells[span].textContent);
  heads[0].querySelector("button").click(); told.names = first();
  const search = table.closest("section").querySelector("input");
  search.value = "TEACHER reference"; search.dispatchEvent(new Event("input")); told.found = first();
  told.wide = document.documentElement.scrollWidth <= window.innerWidth;
  told.failed = failed;
  document.body.textContent = "TO" + "LD" + JSON.stringify(told) + "END";
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1280, 500])
def test_tables_sort_and_filter_in_a_browser_without_an_error(report: Any, tmp_path: Path, width: int) -> None:
    page = tmp_path / "report.html"
    page.write_text(report().replace("<head>", f"<head>{PROBE}"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'user'}"]
    command = [str(CHROMIUM), *flags, f"--window-size={width},900", "--dump-dom", page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"TOLD(.*)END", ended.stdout, re.DOTALL)
    assert found
    told = json.loads(unescape(found[1]))
    assert told["failed"] == []
    assert told["wide"], "the page itself scrolls sideways"
    assert told["up"][0].startswith("<script>")
    assert told["up"][-1] == "teacher"
    assert told["down"] == told["up"][::-1]
    begins = [float(span.split(" to ")[0]) for span in told["spans"] if " to " in span]
    assert len(begins) > 9
    assert begins == sorted(begins)
    assert told["names"].index("method 2") < told["names"].index("method 10")
    assert told["found"] == ["teacher"]


@pytest.mark.slow
def test_a_report_of_two_thousand_cells_is_quick_and_not_large(make_run: Any, asked: Asked) -> None:
    entries = [
        make_run(
            row, seed, [0.5 + person / 40 + seed / 1000 + len(row) / 500 for person in range(9)], dataset=f"set {d}"
        )
        for d in range(10)
        for row in ["teacher", STUDENT, *("m" * number for number in range(1, 32))]
        for seed in range(6)
    ]
    assert len(entries) == 1980
    began = time.process_time()
    text = report_html(Seen(entries, asked, "1", "accuracy"), [], ["accuracy"], "large")
    assert time.process_time() - began < 20
    assert len(text.encode()) < 15e6
