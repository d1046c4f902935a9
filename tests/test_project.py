"""What holds the repository together: dependencies, packaging, Binder, README, style."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import cnnviz

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}  # conda-forge's name -> PyPI's
IMPORT_NAMES = {"PIL": "pillow", "sklearn": "scikit-learn"}  # what is imported -> PyPI's name
COMES_ALONG = {"traitlets", "IPython"}  # both are ipywidgets', and a version of our own could only disagree with it
EXECUTABLES = (".ci/run", "binder/postBuild", "binder/start")

pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command: str | Path, **options: object) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, **{"cwd": ROOT, **options})
    assert result.returncode == 0, f"{command} gave {result.returncode}:\n{result.stdout}{result.stderr}"
    return result.stdout


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    return [ROOT / name for name in run("git", "-c", "safe.directory=*", "ls-files").splitlines()]


def ranges() -> dict[str, SpecifierSet]:
    """What the package and its `lab` extra ask for."""
    asked = map(Requirement, pyproject["dependencies"] + pyproject["optional-dependencies"]["lab"])
    return {requirement.name: requirement.specifier for requirement in asked}


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


# --- dependencies ---


def test_requirements_pin_one_version_of_each_dependency_inside_its_range():
    pins = {requirement.name: requirement for requirement in map(Requirement, lines("requirements.txt"))}
    assert pins.keys() == ranges().keys()
    for name, pin in pins.items():
        version = re.fullmatch(r"==([\d.]+)", str(pin.specifier))
        assert version, f"{pin} is not an exact version"
        assert version[1] in ranges()[name], f"{pin} is outside pyproject's {ranges()[name]}"


def test_torch_comes_first_so_that_no_other_package_chooses_its_build():
    assert lines("requirements.txt")[0].startswith("torch==")


def test_test_tools_are_pinned_on_top_of_the_same_environment():
    first, *tools = lines("requirements-dev.txt")
    assert first == "-r requirements.txt"
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+", tool) for tool in tools)
    names = [tool.split("==")[0].lower() for tool in tools]
    assert names == sorted(set(names))


@pytest.mark.parametrize("file", ["environment.yml", "binder/environment.yml"])
def test_conda_asks_for_the_same_ranges(file):
    environment = yaml.safe_load((ROOT / file).read_text())
    assert environment["channels"] == ["conda-forge"]
    python, pip, *rest = environment["dependencies"]
    assert (python, pip) == ("python=3.12", "pip")  # Binder reads "=", not ">="
    assert python.split("=")[1] in SpecifierSet(pyproject["requires-python"])
    asked = {CONDA_NAMES.get(one.name, one.name): one.specifier for one in map(Requirement, rest)}
    assert asked == ranges()


def test_every_import_of_the_package_is_declared():
    imported = set()
    for path in (ROOT / "cnnviz").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    outside = imported - sys.stdlib_module_names - {"cnnviz"} - COMES_ALONG
    extras = {Requirement(one).name for extra in pyproject["optional-dependencies"].values() for one in extra}
    assert {IMPORT_NAMES.get(name, name) for name in outside} <= ranges().keys() | extras


# --- the package ---

HEAVY = ("torch", "numpy", "matplotlib", "plotly", "anywidget", "ipywidgets", "IPython", "sklearn", "PIL")
MEASURE_IMPORT = f"""
import sys, time
start = time.perf_counter()
import cnnviz
print(time.perf_counter() - start, *[name for name in {HEAVY} if name in sys.modules])
start = time.perf_counter()
import numpy
print(time.perf_counter() - start)
"""


def test_importing_the_package_loads_nothing_heavy():
    ours, numpys = run(sys.executable, "-c", MEASURE_IMPORT).splitlines()
    seconds, *loaded = ours.split()
    print(f"import cnnviz: {float(seconds) * 1000:.1f} ms (import numpy: {float(numpys) * 1000:.0f} ms)")
    assert loaded == []
    assert float(seconds) < float(numpys)


def test_public_names_are_there_for_tab_completion_and_for_use():
    assert sorted(cnnviz.__all__) == cnnviz.__all__
    assert set(cnnviz.__all__) <= set(dir(cnnviz))
    for name in cnnviz.__all__:
        assert getattr(cnnviz, name) is not None
    everything: dict[str, object] = {}
    exec("from cnnviz import *", everything)
    assert set(cnnviz.__all__) <= everything.keys()


def test_an_unknown_name_is_repeated_and_the_public_ones_are_listed():
    with pytest.raises(AttributeError, match="no attribute 'Widow': its public names are DrawPad, "):
        _ = cnnviz.Widow


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    source = tmp_path / "source"
    for path in tracked_files():
        if path.is_relative_to(ROOT / "cnnviz") or path.name in ("pyproject.toml", "README.md", "LICENSE"):
            (target := source / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation"]
    run(*pip, "-w", str(tmp_path), str(source))
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("cnnviz/")}
    assert held == {path.relative_to(source).as_posix() for path in (source / "cnnviz").rglob("*") if path.is_file()}


# --- Binder and CI ---


def test_repo2docker_accepts_the_binder_folder(monkeypatch):
    buildpacks = pytest.importorskip("repo2docker.buildpacks")
    monkeypatch.chdir(ROOT)
    pack = buildpacks.CondaBuildPack(base_image="docker.io/library/buildpack-deps:jammy")
    pack.platform = "linux/amd64"
    assert pack.detect()
    assert pack.python_version == "3.12"
    dockerfile = pack.render()
    for line in ("COPY --chown=1000:1000 src/binder/environment.yml", "RUN ./binder/postBuild", "binder/start"):
        assert line in dockerfile
    assert "requirements.txt" not in dockerfile


@pytest.mark.parametrize("name", EXECUTABLES)
def test_scripts_are_executable_and_parse(name):
    assert (ROOT / name).stat().st_mode & stat.S_IXUSR
    first, *_ = (ROOT / name).read_text().splitlines()
    assert first == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines(name)
    run("bash", "-n", name)


def test_git_records_which_files_are_executable():
    tracked_files()
    listed = run("git", "-c", "safe.directory=*", "ls-files", "--stage").splitlines()
    assert {line.split("\t")[1] for line in listed if line.startswith("100755")} == set(EXECUTABLES)


def test_binders_start_runs_what_it_is_given_with_as_many_threads_as_cores(tmp_path):
    (tmp_path / "python").symlink_to(sys.executable)
    settings = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    output = run("binder/start", "bash", "-c", 'echo "$OMP_NUM_THREADS" "$1"', "_", "two words", env=settings)
    threads, rest = output.split(" ", 1)
    assert int(threads) >= 1
    assert rest == "two words\n"


# --- documents ---


def test_readme_has_exactly_two_set_up_commands():
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert [block.strip() for block in blocks if block.startswith("python3")] == [
        "python3 -m cnnviz lab",
        "python3 -m cnnviz test",
    ]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_link_to_a_file_leads_somewhere(name):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text())
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_readme_lists_the_notebooks_that_there_are():
    listed = re.findall(r"^\| \[(\d\d-[\w-]+)\]\(notebooks/\1\.ipynb\) \|", (ROOT / "README.md").read_text(), re.M)
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))


def test_the_changelog_has_a_section_for_what_is_not_released():
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text()


def test_no_file_names_a_package_registry_or_a_place_on_somebodys_machine():
    hosts = ["pypi", "pythonhosted", r"registry\.npmjs", r"deb\.debian", r"(conda|repo)\.anaconda"]
    places = ["work/(main|shared|venv)", "opt/pypi", r"root/\."]
    unwanted = re.compile(rf"\b({'|'.join(hosts)})\.(org|com|io)\b|(?<![\w.])/({'|'.join(places)})")
    found = []
    for path in tracked_files():
        if path.is_file() and path.suffix not in (".png", ".gif"):
            text = path.read_text(errors="replace")
            found += [f"{path.name}: {match[0]}" for match in unwanted.finditer(text)]
    assert found == []


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff_has_nothing_to_say(arguments):
    run(sys.executable, "-m", "ruff", *arguments, ".")
