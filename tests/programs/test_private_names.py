"""Names that are private in PyTorch: libraries import them, and they work."""

from tests.programs.test_run import python, write

DISTRIBUTIONS = """
import torch
from torch import distributions
from torch.distributions.multivariate_normal import (
    Distribution, _batch_mahalanobis, _batch_mv, _precision_to_scale_tril,
)
from torch.distributions.transforms import _InverseTransform
from torch.distributions.utils import _sum_rightmost

constraints = distributions.constraints
assert Distribution is distributions.Distribution
assert isinstance(constraints.positive, constraints._GreaterThan)
assert isinstance(distributions.transforms.ExpTransform().inv, _InverseTransform)
L = _precision_to_scale_tril(torch.eye(2) / 4)
assert torch.equal(L, 2 * torch.eye(2)) and _batch_mahalanobis(L, torch.ones(2)) == 0.5
assert _batch_mv(L, torch.ones(2)).tolist() == [2, 2] == _sum_rightmost(L, 1).tolist()

class Foreign:
    pass

@distributions.register_kl(Foreign, Foreign)
def divergence(p, q):
    return 7

assert distributions.kl_divergence(Foreign(), Foreign()) == 7
"""
OTHERS = """
import warnings
import torch
from torch._jit_internal import BroadcastingList2, _copy_to_script_wrapper, boolean_dispatch
from torch._tensor_str import PRINT_OPTS, _add_suffixes, _tensor_str
from torch.nn import _reduction
from torch.nn.utils.stateless import _reparametrize_module
from torch.utils import _foreach_utils, checkpoint, hooks
import torch.cuda.nvtx, torch.onnx.symbolic_helper
import torch.utils.data.graph_settings
from torch._functorch.eager_transforms import jacrev
from torch.accelerator.memory import memory_allocated
from torch.export.exported_program import ExportedProgram
from torch.masked.maskedtensor import MaskedTensor
from torch.optim._muon import Muon
from torch.utils.data.datapipes.iter.combining import _ChildDataPipe

assert Muon is torch.optim.Muon and jacrev is torch.func.jacrev
assert ExportedProgram is torch.export.ExportedProgram
parts = torch.utils.data.datapipes.iter.IterableWrapper([1, 2]).fork(2)
assert type(parts[0]) is _ChildDataPipe and list(parts[1]) == [1, 2]
aten = torch.ops.aten
x = torch.arange(4.0)
copy = aten._to_copy.default(x, dtype=torch.int32)
assert copy.tolist() == [0, 1, 2, 3] and aten.slice(x, 0, 1, 4, 2).tolist() == [1, 3]
assert aten._to_copy(x).data_ptr() != x.data_ptr() == aten.alias(x).data_ptr()
assert torch._C._get_tracing_state() is None and torch._C._get_default_device() == "cpu"
assert _reduction.get_enum("sum") == 2
assert _reduction.legacy_get_string(True, False, emit_warning=False) == "none"
choose = boolean_dispatch("flag", 1, False, max, min, "here", "choose")
assert boolean_dispatch("flag", 0, True, lambda flag=True: 1, lambda flag: 2, "", "f")(False) == 2
assert _tensor_str(x, 8) == "[0., 1., 2., 3.]" and PRINT_OPTS.precision == 4
assert _add_suffixes("a(", ["b"], 2, True) == "a(,\\n  b)"
layer = torch.nn.Linear(1, 1, bias=False)
with _reparametrize_module(layer, {"weight": torch.tensor([[3.0]])}):
    assert layer(torch.ones(1)).item() == 3
assert torch.nn.init._no_grad_uniform_(torch.zeros(3), 2, 3).min() >= 2
groups = _foreach_utils._group_tensors_by_device_and_dtype([[x, copy], [None, 5]], True)
assert [(lists[1], places) for lists, places in groups.values()] == [([None], [0]), ([5], [1])]
assert checkpoint.get_device_states(x) == ([], []) and not torch.cuda._initialized
try:
    torch.cuda.nvtx.range_push("x")
except RuntimeError as error:
    assert "NVTX" in str(error)
else:
    raise AssertionError
y = torch.ones(1, requires_grad=True)
y.register_hook(hooks.unserializable_hook(lambda g: g))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    hooks.warn_if_has_hooks(y)
    y.register_hook(lambda g: g)
    hooks.warn_if_has_hooks(y)
assert len(told) == 1
with torch.jit.optimized_execution(False):
    assert torch.Tensor.grad.__get__ in torch.overrides.get_default_nowrap_functions()
"""


def test_distributions(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, DISTRIBUTIONS), cwd=tmp_path)


def test_others(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, OTHERS), cwd=tmp_path)


OVERRIDABLE = """
import torch

functions = torch.overrides.get_overridable_functions()
ignored = torch.overrides.get_ignored_functions()
assert torch.add in functions[torch] and torch.Tensor.view in functions[torch.Tensor]
assert torch.typename in ignored and torch.set_num_threads in ignored and torch.add not in ignored
"""


def test_overridable_functions_are_found_under_torch(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, OVERRIDABLE), cwd=tmp_path)


SMALL = """
import collections, threading, warnings
import torch
from torch._utils import ExceptionWrapper
from torch.cuda.memory import memory_allocated
from torch.export.dynamic_shapes import Dim
from torch.utils._pytree import PyTreeSpec, TreeSpec, is_namedtuple
from torch.utils.data import ConcatDataset, IterDataPipe, MapDataPipe

assert memory_allocated is torch.cuda.memory_allocated and Dim is torch.export.Dim
Point = collections.namedtuple("Point", "x y")
assert PyTreeSpec is TreeSpec and is_namedtuple(Point) and is_namedtuple(Point(1, 2))
assert not is_namedtuple((1, 2)) and not is_namedtuple(torch.max(torch.ones(2), 0))
for kind, error in ((ValueError, ValueError), (KeyError, KeyError), (UnicodeDecodeError, RuntimeError)):
    try:
        raise kind("wrong") if kind is not UnicodeDecodeError else kind("a", b"", 0, 1, "b")
    except kind:
        caught = ExceptionWrapper(where="in thread 1")
    try:
        caught.reraise()
    except error as raised:
        assert str(raised).startswith(f"Caught {kind.__name__} in thread 1.\\nOriginal Traceback")
    else:
        raise AssertionError
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    assert ConcatDataset([[1, 2], [3]]).cummulative_sizes == [2, 3] and len(told) == 1
assert not issubclass(ConcatDataset, MapDataPipe | IterDataPipe)
x = torch.ones(4)
assert x[1:].untyped_storage()._cdata == x.untyped_storage()._cdata
assert x.clone().untyped_storage()._cdata != x.untyped_storage()._cdata
assert not x.untyped_storage().is_shared() and x.share_memory_().untyped_storage().is_shared()
"""


def test_small_names_of_libraries(tmp_path):
    python("-m", "rushlight", "run", write(tmp_path, SMALL), cwd=tmp_path)
