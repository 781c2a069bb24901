"""In-place functions (``torch.abs_(x)``, ``Tensor.abs_(x)``) do what the methods do."""

import pytest

import rushlight as torch
from rushlight.sparse.container import SparseTensor

NAMES = sorted(n for n in vars(SparseTensor) if n.endswith("_") and not n.endswith("__"))


def made():
    return torch.tensor([[0.0, 0.5], [0.25, 0.0]]).to_sparse()


def jagged():
    parts = [torch.tensor([0.5, 0.25]), torch.tensor([0.125])]
    return torch.nested.nested_tensor(parts, layout=torch.jagged)


def outcome(call, x):
    """The values after the call, and whether it gave its operand; or the kind of its error."""
    try:
        found = call(x)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        return type(error)
    return repr((x._values() if x.is_sparse else x.values()).tolist()), found is x


class Asked(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("is_fast", [True, False])
@pytest.mark.parametrize("make", [made, jagged])
def test_functions_do_what_methods_do(make, is_fast):
    if not is_fast:
        torch.ones(1).as_subclass(Asked)  # from now on all operations ask their operands
    compared = 0
    for name in NAMES:
        for args in ((), (2,)):
            wanted = outcome(lambda x: getattr(x, name)(*args), make())  # noqa: B023
            for place in (torch.Tensor, torch):
                function = getattr(place, name, None)
                if function is None or isinstance(wanted, type):
                    continue
                assert outcome(lambda x: function(x, *args), make()) == wanted, name  # noqa: B023
                compared += 1
    assert compared > 40


def test_another_tensor_is_added_by_the_function():
    x = made()
    assert torch.Tensor.add_(x, made()) is x
    assert x.to_dense().tolist() == [[0, 1], [0.5, 0]]
