"""MLflow's pages as `kdbench ui` opens them, read in a browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SHOTS = os.environ.get("KDBENCH_SHOTS")
"""A folder for pictures of the pages, as docs/images has them."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no chromium and chromedriver here"
    ),
]

FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --no-proxy-server --window-size=1280,860"


class Pages:
    """A browser that waits for what it is told to look for.

    Args:
        driver: of selenium.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: str) -> None:
        self.driver.get(page)

    def close_panel(self) -> None:
        """Close what MLflow shows beside the page, once it is there."""
        self.press("[data-component-id='mlflow.assistant.chat_panel.close']")

    @property
    def text(self) -> str:
        return str(self.driver.execute_script("return document.body ? document.body.innerText : ''"))

    def see(self, *words: str, seconds: float = 120) -> str:
        """The page's text, once it has all of the words."""
        end = time.monotonic() + seconds
        while missing := [word for word in words if word not in self.text]:
            assert time.monotonic() < end, f"{missing} not in the page: {self.text[:3000]}"
            time.sleep(0.3)
        return self.text

    def find(self, selector: str, seconds: float = 120) -> Any:
        """The first element of a CSS selector, once there is one."""
        end = time.monotonic() + seconds
        while not (found := self.driver.find_elements("css selector", selector)):
            assert time.monotonic() < end, f"no {selector}"
            time.sleep(0.3)
        return found[0]

    def press(self, selector: str) -> None:
        self.driver.execute_script("arguments[0].click()", self.find(selector))

    def shoot(self, name: str) -> None:
        if SHOTS:
            time.sleep(2)
            self.driver.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path / 'browser'}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield Pages(driver)
    driver.quit()


@pytest.fixture
def address(forks: Any, sizes: Any, copy: Path, until: Callable[..., None]) -> Iterator[str]:
    """The page that `kdbench ui` names, while it serves."""
    dataset, pair = sizes[1], sizes[3]
    small = ("-d", dataset, "-p", pair, "-S", "recipe.epochs=12", "-S", "recipe.batch_size=16", "--seeds", "2")
    assert forks("run", *small, "-m", "kd", "-m", "hmkd", "-j", 1).code == 0
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    process = forks.begin("ui", "--port", port)
    until(lambda: up(port), "the pages")
    said = re.search(r"open (\S+)", process.log.with_suffix(".out").read_text())
    assert said
    yield said[1]
    process.kill(signal.SIGTERM)
    process.wait()


def up(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_browser_shows_the_parent_its_children_a_chart_with_points_an_artifact_and_a_model(
    pages: Pages, address: str, sizes: Any
) -> None:
    dataset, pair = sizes[1], sizes[3]
    parent = f"{dataset} {pair}"
    pages.open(address)
    landing = pages.see(parent, "9 matching runs", "Answer (macro-F1")
    assert "Trace name" not in landing
    pages.close_panel()
    pages.press(".ag-row button[data-component-id*='runnamecellrenderer']")
    pages.see(f"hmkd seed 1 fold 0 {parent}", f"student alone seed 0 fold 0 {parent}")
    pages.shoot("mlflow-runs")

    base, _, query = address.partition("/runs")
    pages.open(f"{base}/runs{query}&compareRunsMode=CHART")
    pages.see("gain_macro_f1")
    bars = pages.find(".plotly .bars path, .plotly .barlayer path")
    assert bars.size["width"] > 0
    pages.shoot("mlflow-charts")

    pages.open(address)
    pages.see(parent)
    pages.press(".ag-row a[href*='/runs/']")
    overview = pages.see("About this run", "Child runs", "Macro-F1", "hmkd seed 0 fold 0")
    assert "<u>" not in overview
    pages.shoot("mlflow-parent")
    link = next(each for each in pages.driver.find_elements("css selector", "a") if each.text.startswith("hmkd seed 0"))
    child = link.get_attribute("href").partition("?")[0]

    pages.open(f"{child}/model-metrics?workflowType=machine_learning")
    pages.see("by_epoch")
    points = pages.find(".plotly .scatterlayer path.js-line").get_attribute("d")
    assert points.count("L") >= 11 or len(re.findall(r"[\d.]+,[\d.]+", points)) >= 12  # one an epoch
    pages.shoot("mlflow-curves")

    pages.open(f"{child}/artifacts?workflowType=machine_learning")
    pages.see("confusion.svg", "people.csv", "classes.csv")
    entry = next(each for each in pages.driver.find_elements("css selector", "span, div") if each.text == "classes.csv")
    entry.click()
    pages.see("precision", "recall")
    pages.shoot("mlflow-artifacts")

    pages.open(f"{child}?workflowType=machine_learning")
    pages.see("Model:", "mlp")
    model = pages.find("a[href*='/models/m-']").get_attribute("href")  # in the description
    pages.open(f"{model}?workflowType=machine_learning")
    assert "macro_f1" in pages.see("Register model", "Source run", "hmkd seed 0 fold 0")
    pages.shoot("mlflow-model")
    pages.open(f"{model}/artifacts?workflowType=machine_learning")
    pages.see("MLmodel", "input_example.json", "requirements.txt")
