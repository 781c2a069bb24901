"""PyTorch programs run unmodified: `rushlight run`, `import rushlight.as_torch`, `rushlight check`."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rushlight.cli import main
from rushlight.programs.check import missing
from rushlight.programs.places import locate
from rushlight.torch_version import TorchVersion
from tests import processes

ROOT = Path(__file__).resolve().parents[2]


def python(*arguments, cwd, code=0):
    """What a Python process prints: (stdout, stderr)."""
    done = processes.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def write(folder, text, name="program.py"):
    """A file with ``text``; returns its path."""
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


IMPORTS = """
import importlib.metadata, importlib.util, pickle, sys
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.ops
import torch.backends.cudnn as cudnn
from torch import optim, Tensor
from torch.nn.modules.container import ParameterList
from torch.cuda.amp.grad_scaler import GradScaler
from torch.distributions.normal import Normal
from torch.nn.modules.linear import Linear
from torch.autograd.gradcheck import GradcheckError
from torch.optim.adam import Adam
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import default_collate

assert sys.argv == [__file__, "--lr", "3"], sys.argv
assert __name__ == "__main__" and sys.modules["__main__"].Linear is nn.Linear
assert Adam is optim.Adam and ParameterList is nn.ParameterList and torch.nn is nn
assert torch.autograd.gradcheck.__name__ == "gradcheck" and issubclass(GradcheckError, RuntimeError)
assert torch.autograd.variable.Variable and torch.utils.hooks and torch.utils.data.distributed
assert issubclass(torch.jit.TracerWarning, Warning)
assert not hasattr(torch.ops.nobody, 'f') and sys.modules['torch.ops'] is torch.ops
assert torch.__version__ == importlib.metadata.version("torch") == "2.13.0+rushlight"
assert importlib.metadata.version("torchvision") == "0.28.0+rushlight"
assert torch.__version__ >= (2, 0) and torch.version.cuda is None and not cudnn.is_available()
assert not torch.cuda.is_available() and torch.cuda.amp.GradScaler is GradScaler
assert Normal is torch.distributions.Normal
assert importlib.util.find_spec("torch") and importlib.util.find_spec("torch.package") is None
assert not hasattr(torch, "datasets") and not hasattr(nn, "Foo")

import torch.distributed as dist
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.distributed_c10d import _get_default_group
from torch.nn.parallel import DistributedDataParallel
assert dist.is_available() and DistributedDataParallel.__module__ == "torch.nn.parallel.distributed"
assert dist.tensor.DTensor.__module__.startswith("torch.distributed.tensor")

class Net(nn.Sequential):
    pass

model = pickle.loads(pickle.dumps(Net(nn.Linear(2, 3), nn.ReLU())))
assert type(model) is Net and type(model[0]).__module__ == "torch.nn.modules.linear"
assert repr(Tensor) == "<class 'torch.Tensor'>"
"""


def test_a_program_finds_all_of_torch(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, IMPORTS), "--lr", "3", cwd=tmp_path)


def test_a_module_runs_by_name_with_its_own_processes(tmp_path):
    write(tmp_path, "import sys, torch\nprint(sys.argv[1:], torch.__version__)", "other.py")
    write(
        tmp_path,
        "import subprocess, sys\nprint(sys.argv[1])\nsys.stdout.flush()\n"
        "subprocess.run([sys.executable, 'other.py', '-m'], check=True)\nsys.exit(3)",
    )
    out, _ = python("-m", "rushlight", "run", "-m", "program", "-x", cwd=tmp_path, code=3)
    assert out.splitlines() == ["-x", "['-m'] 2.13.0+rushlight"]


GAPS = """
import importlib
import torch, torch.nn as nn

import torch.functional, torch._utils, torch.types
from torch.functional import einsum
from torch.types import Device, Number, FileLike, Storage, _size, _int

assert torch.functional.F is nn.functional and torch.functional.einsum is einsum is torch.einsum
assert torch.types.Device is Device

def asks(code):
    try:
        exec(code, {"torch": torch, "nn": nn})
    except (AttributeError, ImportError) as error:
        print(type(error).__name__, error)

for code in (
    "torch.foo", "nn.Foo", "nn.functional.foo", "from torch import foo", "from torch.nn import Foo",
    "import torch.package", "from torch.package import PackageImporter", "torch._C._cuda_init()",
    "from torch.nn.init import foo", "from torch.functional import foo",
):
    asks(code)
