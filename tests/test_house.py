"""Rules of the house: calls per operation, imports, exports, the coverage page."""

import ast
import contextlib
import functools
import gc
import sys
from collections import Counter
from pathlib import Path

import pytest

import rushlight as torch
from rushlight.ops.core.definition import FUNCTIONS, OPS
from rushlight.ops.core.replays import ALL
from tests import processes

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rushlight"


def python_calls(f):
    """How many Python functions ``f()`` calls, itself not counted."""
    count = -1

    def profile(frame, event, argument):
        nonlocal count
        count += event == "call"

    f()
    gc.collect()  # classes that are gone say so now, and not while calls are counted
    with without_replays():
        sys.setprofile(profile)
        try:
            f()
        finally:
            sys.setprofile(None)
    return count


@contextlib.contextmanager
def without_replays():
    """A context in which functions compute each call themselves, as their first calls."""
    known = [(x, x.run) for x in ALL]
    for x, _ in known:
        x.run = None
    try:
        yield
    finally:
        for x, was in known:
            x.run = was


pytestmark = pytest.mark.usefixtures("nothing_intercepts")


A, B = torch.ones(8, 8), torch.ones(8, 8)
W = torch.ones(8, 8, requires_grad=True)


@pytest.mark.parametrize(
    "f, calls",
    [
        (lambda: A * B, 1),  # the operator's closure; the forward is Python's own operator
        (lambda: W + A, 1),
        (lambda: A * 2.0, 1),
        (lambda: A.exp(), 2),  # the closure and the forward
        (lambda: W.exp(), 2),
        (lambda: A / B, 1),
    ],
)
def test_python_calls_per_operation(f, calls):
    assert python_calls(f) == calls


def test_python_calls_of_a_backward_step():
    y = W * 2.0
    for _ in range(9):
        y = y * 2.0
    ten = python_calls(lambda: y.backward(A, retain_graph=True))
    for _ in range(10):
        y = y * 2.0
    twenty = python_calls(lambda: y.backward(A, retain_graph=True))
    assert (twenty - ten) // 10 <= 3  # the step, the rule, conj


#: The core from below, then the compiler's stages. What stands beside them may import anything.
LAYERS = [
    "locks", "late", "errors", "notices", "precision", "dtype", "shapes", "device", "shaped", "backend", "autograd.recording",
    "autograd.mode", "meta", "tensor",
    "autograd", "ops", "nn", "optim", "compiler.ir", "compiler.capture", "compiler.plan",
    "compiler.codegen", "compiler.cpu", "compiler.run", "compiler.replay", "compiler.python",
    "compiler.calls", "compiler.explanation",
]  # fmt: skip
#: Arrows that point upward: an optimizer's step in a recorded call, of which there is none before.
UPWARD = {
    "optim.traced imports compiler.capture.symbolic_numbers",
}


def _layer(module):
    """The position of a module in the house; None for what stands beside it."""
    best = None
    for i, name in enumerate(LAYERS):
        if module == name or module.startswith(name + "."):
            best = i if best is None or len(name) > len(LAYERS[best]) else best
    return best


@functools.cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True, scope="module")
def trees_go():
    """The trees are two million objects, which later tests need not look through for garbage."""
    yield
    parsed.cache_clear()


