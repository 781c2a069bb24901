"""Names from inside PyTorch that libraries import: they do here what they do there."""

import importlib
from datetime import datetime, timedelta

import pytest

import rushlight as torch
from rushlight.func.experimental import chunk_vmap
from rushlight.multiprocessing import reductions
from rushlight.utils._dtype_abbrs import dtype_abbrs
from tests.programs.test_run import python, write

IMPORTS = """
import torch, torch.monitor, torch.multiprocessing.reductions, torch.profiler.itt
from functorch.experimental import chunk_vmap
from functorch.experimental.control_flow import cond
from torch._utils import is_compiling
from torch.multiprocessing.reductions import ForkingPickler, StorageWeakRef, reduce_tensor
from torch.nn.utils.prune import _compute_nparams_toprune, _validate_pruning_amount
from torch.utils._mode_utils import no_dispatch

make, args = reduce_tensor(torch.arange(3))
assert make(*args).tolist() == [0, 1, 2] and not is_compiling()
assert torch.compile(lambda x: x + is_compiling())(torch.zeros(1)) == 1
"""


def test_libraries_import_them(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, IMPORTS), cwd=tmp_path)


#: Modules that programs reach as attributes after ``import torch`` alone, as PyTorch imports them.
REACHED = """
import torch

torch.fx._pytree, torch.fx.experimental.proxy_tensor.make_fx, torch.fx.passes.infra.pass_base
torch.jit.annotations, torch.multiprocessing.reductions, torch.nested._internal.nested_tensor
torch.nn._reduction, torch.nn.common_types._size_2_t, torch.nn.parallel.distributed
torch.nn.utils._named_member_accessor, torch.profiler.itt, torch._subclasses.fake_tensor
torch.testing._comparison, torch.utils._contextlib, torch.utils._dtype_abbrs
torch.utils._foreach_utils, torch.utils._mode_utils, torch.utils._python_dispatch
torch.utils.data.graph, torch.utils.data.graph_settings, torch.utils.weak.WeakIdKeyDictionary
assert not hasattr(torch.nn, "no_such_module") and not hasattr(torch.nn, "__wrapped__")
"""


def test_modules_are_reached_without_an_import_of_their_own(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, REACHED), cwd=tmp_path)


def test_chunks_of_vmap():
    x, y = torch.randn(5, 3), torch.randn(3, 5)
    for chunks in (1, 2, 5, 9):
        found = chunk_vmap(torch.dot, in_dims=(0, 1), chunks=chunks)(x, y)
        torch.testing.assert_close(found, (x * y.mT).sum(1))
    with pytest.raises(ValueError, match="at least 1"):
        chunk_vmap(torch.sum, chunks=0)


def test_a_reference_to_a_storage_does_not_keep_it():
    x = torch.ones(4)
    refs = {reductions.StorageWeakRef(t.untyped_storage()) for t in (x, x[1:], x.view(2, 2))}
    (ref,) = refs
    assert ref != reductions.StorageWeakRef(x.clone().untyped_storage()) and not ref.expired()
    del x
    assert ref.expired()


def test_shapes_by_tensor():
    batch, time = torch.export.dims("batch", "time", min=2)
    x, y = torch.ones(3, 4), torch.ones(5, 4)
    shapes = torch.export.ShapesCollection()
    shapes[x] = {0: batch}
    shapes[y][0] = time

    class Join(torch.nn.Module):
        def forward(self, x, others):
            return torch.cat([x, others["y"]])

    program = torch.export.export(Join(), (x, {"y": y}), dynamic_shapes=shapes)
    assert program.module()(torch.ones(7, 4), {"y": torch.ones(2, 4)}).shape == (9, 4)
    with pytest.raises(ValueError, match="not found in args"):
        shapes.dynamic_shapes(Join(), (x, {"y": y.clone()}))
    with pytest.raises(AssertionError, match="do not match"):
        shapes[x] = {1: batch}
    with pytest.raises(AssertionError, match="must be a tensor"):
        shapes[3] = {0: batch}


