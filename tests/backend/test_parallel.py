"""Work in parts: their order, their errors, and what they leave behind."""

import threading

import numpy as np
import pytest

import rushlight as torch
from rushlight.backend import parallel
from rushlight.threads import _blas


@pytest.fixture(params=[1, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(parallel, "get_num_threads", lambda: request.param)
    return request.param


def blas_threads():
    return [library.get_num_threads() for library in _blas()]


def test_results_come_in_order_and_blas_is_left_as_it_was(threads):
    before, seen = blas_threads(), set()

    def work(i):
        seen.add(threading.get_ident())
        return i, [n for n in blas_threads() if n != 1]

    found = parallel.each(work, list(range(40)))
    assert [i for i, _ in found] == list(range(40))
    assert threads == 1 or not any(other for _, other in found)
    assert len(seen) <= threads
    assert blas_threads() == before


def test_the_first_error_is_raised(threads):
    def work(i):
        if i == 2:
            raise KeyError(i)
        return i

    before = blas_threads()
    with pytest.raises(KeyError):
        parallel.each(work, list(range(8)))
    assert blas_threads() == before
    assert parallel.each(str, [1, 2]) == ["1", "2"]


def test_work_inside_work_stays_on_its_thread(threads):
    def inner(i):
        return threading.get_ident()

    found = parallel.each(
        lambda i: {threading.get_ident(), *parallel.each(inner, [1, 2, 3])}, [1, 2, 3, 4]
    )
    assert threads == 1 or all(len(f) == 1 for f in found)


def test_floating_point_errors_are_handled_as_outside(threads):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        parallel.each(lambda i: np.ones(3) / np.zeros(3), [1, 2, 3])


def test_where_no_thread_can_be_started(threads, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert parallel.each(str, [1, 2, 3]) == ["1", "2", "3"]


def test_parts_cover_all_and_depend_on_size_alone():
    for count, size in ((1, 1), (7, 10), (64, 1 << 20), (5, 1 << 24), (0, 8)):
        parts = parallel.parts(count, size)
        assert [i for p in parts for i in range(count)[p]] == list(range(count))
        assert len(parts) <= parallel.PARTS


def test_layers_do_not_depend_on_the_number_of_threads(monkeypatch):
    x = torch.linspace(-1, 1, 40 * 8 * 28 * 28).reshape(40, 8, 28, 28)
    w = torch.linspace(-1, 1, 16 * 8 * 9).reshape(16, 8, 3, 3)
    found, before = [], torch.get_num_threads()
    torch.set_num_threads(1)  # of the products outside
    for n in (1, 2, 5):
        monkeypatch.setattr(parallel, "get_num_threads", lambda n=n: n)
        given = [x.clone().requires_grad_(), w.clone().requires_grad_()]
        y = torch.nn.functional.max_pool2d(torch.nn.functional.conv2d(*given), 2)
        y.square().sum().backward()
        found.append([y.detach(), *[t.grad for t in given]])
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
