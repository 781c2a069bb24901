"""torch.futures: results of other threads."""

import pickle
import threading

import pytest

from rushlight.futures import Future, collect_all, wait_all


def test_a_result_of_another_thread():
    future = Future()
    threading.Timer(0.01, future.set_result, (5,)).start()
    assert future.wait() == 5
    assert future.done()


def test_callbacks_run_at_once_if_the_result_is_there():
    future, seen = Future(), []
    future.add_done_callback(lambda f: seen.append(f.value()))
    future.set_result(1)
    future.add_done_callback(lambda f: seen.append(f.value() + 1))
    assert seen == [1, 2]


def test_errors_are_raised_by_wait_value_and_then():
    future = Future()
    after = future.then(lambda f: f.value() + 1)
    future.set_exception(KeyError("no"))
    for call in (future.wait, future.value):
        with pytest.raises(KeyError):
            call()
    with pytest.raises(RuntimeError, match="when running the callback: KeyError: 'no'"):
        after.wait()
    with pytest.raises(AssertionError, match="not an Exception"):
        Future().set_exception(3)


def test_a_future_completes_once():
    future = Future()
    with pytest.raises(RuntimeError, match="before the future is completed"):
        future.value()
    future.set_result(1)
    with pytest.raises(RuntimeError, match="only be marked completed once"):
        future.set_result(2)


def test_many_futures():
    a, b = Future(), Future()
    both = collect_all([a, b])
    b.set_result(2)
    assert not both.done()
    a.set_result(1)
    assert both.wait() == [a, b]
    assert wait_all([a, b]) == [1, 2]
    assert collect_all([]).wait() == []
    c, d, e = Future(), Future(), Future()
    three = collect_all([c, d, e])
    e.set_exception(KeyError("e"))
    c.set_result(1)
    d.set_exception(ValueError("d"))
    with pytest.raises(ValueError, match="d"):  # the first in the list, not in time
        three.wait()
    for call in (collect_all, wait_all):
        with pytest.raises(RuntimeError, match="number 1 is"):
            call([a, None])
    with pytest.raises(RuntimeError, match="Can not pickle"):
        pickle.dumps(a)


def test_a_future_of_a_type():
    assert Future[int]().done() is False


def test_a_callback_that_raises_keeps_no_other_from_running(caplog):
    future, seen = Future(), []
    future.add_done_callback(lambda done: 1 / 0)
    future.add_done_callback(lambda done: seen.append(done.value()))
    future.set_result(3)
    assert seen == [3]
    assert "a callback raised an error" in caplog.text