def imports(path):
    """The modules that a file imports from the package, inside functions, too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rushlight"):
            for name in node.names:
                full = f"{node.module}.{name.name}".removeprefix("rushlight.")
                file = PACKAGE / full.replace(".", "/")
                known = file.is_dir() or file.with_suffix(".py").exists()
                yield full if known else full.rpartition(".")[0]


def test_modules_import_only_what_stands_below():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        own = _layer(module)
        if own is None:
            continue
        for other in imports(path):
            position = _layer(other)
            if position is not None and position > own:
                found.add(f"{module} imports {other}")
    assert found == UPWARD


#: What serves every operation, and so knows none by name.
MECHANISM = (
    "autograd/*.py backend/native.py nn/functional/__init__.py tensor.py "
    "ops/core/argument_kinds.py ops/core/arguments.py ops/core/autocast.py ops/core/closures.py "
    "ops/core/definition.py ops/core/dispatch.py ops/core/fast_path.py ops/core/guard.py "
    "ops/core/in_place.py ops/core/kinds.py ops/core/outputs.py ops/core/promotion.py "
    "compiler/**/*.py"
)
#: What looks like lists of operations, and is none.
ALLOWED = {
    "autograd/graph.py": "modes of a hook of several tensors",
    "compiler/capture/symbolic_numbers.py": "methods of Python's numbers",
    "compiler/device/complex_values.py": "roles of equations",
    "compiler/codegen/memory.py": "ways to combine two values",
    "compiler/codegen/namespace.py": "NumPy's functions, of which forwards are written",
    "compiler/replay/fusing.py": "NumPy's functions, whose loops are joined",
}


def lists_of_operations(path):
    """Lines on which a list, a set or a table names several operations; ``__all__`` may."""
    tree = parsed(path)
    exported = [
        n.value
        for n in tree.body
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
    ]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set, ast.Dict)) and node not in exported:
            items = node.keys if isinstance(node, ast.Dict) else node.elts
            words = " ".join(
                [v.value for v in items if type(getattr(v, "value", 0)) is str]
            ).split()
        elif isinstance(node, ast.Constant) and type(node.value) is str:
            words = node.value.split() if node.value.count(" ") > 2 else []
        else:
            continue
        known = [w for w in words if w in OPS or w in FUNCTIONS]
        if len(known) > 1 and len(known) * 2 > len(words):
            yield node.lineno, known


def names_compared(path):
    """Lines on which the name of an operation decides something."""
    for node in ast.walk(parsed(path)):
        asked = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("op.name.startswith"):
            asked = [node.func.value]
        if any(ast.unparse(x).endswith("op.name") for x in asked):
            yield node.lineno, ast.unparse(node)


def test_an_operation_is_named_in_its_block_alone():
    for path in [p for pattern in MECHANISM.split() for p in PACKAGE.glob(pattern)]:
        name = path.relative_to(PACKAGE).as_posix()
        found = [] if name in ALLOWED else list(lists_of_operations(path))
        assert not found, f"{name} lists operations: {found}"
        found = list(names_compared(path))
        assert not found, f"{name} asks for the names of operations: {found}"


def _bound(path):
    """The names that a module's statements bind, those in branches left out."""
    for node in parsed(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            yield from [n.id for n in names if isinstance(n.ctx, ast.Store)]


def test_a_module_binds_each_name_once():
    """A second constant of the same name changes functions that were written for the first one."""
    for path in PACKAGE.rglob("*.py"):
        found = Counter(_bound(path))
        assert len(found) == found.total(), f"{path}: {found.most_common(1)}"


#: Functions that make a tensor, on the CPU unless a device is given.
MAKERS = {
    "arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn", "randperm",
    "tensor", "zeros",
}  # fmt: skip
#: What is rightly on the CPU: numbers, indices, lengths, and what a checkpoint or a user moves.
ON_THE_CPU = {
    "distributions/multinomial.py: rushlight.tensor(n + 1.0",
    "distributions/transforms/elementwise.py: rushlight.tensor(exponent)",
    "distributions/utils.py: rushlight.tensor(np.flatnonzero",
    "nn/init.py: rushlight.full((), bound",
    "nn/init.py: rushlight.randperm(rows)",
    "nn/modules/batchnorm.py: rushlight.zeros(()",
    "nn/modules/lazy_batchnorm.py: rushlight.zeros(()",
    "nn/parameter.py: rushlight.empty(0)",
    "nn/utils/clip_grad.py: rushlight.zeros(())",
    "nn/utils/pruning_methods.py: rushlight.rand(channels)",
    "nn/utils/rnn.py: rushlight.tensor([sum(",
    "nn/utils/rnn.py: rushlight.tensor(sizes)",
}


def _without_device(path):
    """The calls in a file that make a tensor without saying where."""
    for node in ast.walk(parsed(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        of = node.func.value
        makes = isinstance(of, ast.Name) and of.id == "rushlight" and node.func.attr in MAKERS
        if makes and not any(k.arg in ("device", None) for k in node.keywords):
            yield f"{path.relative_to(PACKAGE).as_posix()}: {ast.unparse(node)}"


def test_tensors_are_made_beside_the_callers():
    """A tensor that is combined with a caller's must be made on the caller's device."""
    found = [
        call
        for folder in ("distributions", "nn", "optim", "func", "amp")
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for call in _without_device(path)
        if not call.startswith(tuple(ON_THE_CPU))
    ]
    assert not found


def test_the_package_never_imports_pytorch():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [getattr(node, "module", "") or ""]
            )
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert not any(n.split(".")[0] == "torch" for n in names), path


def test_importing_is_light():
    heavy = (
        "scipy",
        "matplotlib",
        "multiprocessing",
        "llvmlite",
        "safetensors",
        "tqdm",
        "rushlight.nn",
        "rushlight.utils",
    )
    code = f"import sys, rushlight; print([m for m in {heavy!r} if m in sys.modules])"
    found = processes.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert found.strip() == "[]"


@pytest.mark.slow
def test_no_process_of_a_test_may_hang():
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "subprocess.run":
                given = {k.arg for k in node.keywords}
                assert "timeout" in given or path.name == "processes.py", (path, node.lineno)


def test_coverage_page_is_up_to_date():
    done = processes.run(
        [sys.executable, "tools/coverage_page.py", "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_packages_import_only_what_stands_below_them(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import architecture_layers

    assert list(architecture_layers.arrows())


def test_every_first_name_exists(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import coverage_page as page

    missing = [f"{space}.{name}" for space, name, _, area in page.rows()
               if area == "first" and not hasattr(page.namespace(space), name)]  # fmt: skip
    assert missing == []


def test_unknown_names_say_where_to_look():
    with pytest.raises(AttributeError, match=r"coverage\.md"):
        _ = torch.no_such_name
