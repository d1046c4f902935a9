"""``python3 -m cnnviz``: what it decides before it starts pip, JupyterLab or pytest."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cnnviz import __main__ as main

POSIX = pytest.mark.skipif(os.name != "posix", reason="the stand-ins for programs are shell scripts")


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Record the commands that would be run, and make a repository in which nothing is installed."""
    recorded = []

    def record(command):
        recorded.append(list(map(str, command)))
        return 0

    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(main, "ROOT", tmp_path)
    monkeypatch.setattr(main, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(main, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(main, "run", record)
    for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "CNNVIZ_BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    return recorded


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--help"], 0), (["lap"], 2)])
def test_anything_but_a_command_prints_the_two_there_are(arguments, status, capsys):
    assert main.main(arguments) == status
    assert re.findall(r"^python3 -m cnnviz \w+", capsys.readouterr().out, re.M) == [
        "python3 -m cnnviz lab",
        "python3 -m cnnviz test",
    ]


def test_an_old_python_is_told_so(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, this is "):
        main.main(["lab"])


def test_outside_a_clone_it_says_where_to_run(commands, monkeypatch, tmp_path):
    monkeypatch.setattr(main, "ROOT", tmp_path / "site-packages")
    with pytest.raises(SystemExit, match="run this in a clone of the cnnviz repository"):
        main.main(["lab"])


def test_what_was_installed_is_installed_again_only_when_the_files_change(commands, tmp_path):
    main.set_up("requirements.txt")
    assert [command[4:] for command in commands] == [
        ["--disable-pip-version-check", "-r", "requirements.txt"],
        ["--disable-pip-version-check", "--no-deps", "-e", "."],
    ]
    main.set_up("requirements.txt")
    assert len(commands) == 2
    main.set_up("requirements-dev.txt")
    assert commands[2][-1] == "requirements-dev.txt"
    (tmp_path / "requirements.txt").write_text("something newer")
    main.set_up("requirements-dev.txt")
    assert len(commands) == 6
    main.set_up("requirements.txt")  # is part of requirements-dev.txt
    assert len(commands) == 6


def test_a_failed_installation_is_said_and_tried_again(commands, monkeypatch):
    monkeypatch.setattr(main, "run", lambda command: 1)
    for _ in range(2):
        with pytest.raises(SystemExit, match="The installation did not finish, pip says why above"):
            main.set_up("requirements.txt")


@POSIX
def test_an_environment_without_ensurepip_gets_its_pip_from_the_systems(commands, monkeypatch, tmp_path):
    log = tmp_path / "log"
    for name, ends in {"venv-python": 1, "system-python": 0}.items():
        program(tmp_path / name, f'echo "{name} $*" >> {log}; exit {ends}')
    monkeypatch.setattr(main, "PYTHON", tmp_path / "venv-python")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "system-python"))
    main.make_environment()
    assert commands == [[sys.executable, "-m", "venv", "--clear", "--without-pip", str(tmp_path / ".venv")]]
    assert log.read_text().splitlines() == [
        "venv-python -m ensurepip --default-pip",
        f"system-python -m pip --python {tmp_path / 'venv-python'} install pip",
    ]
    program(tmp_path / "system-python", "exit 1")
    with pytest.raises(SystemExit, match=r"install it .*python3-venv"):
        main.make_environment()


def test_lab_opens_the_first_notebook_for_this_machine_only(commands, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert main.main(["lab", "--port=9000"]) == 0
    started = commands[-1]
    assert started[1:3] == ["-m", "jupyterlab"]
    assert "--LabApp.default_url=/lab/tree/notebooks/00-start-here.ipynb" in started
    assert {"--ip=127.0.0.1", "--allow-root", "--no-browser"} <= set(started)
    assert started[-1] == "--port=9000"


def test_lab_listens_elsewhere_only_when_asked(commands, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    main.main(["lab", "--ip=0.0.0.0"])
    assert "--ip=127.0.0.1" not in commands[-1]
    assert "--allow-root" not in commands[-1]
    assert ("--no-browser" in commands[-1]) == (not main.has_screen())


def test_test_runs_everything_or_what_it_is_told(commands, monkeypatch):
    monkeypatch.setattr(main, "find_browser", lambda python: "/usr/bin/chromium")
    main.main(["test"])
    assert {"--nbval", "--nbval-current-env", "tests/nbval_sanitize.cfg", "--cov=cnnviz"} <= set(commands[-1])
    assert os.environ.pop("CNNVIZ_BROWSER") == "/usr/bin/chromium"
    main.main(["test", "-k", "window"])
    assert commands[-1][-2:] == ["-k", "window"]
    assert "--cov=cnnviz" not in commands[-1]  # a part of the tests says nothing about coverage
    os.environ.pop("CNNVIZ_BROWSER")


def test_without_a_browser_tests_go_on_except_in_ci(commands, monkeypatch, capsys):
    monkeypatch.setattr(main, "find_browser", lambda python: None)
    assert main.main(["test"]) == 0
    assert "Browser: none, its tests are skipped" in capsys.readouterr().out
    assert any(command[-2:] == ["install", "chromium"] for command in commands)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(SystemExit, match="in CI no browser test may be skipped"):
        main.main(["test"])


@POSIX
def test_a_browser_is_taken_only_if_it_starts(monkeypatch, tmp_path):
    monkeypatch.setattr(main, "BROWSER_PLACES", ())
    monkeypatch.delenv("CNNVIZ_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path / "chromium", "echo 'install the snap first'; exit 1")
    no_playwright = program(tmp_path / "python", "exit 1")
    assert main.find_browser(no_playwright) is None
    chrome = program(tmp_path / "google-chrome", "exit 0")
    assert main.find_browser(no_playwright) == str(chrome)
    mine = program(tmp_path / "mine", "exit 0")
    monkeypatch.setenv("CNNVIZ_BROWSER", str(mine))
    assert main.find_browser(no_playwright) == str(mine)


def test_cores_are_those_that_a_container_may_use(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for limit, cores in {"200000 100000": 2, "50000 100000": 1, "max 100000": 8, "1600000 100000": 8, "": 8}.items():
        (tmp_path / "cpu.max").write_text(limit)
        assert main.cores(tmp_path) == cores
    assert main.cores(tmp_path / "no-such-folder") == 8


def test_a_command_runs_in_the_repository_and_its_status_comes_back():
    check = "import os, sys; sys.exit(7 if os.path.exists('pyproject.toml') and os.environ['PIP_USER'] == '0' else 1)"
    assert main.run([sys.executable, "-c", check]) == 7


def answer_from(address: str) -> bytes | None:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.read()
    except ConnectionError:
        return None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionError):
            return None  # the address is printed just before the server listens
        raise


def wait_for(found, seconds=60):
    """Return what `found` finds; it is asked again and again."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
    return result


def test_lab_really_starts_and_serves_the_notebook(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = "import sys; from cnnviz import __main__ as m; m.PYTHON = sys.executable; m.set_up = print"
    command = [sys.executable, "-c", f"{start}; sys.exit(m.main(['lab', '--no-browser', '--port={port}']))"]
    folders = {name: str(tmp_path / name) for name in ("HOME", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    settings = os.environ | folders | {"JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    printed = re.compile(rf"(http://127\.0\.0\.1:{port})/lab/tree/({main.FIRST_NOTEBOOK})(\?token=\w+)\n")
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=main.ROOT, env=settings, stdout=file, stderr=subprocess.STDOUT)
    try:
        address = wait_for(lambda: printed.search(log.read_text()))
        assert b"JupyterLab" in wait_for(lambda: answer_from(address[0].strip()))
        host, notebook, token = address.groups()
        assert b"00-start-here.ipynb" in answer_from(f"{host}/api/contents/{notebook}{token}&content=0")
    finally:
        process.terminate()  # reaches JupyterLab, or this waits in vain
        process.wait(timeout=30)
