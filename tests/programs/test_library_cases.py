"""tools/libraries: the comparison of two runs finds what differs, and each case is complete."""

import ast
import importlib.util
import json
import math
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import rushlight as torch
from tests import processes

FOLDER = Path(__file__).parents[2] / "tools" / "libraries"
CASES = sorted((FOLDER / "cases").glob("*/*.py"))


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"libraries_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


summary = loaded("one").summary
differences = loaded("compare").differences
VALUE = {
    "tensor": torch.linspace(-3, 3, 1000), "half": torch.ones(2, dtype=torch.bfloat16), "array": np.arange(5),
    "complex": np.array([1 + 2j]), "empty": torch.zeros(0, 3), "number": 0.5, "text": ["a", None, True], "nan": math.nan,
}  # fmt: skip


def test_equal_values_are_equal_and_fit_in_json():
    want = json.loads(json.dumps(summary(VALUE)))
    assert differences(json.loads(json.dumps(summary(VALUE))), want) == []
    assert len(want["tensor"]["kept"]) == 64 and want["tensor"]["largest"] == 3


@pytest.mark.parametrize("change", [
    {"tensor": torch.linspace(-3, 3, 1000) + 2e-3}, {"tensor": torch.linspace(-3, 3, 1000).double()},
    {"tensor": torch.linspace(-3, 3, 999)}, {"half": torch.ones(2)}, {"array": np.arange(5) + 1},
    {"complex": np.array([1 + 2.01j])}, {"empty": torch.zeros(3, 0)}, {"number": 0.501},
    {"text": ["a", None, False]}, {"text": ["a"]}, {"nan": 1.0}, {"tensor": torch.full((1000,), math.nan)},
])  # fmt: skip
def test_a_difference_is_found(change):
    lines = differences(summary({**VALUE, **change}), summary(VALUE))
    assert len(lines) == 1 and lines[0].startswith(f"/{next(iter(change))}")


def test_a_tolerance_is_a_share_of_the_largest():
    found, want = summary(VALUE["tensor"] + 2e-3), summary(VALUE["tensor"])
    assert differences(found, want, tolerance=1e-3) == []
    assert differences(found, want, tolerance=1e-4)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_a_case_says_what_it_does_and_has_pytorchs_answer(file):
    tree = ast.parse(file.read_text())
    values = {
        n.targets[0].id: n.value
        for n in tree.body
        if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
    }
    assert ast.get_docstring(tree).endswith(".")
    assert any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body)
    assert json.loads((FOLDER / "answers" / file.parent.name / f"{file.stem}.json").read_text())
    plain = lambda name: re.split(r"[\[=]", name)[0].lower().replace("_", "-")
    pinned = (FOLDER / "versions" / f"{file.parent.name}.txt").read_text().split()
    requires = {plain(name) for name in ast.literal_eval(values["requires"])} - {"torchvision"}
    assert requires <= {plain(line) for line in pinned}


OUTCOMES = """
import pytest, random, torch
@pytest.mark.parametrize("x", [1, 2])
def test_passes(x): assert random.random() and torch.rand(1) == torch.manual_seed(0) and 0 or True
def test_fails(): assert False, "on purpose"
def test_is_skipped(): pytest.skip()
def test_is_left_out(): assert False
@pytest.fixture
def broken(): raise ValueError
def test_cannot_start(broken): pass
"""


def test_own_tests_note_each_outcome(tmp_path):
    (tmp_path / "test_some.py").write_text(OUTCOMES)
    (tmp_path / "test_wrong.py").write_text("import nothing_of_this_name")
    (tmp_path / "torch.py").write_text("from rushlight import *")
    report = tmp_path / "report"
    env = {**os.environ, "OWN_REPORT": str(report), "OWN_LEFT_OUT": '["is_left"]'}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(FOLDER), str(FOLDER.parents[1])])
    command = [sys.executable, "-m", "pytest", "-p", "own_report", "-p", "no:cacheprovider"]
    processes.run([*command, "--continue-on-collection-errors"], cwd=tmp_path, env=env)
    found = {line["test"]: line for line in map(json.loads, report.read_text().splitlines())}
    assert {name: line["outcome"] for name, line in found.items()} == {
        "test_some.py::test_passes[1]": "passed", "test_some.py::test_passes[2]": "passed",
        "test_some.py::test_fails": "failed", "test_some.py::test_is_skipped": "skipped",
        "test_some.py::test_is_left_out": "left out", "test_some.py::test_cannot_start": "failed",
        "test_wrong.py": "failed",
    }  # fmt: skip
    assert "on purpose" in found["test_some.py::test_fails"]["why"]


def test_each_suite_is_complete():
    suites = loaded("own_suites").SUITES
    names = [suite.library for suite in suites]
    assert names == sorted(names, key=str.lower) and len({*names}) == len(names)
    for suite in suites:
        assert (
            suite.tests.split()
            and suite.revision
            and re.fullmatch(r"[\w.-]+/[\w.-]+", suite.repository)
        )
        assert all(reason for reason in suite.left_out.values())
