"""torch.distributed in a world of one, against PyTorch's with gloo."""

import warnings

import pytest

import rushlight
from tests.distributed.cases import (
    CALLS,
    COLLECTIVES,
    OPS,
    STORES,
    VALUES,
    after,
    on_store,
    reduced,
)
from tests.distributed.conftest import begin

pytestmark = pytest.mark.parity
BUILTIN = (ValueError, TypeError, RuntimeError, KeyError, IndexError, AssertionError,
           NotImplementedError, AttributeError)  # fmt: skip


def plain(value):
    """A result in Python's types."""
    if hasattr(value, "tolist"):
        return str(value.dtype).rpartition(".")[2], tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def answer(case, torch):
    """The result of a case, or the type of its error in both packages' terms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(case(torch, torch.distributed))
        except BUILTIN as error:
            name = type(error).__name__
            if name.startswith("Dist") or name == "QueueEmptyError":
                return name
            return next(kind.__name__ for kind in BUILTIN if isinstance(error, kind))


@pytest.fixture
def both():
    torch = pytest.importorskip("torch")
    begin(torch)
    begin(rushlight)

    def compare(case):
        assert answer(case, rushlight) == answer(case, torch)

    yield compare
    torch.distributed.destroy_process_group()
    rushlight.distributed.destroy_process_group()


@pytest.mark.parametrize("name", COLLECTIVES)
def test_collective(both, name):
    both(after(COLLECTIVES[name]))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("op", OPS)
def test_reduction(both, op, value):
    both(reduced(op, value))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("store", STORES)
def test_store(tmp_path, store, call):
    torch = pytest.importorskip("torch")
    case = on_store(lambda d: STORES[store](d, tmp_path), CALLS[call])
    assert answer(case, rushlight) == answer(case, torch)


@pytest.mark.parametrize("options", [
    {"backend": "nope", "rank": 0, "world_size": 1}, {}, {"init_method": "tcp://127.0.0.1:29511"},
    {"init_method": "file:///nowhere"}, {"init_method": "foo://x", "rank": 0, "world_size": 1},
    {"init_method": "tcp://127.0.0.1", "rank": 0, "world_size": 1},
])  # fmt: skip
def test_no_group_without_what_it_needs(options, monkeypatch):
    torch = pytest.importorskip("torch")
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    options = {"backend": "gloo", **options}
    case = lambda t, d: d.init_process_group(**options)
    assert answer(case, rushlight) == answer(case, torch)


@pytest.mark.parametrize("call", [
    "get_rank", "get_world_size", "get_backend", "barrier", "destroy_process_group",
])  # fmt: skip
def test_before_there_is_a_group(call):
    torch = pytest.importorskip("torch")
    case = lambda t, d: getattr(d, call)()
    assert answer(case, rushlight) == answer(case, torch)
