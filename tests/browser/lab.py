"""A real JupyterLab and the pages opened in it: everything the browser tests and the benchmarks know about Lab.

What is known about the page of ``SlidingKernel`` is in `kernel_view`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

from cnnviz.__main__ import find_browser

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "artifacts"
TOKEN = "only-for-tests"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--force-device-scale-factor=1"]

# Lab asks a new kernel what its debugger does, and says so when the kernel ends before it has answered.
LABS_OWN = ("Could not restore the debugger state",)


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """A headless browser that asks nothing of the network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), headless=True, args=FLAGS)
        yield browser
        browser.close()


class LabServer:
    """JupyterLab in a process of its own, with a home, settings and a token that nobody else has."""

    def __init__(self, folder: Path, env: dict[str, str] | None = None) -> None:
        self.root = folder / "notebooks"
        self.root.mkdir(parents=True)
        self.log = folder / "lab.log"
        as_cnnviz_lab = {"MALLOC_ARENA_MAX": "2"}
        self.env = as_cnnviz_lab | os.environ | private_folders(folder / "home") | (env or {})

    def __enter__(self) -> LabServer:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.root,
            "IdentityProvider.token": TOKEN,
            "LabApp.expose_app_in_browser": True,
            "LabApp.news_url": None,
        }
        command = [sys.executable, "-m", "jupyterlab", "--no-browser"]
        command += [f"--{key}={value}" for key, value in options.items()]
        command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log, cwd=self.root)
        self._wait_until_it_answers()
        return self

    def _wait_until_it_answers(self, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"JupyterLab ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api?token={TOKEN}", timeout=2).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not answer in {seconds} s:\n{self.log.read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def address(self, name: str, workspace: str = "tests") -> str:
        return f"http://127.0.0.1:{self.port}/lab/workspaces/{workspace}/tree/{name}?reset&token={TOKEN}"

    def add(self, notebook: Path | dict, name: str | None = None) -> str:
        """Put a notebook (a file or its dict) into the server's folder and return its name there."""
        text = json.dumps(notebook) if isinstance(notebook, dict) else notebook.read_text(encoding="utf-8")
        name = name or (notebook.name if isinstance(notebook, Path) else "made.ipynb")
        (self.root / name).write_text(text, encoding="utf-8")
        return name


def private_folders(home: Path) -> dict[str, str]:
    """Environment variables that keep a Jupyter server out of the user's own settings, and ask for no news."""
    names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    names += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "XDG_CACHE_HOME", "MPLCONFIGDIR")
    folders = {name: home / name.lower() for name in names}
    for path in folders.values():
        path.mkdir(parents=True, exist_ok=True)
    news = folders["JUPYTERLAB_SETTINGS_DIR"] / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True, exist_ok=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    return {name: str(path) for name, path in folders.items()}


def notebook_of(*sources: str) -> dict:
    """An unexecuted notebook with these code cells."""
    cells = [
        {"cell_type": "code", "id": f"cell-{i}", "execution_count": None, "metadata": {}, "outputs": [], "source": text}
        for i, text in enumerate(sources)
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


# JavaScript that runs code in the kernel of the notebook on screen and returns what it printed.
_ASK_KERNEL = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code, store_history: false, stop_on_error: false });
  let text = "", error = "";
  future.onIOPub = message => {
    if (message.header.msg_type === "stream") text += message.content.text;
    if (message.header.msg_type === "error") error = message.content.ename + ": " + message.content.evalue;
  };
  await future.done;
  return { text, error };
}"""

# Waits until the notebook's kernel is connected and idle: the status light in the page fires too early.
_KERNEL_IDLE = """() => {
  const session = window.jupyterapp?.shell?.currentWidget?.sessionContext;
  return session?.isReady && session.session?.kernel?.status === "idle"
    && session.session.kernel.connectionStatus === "connected";
}"""

# Adds a code cell under the others and runs it; resolves when it has run.
_RUN_NEW_CELL = """async source => {
  const panel = window.jupyterapp.shell.currentWidget, cells = panel.content.model.sharedModel;
  cells.insertCell(cells.cells.length, { cell_type: "code", source });
  panel.content.activeCellIndex = cells.cells.length - 1;
  panel.content.mode = "command";
  await window.jupyterapp.commands.execute("notebook:run-cell");
  return cells.cells.length - 1;
}"""

_RUN_ALL = "() => window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => null)"

_CELL_ERRORS = """() => {
  const found = [];
  window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.forEach((cell, i) => {
    for (const output of cell.toJSON().outputs ?? [])
      if (output.output_type === "error") found.push(`cell ${i}: ${output.ename}: ${output.evalue}`);
  });
  return found;
}"""


# Keeps what the kernel reports outside any cell: an exception in a slider's callback appears nowhere in the notebook.
# ("No such comm ...": Lab asks a new kernel for its widgets before ipywidgets is imported there.)
_LISTEN = """() => {
  window.kernelReports = [];
  window.jupyterapp.shell.currentWidget.sessionContext.iopubMessage.connect((_, message) => {
    const { ename, evalue, name, text } = message.content;
    if (message.header.msg_type === "error") window.kernelReports.push(`kernel: ${ename}: ${evalue}`);
    if (message.header.msg_type !== "stream" || name !== "stderr") return;
    const said = text.split(/\\n/).filter(line => line && !line.startsWith("No such comm"));
    if (said.length) window.kernelReports.push(`kernel: ${said.join(" | ")}`);
  });
}"""


def patiently(script: str, seconds: int = 150) -> str:
    """The asynchronous function, which gives up after a while: a kernel's reply that is lost would never end it."""
    error = f"new Error('the kernel did not reply in {seconds} s')"
    late = f"new Promise((_, fail) => setTimeout(() => fail({error}), {1000 * seconds}))"
    return f"given => Promise.race([({script})(given), {late}])"