"""


def test_what_is_missing_says_whose_gap_it_is(tmp_path):
    out, _ = python("-m", "rushlight", "run", write(tmp_path, GAPS), cwd=tmp_path)
    lines = out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == [
        *["AttributeError"] * 3, *["ImportError"] * 2, *["ModuleNotFoundError"] * 2,
        "AttributeError", *["ImportError"] * 2,
    ]  # fmt: skip
    assert all("rushlight" in line and "docs/coverage.md" in line for line in lines)
    assert "'torch.nn' has no attribute 'Foo'" in lines[1]
    assert "cannot import name 'foo' from 'torch.nn.init'" in lines[-2]


def test_a_failing_program_shows_its_own_frames_only(tmp_path):
    file = write(tmp_path, "def f():\n    raise ValueError('no')\nf()")
    _, errors = python("-m", "rushlight", "run", file, cwd=tmp_path, code=1)
    assert errors.count("File") == 2 and errors.endswith("ValueError: no\n")
    _, errors = python("-m", "rushlight", "run", "none.py", cwd=tmp_path, code=2)
    assert errors == "rushlight run: can't open 'none.py': No such file or directory\n"


def test_as_torch_in_a_process_with_another_torch(tmp_path):
    write(tmp_path, "", "torch.py")
    code = "import torch\nimport rushlight.as_torch"
    _, errors = python("-c", code, cwd=tmp_path, code=1)
    assert "PyTorch is already imported in this process" in errors
    code = "import rushlight.as_torch, torch, rushlight\nassert torch.nn is rushlight.nn"
    python("-c", code, cwd=tmp_path)


USED = """
import torch, numpy as np
from torch import nn as layers, no_such_function
import torch.nn.functional as F

def f(torch):
    return torch.not_the_module

def g(x):
    np.foo(x)
    return F.relu(x) + F.no_such(x).real

class Net(layers.NoSuchLayer):
    loss: "str" = layers.MSELoss().whatever

try:
    import torch.no_such_package
except ImportError:
    pass
