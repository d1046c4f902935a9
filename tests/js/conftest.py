"""One browser page for the tests of the ES modules; without a browser they are skipped, which fails in CI."""

from collections.abc import Iterator

import pytest

from tests.browser.lab import find_browser
from tests.js.modules import Modules


@pytest.fixture(scope="session")
def modules() -> Iterator[Modules]:
    if find_browser() is None:
        pytest.skip("no Chromium or Chrome found: install one, or run `playwright install chromium`")
    with Modules() as modules:
        yield modules