class KernelError(Exception):
    """Code sent with `LabPage.ask` raised in the notebook's kernel."""


class LabPage:
    """One browser page showing one notebook in JupyterLab."""

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(LABS_OWN):
            self.errors.append(f"console: {message.text} ({message.location.get('url', '')})")

    def open(self, name: str, workspace: str = "tests") -> LabPage:
        self.page.goto(self.server.address(name, workspace))
        self.wait_idle()
        self.page.evaluate(_LISTEN)
        return self

    def wait_idle(self, seconds: float = 60) -> LabPage:
        self.page.wait_for_function(_KERNEL_IDLE, timeout=seconds * 1000)
        return self

    def command(self, name: str, arguments: dict | None = None) -> None:
        """Run a command of JupyterLab and wait for it."""
        run = "([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => null)"
        self.page.evaluate(patiently(run), [name, arguments or {}])

    def run_again(self, index: int, times: int) -> None:
        """Run a cell that is there already, several times, each after the one before."""
        self.page.evaluate(
            """async ([index, times]) => {
              const panel = window.jupyterapp.shell.currentWidget;
              for (let run = 0; run < times; run++) {
                panel.content.activeCellIndex = index;
                await window.jupyterapp.commands.execute("notebook:run-cell");
              }
            }""",
            [index, times],
        )

    def start_cell(self, source: str) -> None:
        """Run a cell that goes on for longer than the caller wants to wait."""
        self.page.evaluate(f"source => {{ ({_RUN_NEW_CELL})(source); }}", source)
        busy = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
        self.page.wait_for_function(busy)

    def interrupt(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
        self.wait_idle()
        self.page.wait_for_timeout(500)  # the kernel drops what is sent in the moment after an error

    def run_all(self) -> LabPage:
        self.page.evaluate(patiently(_RUN_ALL, 400))
        return self.wait_idle(120)

    def cell_errors(self) -> list[str]:
        return self.page.evaluate(_CELL_ERRORS)

    def kernel_errors(self) -> list[str]:
        """Errors and stderr that the kernel sent since the page was opened."""
        return self.page.evaluate("() => window.kernelReports")

    def forget_errors(self) -> None:
        self.errors.clear()
        self.page.evaluate("() => { window.kernelReports = []; }")

    def cells(self) -> int:
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")

    def cell(self, index: int) -> Locator:
        """The cell with this number, scrolled into sight: Lab keeps the cells far from it out of the page."""
        self.page.evaluate(
            """async i => {
              const content = window.jupyterapp.shell.currentWidget.content;
              await content.scrollToItem(i, "smart");
              content.widgets[i].node.setAttribute("data-test-cell", i);
            }""",
            index,
        )
        return self.page.locator(f"[data-test-cell='{index}']")

    def run_cell(self, source: str) -> Locator:
        """Add a code cell at the end, run it, and return the cell."""
        return self.cell(self.page.evaluate(patiently(_RUN_NEW_CELL), source))

    def clear(self) -> None:
        """Remove every cell but one empty one, and what their widgets left in the kernel."""
        self.page.evaluate(
            """() => {
              const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
              cells.insertCell(0, { cell_type: "code", source: "" });
              cells.deleteCellRange(1, cells.cells.length);
            }"""
        )

    def delete_cell(self, index: int) -> None:
        script = "i => window.jupyterapp.shell.currentWidget.content.model.sharedModel.deleteCell(i)"
        self.page.evaluate(script, index)

    def ask(self, code: str) -> str:
        """Run code in the notebook's kernel, outside any cell, and return what it printed."""
        reply = self.page.evaluate(patiently(_ASK_KERNEL), code)
        if reply["error"]:
            raise KernelError(reply["error"])
        return reply["text"].strip()

    def start_code(self, code: str) -> None:
        """Send code to the notebook's kernel and wait for no answer."""
        kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        self.page.evaluate(f"code => {{ {kernel}.requestExecute({{ code }}); }}", code)

    def wait_python(self, condition: str, seconds: float = 5) -> None:
        """Wait until an expression is true in the notebook's kernel."""
        end = time.monotonic() + seconds
        while self.ask(f"print(bool({condition}))") != "True":
            assert time.monotonic() < end, f"in {seconds} s it never was true in Python that {condition}"
            self.page.wait_for_timeout(50)

    def theme(self, name: str) -> None:
        """Light or Dark."""
        self.command("apputils:change-theme", {"theme": f"JupyterLab {name}"})
        light = "true" if name == "Light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def shut_down(self) -> None:
        """End the notebook's kernel, so that the next one has its memory."""
        script = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown().then(() => null)"
        self.page.evaluate(script)

    def restart_kernel(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_idle()

    def screenshot(self, name: str) -> Path:
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{re.sub(r'[^a-zA-Z0-9_]+', '-', name).strip('-')}.png"
        self.page.screenshot(path=path)
        return path

    def active_cell(self) -> tuple[int, str, str]:
        """Number, mode and type of Lab's active cell: what stray keys would change."""
        return tuple(
            self.page.evaluate(
                """() => {
                  const content = window.jupyterapp.shell.currentWidget.content;
                  return [content.activeCellIndex, content.mode, content.activeCell.model.type];
                }"""
            )
        )


@contextmanager
def lab_alone() -> Iterator[LabPage]:
    """A page of a JupyterLab and a browser that nobody else uses, with nothing opened in it yet."""
    with tempfile.TemporaryDirectory() as folder, LabServer(Path(folder)) as server, launched_browser() as browser:
        yield LabPage(browser.new_page(viewport={"width": 1280, "height": 900}), server)
