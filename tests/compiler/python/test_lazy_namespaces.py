"""The first use of a namespace, which imports it, inside a compiled call of a fresh process."""

import subprocess
import sys

import pytest

import rushlight

SCRIPT = """
import rushlight as torch
for name in NAMES:
    run = torch.compile(lambda x, name=name: (getattr(torch, name), x * 2)[1], fullgraph=True)
    assert run(torch.ones(2)).tolist() == [2.0, 2.0], name
"""


@pytest.mark.slow
def test_namespaces_may_be_imported_in_a_compiled_call():
    names = sorted(set(rushlight._LAZY) - {"vision"})  # it reads files
    script = SCRIPT.replace("NAMES", repr(names))
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)


@pytest.mark.slow
def test_layers_may_be_imported_in_a_compiled_call():
    script = SCRIPT.replace("NAMES", "['nn']")
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