def run_monitor(torch):
    """What handlers see of one program; both frameworks run it."""
    monitor = torch.monitor
    seen = []
    handle = monitor.register_event_handler(lambda event: seen.append((event.name, event.data)))
    # PyTorch leaves VALUE out of what a Stat gives.
    kinds = [k for name, k in monitor.Aggregation.__members__.items() if name != "VALUE"]
    stat = monitor.Stat("all", kinds, timedelta(hours=10), 3)
    counts = []
    for i in range(7):
        stat.add(float(i))
        counts.append((stat.count, {k.name: v for k, v in stat.get().items()}))
    del stat
    short = monitor.Stat("short", [monitor.Aggregation.SUM], timedelta(hours=10))
    short.add(2)
    del short
    monitor.log_event(monitor.Event("own", datetime(2026, 1, 1), {"a": 1, "b": "c", "d": 2.5}))
    monitor.unregister_event_handler(handle)
    monitor.log_event(monitor.Event("unseen", datetime(2026, 1, 1), {}))
    wrong = []
    for data in ({"a": [1]}, {1: 2}):
        try:
            monitor.Event("x", datetime(2026, 1, 1), data)
        except TypeError:
            wrong.append(data)
    return seen, counts, wrong


@pytest.mark.parity
def test_monitor_as_pytorch():
    import torch as pytorch

    import rushlight

    assert run_monitor(rushlight) == run_monitor(pytorch)


@pytest.mark.parity
def test_helpers_as_pytorch():
    import torch as pytorch
    from torch.utils._dtype_abbrs import dtype_abbrs as theirs

    names = {str(kind): name for kind, name in theirs.items()}
    assert {str(kind): name for kind, name in dtype_abbrs.items()}.items() <= names.items()
    for t in (torch, pytorch):
        t.manual_seed(0)
    cycle, their_cycle = torch.optim.lr_scheduler.OneCycleLR, pytorch.optim.lr_scheduler.OneCycleLR
    for name in ("_annealing_cos", "_annealing_linear"):
        args = 0.3, 2.0, 0.7
        assert getattr(cycle, name)(*args) == getattr(their_cycle, name)(*args)
    assert results_of_pruning(torch) == results_of_pruning(pytorch)
    assert masks(torch) == masks(pytorch)


def results_of_pruning(torch):
    prune = importlib.import_module(f"{torch.__name__}.nn.utils.prune")
    found = []
    for amount in (0, 3, 0.5, 9, -1, 1.5, "a"):
        for call in (
            lambda amount: prune._validate_pruning_amount_init(amount),
            lambda amount: prune._validate_pruning_amount(amount, 7),
            lambda amount: prune._compute_nparams_toprune(amount, 7),
        ):
            try:
                found.append(call(amount))
            except (TypeError, ValueError) as error:
                found.append(type(error))
    x = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    found += [prune._compute_norm(x, n, dim).tolist() for n in (1, 2) for dim in (0, -1)]
    for shape in ((3,), (3, 4)):
        try:
            found.append(prune._validate_structured_pruning(torch.ones(shape)))
        except ValueError as error:
            found.append(type(error))
    return found


def masks(torch):
    m = torch.masked
    x, mask = torch.ones(2, 3), torch.tensor([True, False, False])
    both = torch.tensor([[True, False, False], [False, False, False]])
    found = [m._input_mask(x, mask=mask).tolist()]
    for op, args, kwargs in (
        (m.sum, (), {}), (m.sum, (1,), {}), (m.amax, (), {"dim": (0, 1), "keepdim": True}),
        (m.norm, (2.0, -1), {}), (m.softmax, (0,), {}), (m.cumsum, (0,), {}), (m.argmin, (0,), {}),
    ):  # fmt: skip
        found.append(m._output_mask(op, x, *args, mask=both, **kwargs).tolist())
    for call in (lambda: m._input_mask(x), lambda: m._output_mask(max, x, mask=mask),
                 lambda: m._input_mask(x, mask=torch.ones(1, 2, 3))):  # fmt: skip
        try:
            found.append(call())
        except (ValueError, IndexError) as error:
            found.append(type(error))
    return found