import torch.no_such.part
lambda layers: layers.Hidden
"""


def test_check_lists_the_names_that_are_missing(tmp_path, capsys, monkeypatch):
    file = write(tmp_path, USED)
    assert main(["check", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{file}:3: torch.no_such_function",
        f"{file}:11: torch.nn.functional.no_such",
        f"{file}:13: torch.nn.NoSuchLayer",
        f"{file}:20: torch.no_such.part",
        "1 file read: 4 names of torch missing (docs/coverage.md)",
    ]
    file = write(tmp_path, "from torch import nn\nnn.Linear(1, 1)")
    assert main(["check", str(file)]) == 0
    assert "every torch name" in capsys.readouterr().out
    assert main(["check", str(write(tmp_path, "import torch ="))]) == 2
    monkeypatch.setitem(sys.modules, "rushlight.onnx", None)  # a package that it needs is missing
    assert main(["check", str(write(tmp_path, "from torch.onnx import *"))]) == 0
    assert main(["check", str(write(tmp_path, "from torch.onnx import export"))]) == 0
    assert main(["check", str(tmp_path / "none.py")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert all(line.startswith("rushlight check: ") for line in errors) and len(errors) == 2


OWN = """
import torch
torch.foo = 3
setattr(torch.nn, "Own", 4)
print(torch.foo, torch.nn.Own, torch.ops.my.f)
f = torch.missing.deep() if hasattr(torch, "missing") else torch.other
"""


def test_check_knows_the_programs_own_names(tmp_path):
    assert [(m.line, m.name) for m in missing(write(tmp_path, OWN))] == [
        (6, "torch.other"),
    ]


def test_check_reads_the_cells_of_notebooks(tmp_path, capsys):
    cells = [
        {"cell_type": "markdown", "source": "# torch.no"},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install x\n", "import torch"]},
        {"cell_type": "code", "source": "%%bash\ntorch.no"},
        {"cell_type": "code", "source": "%%time\nfiles = !ls\n%timeit -n 3 torch.one()\nx?\n\ntorch.two"},
    ]  # fmt: skip
    file = write(tmp_path, json.dumps({"cells": cells}), "note.ipynb")
    assert main(["check", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[:-1] == [
        f"{file}:cell 4:3: torch.one", f"{file}:cell 4:6: torch.two",
    ]  # fmt: skip
    cells.append({"cell_type": "code", "source": "\nx ="})
    write(tmp_path, json.dumps({"cells": cells}), "note.ipynb")
    assert main(["check", str(file)]) == 2
    assert "note.ipynb: cell 5, line 2: " in capsys.readouterr().err
    assert main(["check", str(write(tmp_path, "[]", "note.ipynb"))]) == 2
    assert "no Jupyter notebook" in capsys.readouterr().err


MAIN = """
import sys, torch
print([__file__, (lambda: 0).__code__.co_filename, sys.argv, sys.path[0], __package__])
print([getattr(__loader__, "__name__", type(__loader__).__name__), type(__builtins__).__name__])
print(__spec__ and __spec__.name, torch.ones(1).item())
"""


@pytest.mark.slow
def test_the_main_module_is_that_of_python(tmp_path):
    """Scripts, folders, archives and the standard input run as ``python`` runs them."""
    folder = tmp_path / "folder"
    folder.mkdir()
    plain = MAIN.replace("sys, torch", "sys").replace("torch.ones(1).item()", "1.0")
    for program in ("program.py", "./program.py", "folder", "archive.zip", "-"):
        found, expected = [], []
        for text, start, into in ((MAIN, ("-m", "rushlight", "run"), found), (plain, (), expected)):
            write(folder, text, "__main__.py")
            write(tmp_path, text)
            with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
                archive.write(tmp_path / "program.py", "__main__.py")
            done = processes.run(
                [sys.executable, *start, program, "x"], input=text, text=True, cwd=tmp_path,
                stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
            )  # fmt: skip
            into.append(done.stdout)
        assert found == expected


def test_programs_that_cannot_start(tmp_path):
    (tmp_path / "empty").mkdir()
    _, err = python("-m", "rushlight", "run", "empty", cwd=tmp_path, code=2)
    assert "can't find '__main__' module" in err
    write(tmp_path, "x = (")
    _, err = python("-m", "rushlight", "run", "program.py", cwd=tmp_path, code=1)
    assert err.startswith(f'  File "{tmp_path / "program.py"}", line 1')


@pytest.mark.parametrize(
    "path, place",
    [
        ("torch", "rushlight"),
        ("torch.nn.modules.linear", "rushlight.nn.modules.linear"),
        ("torch.nn.modules.no_such", None),
        ("torch.nn.modules.rnn", "rushlight.nn.modules"),
        ("torch.datasets", None),
        ("torch._C", "rushlight._C"),
        ("torch._C._functions", None),
    ],
)
def test_places(path, place):
    found = locate(path)
    assert found == place or (found or "").startswith(f"{place}.")


def test_versions_compare():
    version = TorchVersion("2.13.0+rushlight")
    assert version > "2.9.1" and version >= (2, 13) and version < "2.13.1" and version != "2.13"
    assert not version < "2.13.0" and version < "2.14" and version == "2.13.0+rushlight"
    assert TorchVersion("2.13.0rc1") < "2.13.0" and TorchVersion("2.13.0") == "2.13"
    assert len({version, str(version)}) == 1


def test_classes_are_known_by_either_name(tmp_path):
    """Distributions, nested tensors and schedulers recognise rushlight's classes under PyTorch's names."""
    script = tmp_path / "script.py"
    script.write_text("""
import copy, pickle, torch
from torch.distributions import Bernoulli, LogisticNormal
assert LogisticNormal(0.2, 0.6).sample().shape == (2,)
assert Bernoulli(0.5).expand((3,)).batch_shape == (3,)
nested = torch.nested.nested_tensor([torch.ones(1), torch.ones(2)], layout=torch.jagged)
assert type(pickle.loads(pickle.dumps(nested))) is type(nested) is type(copy.deepcopy(nested))
p = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.SGD([p], 0.1)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 0.5**k)

@torch.compile(fullgraph=True)
def step():
    p.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()

for _ in range(3):
    step()
    scheduler.step()
print(p.tolist())
""")
    done = processes.run(
        [sys.executable, "-m", "rushlight", "run", str(script)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[0.68")
