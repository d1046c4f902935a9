"""One thread for small arrays; in CI nothing that needs a browser is left out: neither skipped nor not collected."""

from collections.abc import Iterator

import pytest
import torch

from cnnviz.__main__ import in_ci


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Many threads on small arrays wait for each other more than they compute: up to forty times longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and in_ci() and item.get_closest_marker("browser"):
        report.outcome = "failed"
        report.longrepr = f"a browser test may not be skipped in CI: {report.longrepr}"
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    options = session.config.option
    whole = session.config.args_source == pytest.Config.ArgsSource.TESTPATHS and not (
        options.keyword or options.markexpr
    )
    if whole and in_ci() and not any(item.get_closest_marker("browser") for item in session.items):
        raise pytest.UsageError("no browser test was collected, and in CI none may be left out")
