"""Set up and start: ``python3 -m cnnviz lab`` opens the notebooks, ``python3 -m cnnviz test`` runs every test.

Both first make the environment ``.venv`` in this repository, or reuse it, and pass further arguments on to JupyterLab
or pytest. Only the standard library is used here, since this runs before anything is installed.
"""

from __future__ import annotations  # so that an old Python gets as far as the sentence that says it is too old

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
FIRST_NOTEBOOK = "notebooks/00-start-here.ipynb"
USAGE = """\
python3 -m cnnviz lab     install what is needed and open the notebooks in JupyterLab
python3 -m cnnviz test    install what is needed and run all tests
Further arguments go to JupyterLab (lab --port=9000) or pytest (test -k window)."""

NBVAL = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
NBVAL += ["--nbval-cell-timeout", "120"]
COVERAGE = ["--cov=cnnviz", "--cov-config=pyproject.toml", "--cov-report=term"]  # nbval needs both names

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/snap/bin/chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PLAYWRIGHTS_OWN = (
    "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)"
)


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names; returns the exit status."""
    commands = {"lab": lab, "test": test}
    if sys.version_info < (3, 11):  # noqa: UP036 (nothing has checked it yet: this runs before any installation)
        sys.exit(f"cnnviz needs Python 3.11 or newer, this is {sys.version.split()[0]}: try python3.12 -m cnnviz lab")
    if not arguments or arguments[0] not in commands:
        print(USAGE)
        return 0 if arguments in ([], ["-h"], ["--help"]) else 2
    if not (ROOT / "requirements.txt").exists():
        sys.exit(f"There is no requirements.txt in {ROOT}: run this in a clone of the cnnviz repository")
    # More threads than cores make torch 8 times slower; tests run small networks beside a browser, so one thread each.
    os.environ.setdefault("OMP_NUM_THREADS", str(cores() if arguments[0] == "lab" else 1))
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")  # glibc would keep memory apart for each thread that ever trained
    return commands[arguments[0]](arguments[1:])


def lab(arguments: list[str]) -> int:
    """Open JupyterLab on the first notebook."""
    set_up("requirements.txt")
    options = [f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"]
    options += ["--LabApp.news_url=None"]  # no question about news over the first notebook
    if not any(a.startswith(("--ip", "--ServerApp.ip")) for a in arguments):
        options.append("--ip=127.0.0.1")  # seen by this machine only, whatever a configuration file says
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    if not has_screen():
        options.append("--no-browser")  # Jupyter then prints the address with its token
    return run([PYTHON, "-m", "jupyterlab", *options, *arguments])


def test(arguments: list[str]) -> int:
    """Run the tests, the examples in docstrings and the notebooks; with coverage unless arguments pick some of them."""
    set_up("requirements-dev.txt")
    browser = find_browser(PYTHON)
    if browser is None:
        say("No Chromium or Chrome here: asking Playwright to fetch one")
        run([PYTHON, "-m", "playwright", "install", "chromium"])
        browser = find_browser(PYTHON)
    if browser is None and in_ci():
        sys.exit("No browser could be found or fetched, and in CI no browser test may be skipped: install chromium")
    if browser is not None:
        os.environ["CNNVIZ_BROWSER"] = browser
    say(f"Browser: {browser or 'none, its tests are skipped'}; threads: {os.environ['OMP_NUM_THREADS']}")
    return run([PYTHON, "-m", "pytest", *NBVAL, *(arguments or COVERAGE)])


def set_up(requirements: str) -> None:
    """Make or reuse the environment and install into it, unless the files that say what is needed are as they were."""
    stamps = {name: VENV / f"cnnviz-{name}.sha256" for name in ("requirements.txt", requirements)}
    wanted = fingerprint(requirements)
    works = succeeds([PYTHON, "-c", "import pip"])
    if works and stamps[requirements].exists() and stamps[requirements].read_text() == wanted:
        return
    if not works:
        make_environment()
    say(f"Installing {requirements} into {VENV}: a few minutes the first time")
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check"]
    if run([*pip, "-r", requirements]) or run([*pip, "--no-deps", "-e", "."]):
        sys.exit(
            "The installation did not finish, pip says why above. Is there a network? The same command tries again."
        )
    for name, stamp in stamps.items():  # requirements-dev.txt holds all of requirements.txt
        stamp.write_text(fingerprint(name))


def make_environment() -> None:
    """Make an empty environment with pip in it, also where the system's Python cannot put pip there itself."""
    say(f"Making the environment {VENV}")
    if run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV]):
        sys.exit("Python's venv module does not work here: install it (Debian, Ubuntu: apt-get install python3-venv)")
    if succeeds([PYTHON, "-m", "ensurepip", "--default-pip"]):
        return
    if not succeeds([sys.executable, "-m", "pip", "--python", PYTHON, "install", "pip"]):
        sys.exit("pip cannot be put into the environment: install it (Debian, Ubuntu: apt-get install python3-venv)")


def fingerprint(requirements: str) -> str:
    """Return a hash of the files that decide what is installed, and where."""
    names = dict.fromkeys(["requirements.txt", requirements, "pyproject.toml"])
    contents = b"\0".join((ROOT / name).read_bytes() for name in names)
    return hashlib.sha256(contents + str(ROOT).encode()).hexdigest()


def find_browser(python: str | Path = sys.executable) -> str | None:
    """Return the path of a Chromium or Chrome that starts: the system's, or else the one that Playwright fetched."""
    found = [os.environ.get("CNNVIZ_BROWSER"), *map(shutil.which, BROWSERS), *BROWSER_PLACES]
    for path in found:
        if path and Path(path).is_file() and (os.name == "nt" or succeeds([path, "--version"])):
            return path  # on Windows asking for the version opens a window
    own = subprocess.run([python, "-c", PLAYWRIGHTS_OWN], capture_output=True, text=True, check=False).stdout.strip()
    return own if own and Path(own).is_file() else None


def cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use: a container may have fewer than the machine."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()  # "200000 100000" is two cores, "max 100000" no limit
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return allowed


def has_screen() -> bool:
    """Whether a browser can be opened for the person who typed the command."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def in_ci() -> bool:
    """Whether this is a run that nobody watches, in which nothing may be left out."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def succeeds(command: list[str | Path]) -> bool:
    """Whether a command can be started and ends well; its output is thrown away."""
    try:
        return subprocess.run(command, capture_output=True, cwd=ROOT, timeout=300, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(command: list[str | Path]) -> int:
    """Run a command in the repository until it ends; whoever interrupts or ends this process speaks to the command."""
    settings = os.environ | {"PIP_USER": "0"}  # somebody's `pip install --user` by default does not work in a venv
    with subprocess.Popen(command, cwd=ROOT, env=settings) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def say(text: str) -> None:
    """Print at once, before what the next command prints."""
    print(f"cnnviz: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
