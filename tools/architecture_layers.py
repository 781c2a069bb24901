"""The packages of rushlight in layers: which modules each layer holds, and what it imports.

``BOXES`` says where each box stands and which modules it holds. The arrows come from the code: the
imports at the top level of every file in ``rushlight/``. An arrow is left out if it follows from
two others. Imports inside functions are left out, too, because they run at first use and may point
upwards.

``arrows`` stops with a message if a module is in no box, or if a box imports one that stands
higher. Then ``BOXES`` needs a change, or the import does. The tests call it;
``architecture_picture.py`` draws it.
"""

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rushlight"

GREY, BLUE, GREEN, ORANGE, VIOLET = "#eceff1", "#dbe9f8", "#ddf1df", "#fde8cf", "#ebe4f5"
COLUMN, ROW = 1.42, 0.96  # inches from one column, or row, to the next
GAP, BETWEEN = 0.12, 0.36  # inches between the boxes of a row, and between rows


class Box(NamedTuple):
    """A box of the picture.

    Attributes:
        row: The row of its upper edge; row 0 is the lowest.
        rows: How many rows it fills, downwards.
        left, right: The columns where it begins and ends.
        colour: Of its background.
        title: Its first line.
        text: What its modules do, in one or two lines.
        modules: The modules under ``rushlight`` that it holds. If one box names a package and
            another a module in it, the module belongs to the second.
    """

    row: int
    rows: int
    left: float
    right: float
    colour: str
    title: str
    text: str
    modules: str

    @property
    def sides(self):
        """Inches from the left edge of the picture to the box's left and right edge."""
        return self.left * COLUMN + GAP / 2, self.right * COLUMN - GAP / 2

    @property
    def ends(self):
        """Inches from the bottom of the picture to the box's lower and upper edge."""
        return (self.row - self.rows + 1) * ROW, self.row * ROW + ROW - BETWEEN


BOXES = [
    Box(8, 1, 0.4, 4.4, VIOLET, "distributed, functorch", "groups of processes;\nolder names",
        "distributed func.functorch nn.parallel.distributed"),
    Box(7, 1, 3, 3.8, VIOLET, "vision", "torchvision's\nnames", "vision"),
    Box(7, 1, 4.2, 5.4, VIOLET, "demo, cli", "command line", "demo cli __main__"),
    Box(6, 1, 0, 1, GREEN, "optim, amp", "optimizers,\nschedulers",
        "amp optim utils._foreach_utils"),
    Box(6, 1, 1, 2, GREEN, "func, masked", "vmap, jvp; masks;\nflex attention",
        "func masked nn.attention nn.utils._per_sample_grad"),
    Box(6, 1, 2, 3.5, ORANGE, "export, onnx, fx, library, profiler",
        "calls as graphs, and their times;\noperators of users; quantization",
        "ao export fx library onnx profiler quantization quantized autograd.profiler "
        "utils._python_dispatch utils.flop_counter"),
    Box(6, 1, 3.5, 4.5, VIOLET, "utils", "loaders, data sets,\ncheckpoints", "utils datasets hub"),
    Box(6, 1, 4.5, 5.5, VIOLET, "programs", "rushlight run,\nrushlight check", "programs as_torch"),
    Box(5, 1, 0, 2.3, ORANGE, "compiler",
        "torch.compile: record a call, fuse, emit\nLLVM IR, run machine code",
        "compiler _dynamo _inductor"),
    Box(5, 1, 3.2, 5, VIOLET, "serialization", "save and load",
        "_utils futures monitor serialization"),
    Box(5, 1, 2.3, 3.2, GREEN, "distributions", "probability\ndistributions", "distributions"),
    Box(5, 1, 5, 6, VIOLET, "jit, cuda, …", "other names\nthat scripts use",
        "_C _VF __config__ _classes _functorch _guards _higher_order_ops _jit_internal "
        "_prims_common _subclasses _tensor_str accelerator backends cpu cuda cuda_profiler "
        "defaults determinism device_graphs device_memory device_streams devices features "
        "functional graphed jit mps mtia multiprocessing nvtx "
        "opencl private_functions quasirandom "
        "streams symbolic testing types xpu"),
    Box(4, 1, 0, 6, GREEN, "nn", "modules, functions, initialisation", "nn __future__"),
    Box(3, 1, 0, 6, BLUE, "ops, linalg, fft, special, signal, sparse, nested, overrides",
        "every operation in one block: its forward, its gradient rules, its lowering",
        "ops _ops checks composite far_programs foreach linalg fft special signal sparse nested "
        "overrides return_types"),
    Box(2, 1, 0, 3, BLUE, "autograd", "tape, engine, hooks, in-place writes", "autograd"),
    Box(2, 2, 3, 4.5, BLUE, "random, draw", "PyTorch's\nrandom numbers", "random draw"),
    Box(2, 2, 4.5, 6, BLUE, "backend", "NumPy and SciPy, and\nthreads for large arrays", "backend"),
    Box(1, 1, 0, 3, BLUE, "tensor", "the class Tensor: an array and its history",
        "tensor typed_storage utils._pytree utils._pytree_classes utils._pytree_json "
        "utils._pytree_kinds utils._pytree_nodes"),
    Box(0, 1, 0, 6, GREY,
        "errors, dtype, device, meta, shapes, strides, storage, locks, autograd.mode",
        "small files that everything above uses",
        "autograd.mode autograd.recording backend.address backend.sizes device device_array "
        "docstrings dtype errors float8 gc_pause handled late locks meta notices ours precision "
        "printing remote selection serialization.atomic shaped shapes storage storage_conversions "
        "strides threads torch_version version"),
]  # fmt: skip
HOMES = {module: box for box in BOXES for module in box.modules.split()}
HOMES[""] = HOMES["ops"]  # rushlight/__init__.py, which publishes the operations


def home(module):
    """The box that holds ``module``, a name without ``rushlight.``."""
    name = module
    while name and name not in HOMES:
        name = name.rpartition(".")[0]
    if module and not name:
        raise SystemExit(f"{module} is in no box: add it to BOXES")
    return HOMES[name]


def imported(path):
    """The modules of rushlight that a file imports at its top level."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            names = [f"{statement.module}.{alias.name}" for alias in statement.names]
        else:
            continue
        for name in names:
            first, *parts = name.split(".")
            if first == "rushlight":
                yield ".".join(_existing(parts))


def _existing(parts):
    """``parts`` up to the last one that is a module, and not a name inside a module."""
    while parts:
        place = PACKAGE.joinpath(*parts)
        if place.is_dir() or place.with_suffix(".py").exists():
            return parts
        parts = parts[:-1]
    return parts


def arrows():
    """The pairs (box, box that it imports) which do not follow from other pairs."""
    below: dict = {box: set() for box in BOXES}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        box = home(".".join(parts).removesuffix("__init__").removesuffix("."))
        for module in imported(path):
            other = home(module)
            if other is box:
                continue
            if other.row >= box.row - box.rows + 1:
                where = path.relative_to(ROOT)
                raise SystemExit(f"{where} in {box.title!r} imports {module} in {other.title!r}")
            below[box].add(other)
    reach: dict = {}
    for box in sorted(BOXES, key=lambda box: box.row):
        reach[box] = below[box].union(*[reach[other] for other in below[box]])
    for box in BOXES:
        through = set().union(*[reach[other] for other in below[box]])
        for other in sorted(below[box] - through, key=BOXES.index):
            yield box, other
