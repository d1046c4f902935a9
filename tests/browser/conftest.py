"""One JupyterLab and one browser for all tests in this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cnnviz.__main__ import in_ci
from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage, LabServer, find_browser, launched_browser, notebook_of

WINDOW = {"width": 1280, "height": 900}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            # Three programs share two cores: what fails once is tried once more, and the summary lists it as RERUN.
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if find_browser() is None:
        missing = "no Chromium or Chrome found: install one, or run `playwright install chromium`"
        if in_ci():
            pytest.fail(missing)
        pytest.skip(missing)
    with launched_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with LabServer(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser page with nothing in it."""
    context = browser.new_context(viewport=WINDOW)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """A window for all pages of JupyterLab, so that its scripts are loaded once."""
    context = browser.new_context(viewport=WINDOW)
    yield context
    context.close()


@pytest.fixture(scope="session")
def scratch(window: BrowserContext, server: LabServer) -> LabPage:
    """The one notebook that the widget tests share, with its kernel."""
    lab = LabPage(window.new_page(), server)
    lab.open(server.add(notebook_of(""), "scratch.ipynb"), workspace="scratch")
    lab.ask(
        "import ipywidgets, numpy as np, torch\nfrom torch.nn import functional as F\nfrom cnnviz import SlidingKernel"
    )
    return lab


@pytest.fixture
def lab(scratch: LabPage, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """The scratch notebook, empty; at the end of the test nothing may have gone wrong in the page."""
    scratch.clear()
    scratch.forget_errors()
    yield scratch
    scratch.screenshot(request.node.name)
    assert scratch.errors == []


@pytest.fixture
def show(lab: LabPage) -> Callable[..., KernelView]:
    """Show a `SlidingKernel` with these arguments, called w in Python, in the scratch notebook."""

    def shown(arguments: str = "") -> KernelView:
        return KernelView.in_cell(lab.run_cell(f"w = SlidingKernel({arguments})\nw"))

    return shown


@pytest.fixture
def fresh_lab(window: BrowserContext, server: LabServer) -> Iterator[LabPage]:
    """A page for a notebook with a kernel of its own, for tests that reload it or restart the kernel."""
    lab = LabPage(window.new_page(), server)
    yield lab
    lab.shut_down()
    lab.page.close()
    assert lab.errors == []
