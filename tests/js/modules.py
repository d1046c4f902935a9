"""The widget's ES modules, as they lie on disk, in a real browser."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route

from tests.browser.lab import launched_browser

ORIGIN = "http://modules.test"  # never looked up: every request is answered from disk
WIDGETS = Path(__file__).parents[2] / "cnnviz" / "widgets"
FOLDERS = {
    "js": WIDGETS / "js",
    "live_plot": WIDGETS / "live_plot",
    "harness": Path(__file__).parent,
}


class Modules:
    """A page that calls the modules, in a thread of its own: Playwright allows one browser per thread.

    ``replaced`` maps a module's name to (what stands in it, what to read instead): a mistake put in on purpose.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> Modules:
        self._thread.submit(self._open).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.submit(self._manager.__exit__, None, None, None).result()
        self._thread.shutdown()

    def call(self, name: str, argument: Any, replaced: dict[str, tuple[str, str]] | None = None) -> Any:
        """Call a function of harness.js with a JSON value; a fresh page where something is replaced."""
        return json.loads(self._thread.submit(self._call, name, json.dumps(argument), replaced).result())

    def _open(self) -> None:
        self._manager = launched_browser()
        self._browser = self._manager.__enter__()
        self._page = self._new_page({})

    def _new_page(self, replaced: dict[str, tuple[str, str]]) -> Page:
        page = self._browser.new_page()
        page.route(f"{ORIGIN}/**", lambda route: _answer(route, replaced))
        page.goto(ORIGIN)
        return page

    def _call(self, name: str, argument: str, replaced: dict[str, tuple[str, str]] | None) -> str:
        page = self._new_page(replaced) if replaced else self._page
        code = """async ([name, text]) => {
            const harness = await import("/harness/harness.js");
            return JSON.stringify(await harness[name](JSON.parse(text)));
        }"""
        try:
            return page.evaluate(code, [name, argument])
        finally:
            if replaced:
                page.close()


def _answer(route: Route, replaced: dict[str, tuple[str, str]]) -> None:
    folder, _, name = route.request.url.removeprefix(f"{ORIGIN}/").partition("/")
    if not name:
        route.fulfill(body="<!doctype html><title>modules</title>", content_type="text/html")
        return
    text = (FOLDERS[folder] / name).read_text(encoding="utf-8")
    if name in replaced:
        old, new = replaced[name]
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        text = text.replace(old, new)
    route.fulfill(body=text, content_type="text/javascript; charset=utf-8")
