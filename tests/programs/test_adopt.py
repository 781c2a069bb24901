"""`rushlight adopt` in a folder of packages: import torch works, pip's record is right, undo leaves nothing."""

import base64
import csv
import hashlib
import importlib
import os
import sys
from pathlib import Path

import pytest

from rushlight.cli import main
from rushlight.programs import adopt as command
from rushlight.programs.adopt import AdoptError, Adoption, adopt, undo
from rushlight.programs.doctor import doctor
from tests import processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder in the place of this environment's packages, with nothing else on the path."""
    importlib.import_module("rushlight.vision")  # while what it needs can be found
    importlib.import_module("rushlight.programs.check")
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(command, "_site", lambda: folder)
    monkeypatch.setattr(command, "_require_changeable", lambda folder: None)
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def python(code, *paths, options=()):
    """What a Python process prints that has these folders of packages."""
    done = processes.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, cwd=paths[0],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["torch", "torch.nn.functional", "torchvision", "torchvision.transforms"]
)
def test_import_needs_no_wrapper(site, first):
    adopt()
    code = f"""
import importlib.util
assert importlib.util.find_spec("torch").origin
import {first}
import torch, torchvision, rushlight, importlib.metadata, pickle
from torch.nn import functional
assert torch.Tensor is rushlight.Tensor and torchvision.models is rushlight.vision.models
assert importlib.metadata.version("torch") == torch.__version__
assert pickle.loads(pickle.dumps(torch.nn.Linear)) is rushlight.nn.Linear
print(torch.arange(3))
"""
    assert python(code, site, ROOT) == "tensor([0, 1, 2])\n"


def test_the_record_lists_each_file_with_its_hash(site):
    adopt()
    for name in ("torch", "torchvision"):
        record = next(site.glob(f"{name}-*.dist-info/RECORD"))
        rows = list(csv.reader(record.read_text().splitlines()))
        files = {
            str(f.relative_to(site).as_posix())
            for folder in (site / name, record.parent)
            for f in folder.iterdir()
        }
        assert {row[0] for row in rows} == files
        for file, digest, size in rows[:-1]:
            content = (site / file).read_bytes()
            found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={found}", len(content))


def test_undo_leaves_nothing_and_says_what_went(site, capsys):
    adopt()
    adopt()  # again: the same
    assert len(list(site.iterdir())) == 4
    python("import torch", site, ROOT)  # which may write bytecode
    undo()
    assert not list(site.iterdir())
    assert "removed" in capsys.readouterr().out
    undo()
    assert "nothing to take back" in capsys.readouterr().out


def test_pytorch_is_refused(site, capsys):
    record = site / "torch-2.0.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0.0\n")
    before = sorted(site.iterdir())
    assert main(["adopt"]) == 1
    assert "has torch 2.0.0" in capsys.readouterr().err
    assert sorted(site.iterdir()) == before


def test_a_package_without_a_record_is_refused(site):
    (site / "torchvision").mkdir()
    (site / "torchvision" / "__init__.py").write_text("raise ImportError")
    with pytest.raises(AdoptError, match="has torchvision, whose name"):
        adopt()


def test_a_folder_named_torch_that_is_no_package_is_none(site, tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(site)])
    assert Adoption().others() == []


@pytest.mark.parametrize("at", range(4))
def test_a_run_that_stops_in_the_middle_is_taken_back(site, monkeypatch, at):
    rename, calls = os.rename, []

    def stops(*arguments):
        calls.append(arguments)
        if len(calls) > at:
            raise OSError("No space left on device")
        rename(*arguments)

    monkeypatch.setattr(os, "rename", stops)
    with pytest.raises(AdoptError, match="cannot be changed"):
        adopt()
    monkeypatch.setattr(os, "rename", rename)
    assert Adoption().others() == []  # half of an adoption is not taken for PyTorch
    if at % 2:
        adopt()
    undo()
    assert not list(site.iterdir())


def test_without_rushlight_the_error_says_what_to_do(site):
    adopt()
    for name in ("torch", "torchvision"):
        said = python(f"import {name}", site, options=["-S"])
        assert "torch is rushlight's in this environment" in said.splitlines()[-1]


def test_an_environment_of_the_system_is_refused(tmp_path, monkeypatch):
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(command.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(AdoptError, match="python -m venv"):
        adopt()


def test_doctor_names_whose_torch_it_is_and_what_libraries_lack(site, capsys):
    package = site / "asking"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import torch\nimport torch.npu\ntorch.no_such_name(torch.zeros(3), torch.hpu.memory())\n"
    )
    record = site / "asking-1.5.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: asking\nVersion: 1.5\nRequires-Dist: torch>=2\n"
    )
    (record / "RECORD").write_text("asking/__init__.py,,\n")
    doctor()
    assert "nobody's" in capsys.readouterr().out
    adopt()
    doctor()
    said = capsys.readouterr().out
    assert "rushlight, as torch 2" in said
    assert "asking      1.5: 1 name missing: torch.no_such_name" in said
