"""The verdicts of notebook 18, held to FACTS.md: which claims of the lectures are wrong, and what is right instead."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "18-lectures-checked.ipynb"
CLAIMS = [f"A{n}" for n in range(1, 31)] + [f"B{n}" for n in range(1, 28)]
HISTORY = {"B22", "B26"}  # words that no computation decides: a table with sources
ERRATA = {  # claim: the right values, in the order of the rows that are wrong; every other row is right
    "A8": ["(exercise)"], "A10": ["55"], "A13": ["55"], "A14": ["3,364"], "A22": ["(exercise)"],
    "A23": ["346,816,512", "854,196,224", "3.148"], "A24": ["4,800"], "A26": ["5"],
    "B2": ["15,237,608", "58.13"], "B3": ["112"], "B5": ["123,642,856"],
    "B6": ["48,120", "10,164", "61,706", "117,600", "240,000", "416,520", "1,011", "2,726"], "B7": ["62,378,344"],
    "B8": ["1"], "B9": ["False"], "B10": ["13 256"], "B11": ["2"], "B18": ["6,998,552", "8.711", "19.77"],
    "B19": ["384 384 256"], "B21": ["2 2 3 3 3"], "B23": ["13 21"], "B24": ["18 20 19 / 10 9 17 / 11 8 14"],
    "B25": ["8", "11 5 3", "False"], "B27": ["False"],
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """(claim, recomputed, verdict) of every line that the notebook shows."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    lines = "\n".join("".join(output.get("data", {}).get("text/plain", "")) for output in outputs).splitlines()
    split = [re.split(r" {2,}", line) for line in lines if re.match(r"[AB]\d+ ", line)]
    return [(claim, right, verdict) for claim, _, _, right, verdict, *_ in split]


def test_every_claim_is_computed(rows):
    assert {claim for claim, *_ in rows} == set(CLAIMS) - HISTORY


def test_the_errata_are_those_of_the_facts(rows):
    found = {}
    for claim, right, verdict in rows:
        assert verdict in ("ok", "ERRATUM")
        if verdict == "ERRATUM":
            found.setdefault(claim, []).append(right)
    assert found == ERRATA


def test_all_21_networks_of_the_slides_table_have_their_parameters_and_operations(rows):
    found = [right for claim, right, _ in rows if claim == "B13"]
    assert len(found) == 2 * 21
    assert {"132,868,840", "133,053,736", "138,365,992", "143,678,248"} <= set(found[:21])  # vgg11_bn to vgg19_bn
