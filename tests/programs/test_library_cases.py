"""tools/libraries: the comparison of two runs finds what differs, and each case is complete."""

import ast
import importlib.util
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import rushlight as torch

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
