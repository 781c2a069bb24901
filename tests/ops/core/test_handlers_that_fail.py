"""The error of a handler of functions ends the call: the handler is not asked again.

The short paths of operations catch errors of many types, after which they take the full path. What
the full path asks of a handler must stand outside of such a ``try``.
"""

import re

import pytest

import rushlight as torch
from rushlight.overrides import TorchFunctionMode
from tests import conformance as c
from tests.daily import drawn
from tests.samples import SAMPLES

ERRORS = (TypeError, AttributeError, ValueError, IndexError, OverflowError, RuntimeWarning)


class Failing(TorchFunctionMode):
    """Raises ``error`` at each call, and counts the calls."""

    def __init__(self, error):
        super().__init__()
        self.error, self.asked = error, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.asked.append(func.__name__)
        raise self.error


def by_operation():
    found = {}
    for s in SAMPLES.values():
        found.setdefault(re.sub(r"-\d+$", "", s.name), []).append(s)
    return [samples[i] for name, samples in found.items() for i in drawn(samples, 1, name)]


def test_a_function_whose_parts_ask():
    failing = Failing(TypeError("of the handler"))
    with pytest.raises(TypeError) as caught, failing:
        torch.nn.functional.tanh(torch.ones(2))
    assert caught.value is failing.error and len(failing.asked) == 1


@pytest.mark.parametrize("kind", ERRORS)
def test_a_handler_that_fails_is_asked_once(kind):
    again = []
    for sample in by_operation():
        given = c.tensors(torch, sample)
        failing = Failing(kind("of the handler"))
        try:
            with failing:
                sample.call(torch, *given)
        except Exception as error:
            if len(failing.asked) > 1 or (failing.asked and error is not failing.error):
                again.append((sample.name, failing.asked, repr(error)))
    assert not again
