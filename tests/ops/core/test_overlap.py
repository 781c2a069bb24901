"""Writes to memory that overlaps an operand or itself are refused where PyTorch refuses them."""

import pytest

import rushlight as torch
from tests.golden import overlaps as golden

PARTLY = "some elements of the input tensor and the written-to tensor refer to a single memory"

#: Destinations that overlap themselves and that PyTorch writes to in an order of its own; rushlight
#: refuses them. ``docs/differences.md`` has them.
REFUSED = """
    addmv baddbmm bmm cummax cummin fft.ihfftn frobenius_norm histc histogram mv narrow_copy
    nn.functional.avg_pool3d threshold tril triu
""".split()  # noqa: SIM905


def test_as_pytorch():
    wanted, got, wrong, count = golden.load(), golden.ask(torch), [], 0
    for key, outcomes in wanted.items():
        for how, want in outcomes.items():
            found = got.get(key, {}).get(how)
            if want == "error" or found is None:  # the function takes no such argument here
                continue
            count += 1
            on_purpose = want == "ok" and found == "itself" and key.split("/")[0] in REFUSED
            if found != want and not on_purpose:
                wrong.append(f"{key} {how}: {found}, not {want}")
    assert count > 1600
    assert not wrong, "\n".join(wrong)


@pytest.mark.parity
@pytest.mark.slow
def test_the_record_is_pytorchs():
    peer = pytest.importorskip("torch")
    assert golden.ask(peer) == golden.load()


def matrix():
    return torch.arange(9.0).reshape(3, 3)


TWO = torch.tensor([0, 1])
WRITES = {
    "transposed": lambda x: x.add_(x.t()),
    "shifted": lambda x: x[1:].mul_(x[:-1]),
    "one element": lambda x: x.sub_(x[0, 0]),
    "one row": lambda x: x.div_(x[0]),
    "another shape": lambda x: x.unsqueeze(0).add_(x),
    "data": lambda x: x.data.add_(x.t()),
    "another dtype": lambda x: x.view(torch.int32).add_(x.view(torch.int32).t()),
    "copy": lambda x: x.copy_(x.t()),
    "assigned": lambda x: x.__setitem__(slice(1, None), x[:-1]),
    "assigned by a tensor": lambda x: x.__setitem__(TWO, x[1:]),
    "out": lambda x: torch.exp(x.t(), out=x),
    "out of a composite": lambda x: torch.where(x > 1, x, x.t(), out=x),
    "in a list": lambda x: torch.cat([x], out=x),
    "index_add": lambda x: x.index_add_(0, TWO, x[:2]),
    "itself, where each index reads another": lambda x: x.scatter_(0, TWO.view(1, 2), x),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("way", ["eager", "with a history", "compiled"])
def test_overlap_is_refused(name, way):
    x, write = matrix(), WRITES[name]
    if way == "with a history" and name.startswith(("out", "in a list")):
        return  # these record no history
    if way == "with a history":
        x = x.requires_grad_() * 1
    with pytest.raises(RuntimeError, match=PARTLY):
        (torch.compile(write) if way == "compiled" else write)(x)
    assert x.tolist() == matrix().tolist()


def test_the_arguments_of_a_compiled_function_overlap():
    add = torch.compile(lambda x, y: x.add_(y))
    add(matrix(), matrix())
    x = matrix()
    with pytest.raises(RuntimeError, match=PARTLY):
        add(x, x.t())
    assert add(x, x).tolist() == (2 * matrix()).tolist()


@pytest.mark.parametrize("way", ["eager", "with a history", "compiled"])
@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.mul_(x),
        lambda x: x.add_(x.detach().view(9).view(3, 3)),
        lambda x: x[0].add_(x[1]),
        lambda x: x[:, 1:].add_(x[:, :-1] * 0 + 1),
        lambda x: x.__setitem__(slice(0, 2), x[0]),  # an expanded value is not checked
        lambda x: x.__setitem__(0, x[0, 1]),
        lambda x: x.__setitem__(None, x),
        lambda x: x.masked_fill_(x.t() > 2, x[1, 1]),
        lambda x: x.__setitem__(TWO, x[TWO]),
    ],
)
def test_what_pytorch_takes(write, way):
    x = matrix()
    if way == "with a history":
        x = x.requires_grad_() * 1
    (torch.compile(write) if way == "compiled" else write)(x)


def test_arrays_of_two_storages_are_not_compared():
    import numpy as np

    a = np.arange(4.0)
    x, y = torch.from_numpy(a[1:]), torch.from_numpy(a[:-1])
    assert x.add_(y).tolist() == [1.0, 3.0, 5.0]


def test_calls_that_repeat_are_not_replayed_on_overlapping_memory():
    for _ in range(20):
        x = matrix()
        x.add_(matrix())
        with pytest.raises(RuntimeError, match=PARTLY):
            x.add_(x.t())


@pytest.mark.filterwarnings("ignore:Use of masked_fill_ on expanded tensors")  # as PyTorch's
def test_expanded_tensors_are_filled_with_numbers_only():
    x = torch.zeros(1).expand(3)
    assert x.fill_(2).tolist() == [2.0, 2.0, 2.0]
    assert x.masked_fill_(torch.tensor([True, False, False]), 3).tolist() == [3.0, 3.0, 3.0]
    far = torch.empty(1, device="meta")  # writes take a longer way while other devices are in use
    assert x.masked_fill_(torch.tensor([False, True, False]), 4).tolist() == [4.0, 4.0, 4.0]
    assert far.is_meta
    for write in (lambda: x.fill_(torch.tensor(1.0)), lambda: x.copy_(1.0)):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            write()
