"""torch.compiler's stances and marks, and the names under torch._dynamo that scripts use."""

import copy
import random
import time

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn


def counted():
    """A compiled function, and how often its Python ran."""
    ran = []
    note = torch.compiler.assume_constant_result(lambda: ran.append(1))  # what it does is not read

    @torch.compile
    def f(x):
        if not torch.compiler.is_compiling():
            note()
        return x * 2

    return f, ran


def test_force_eager():
    f, ran = counted()
    f(torch.ones(2))
    with torch.compiler.set_stance("force_eager"):
        assert f(torch.ones(2)).tolist() == [2, 2] and len(ran) == 1
    f(torch.ones(2))
    assert len(ran) == 1

    @torch.compiler.set_stance("force_eager")
    def g():
        return f(torch.ones(2))

    f(torch.ones(2))
    assert len(ran) == 1
    g()
    f(torch.ones(2))
    assert len(ran) == 2 and f._compiled.count == 1


def test_stances_for_calls_that_no_program_is_for():
    f, ran = counted()
    with torch.compiler.set_stance("eager_on_recompile"):
        f(torch.ones(2))
        assert len(ran) == 1 and f._compiled.count == 0
    f(torch.ones(2))
    with torch.compiler.set_stance("fail_on_recompile"):
        assert f(torch.ones(2)).tolist() == [2, 2]
        with pytest.raises(RuntimeError, match=r"test_directives.*Detected recompile .*counted"):
            f(torch.ones(3))
    torch.compiler.set_stance("eager_on_recompile")
    try:
        f(torch.ones(2))
        f(torch.ones(3))
        assert len(ran) == 2 and f._compiled.count == 1
    finally:
        torch.compiler.set_stance("default")
    f(torch.ones(3))
    assert f._compiled.count == 2


def test_a_first_call_that_runs_eagerly():
    f, ran = counted()
    with torch.compiler.set_stance("eager_then_compile"):
        for n in (2, 2, 3):
            f(torch.ones(n))
    assert len(ran) == 1 and f._compiled.count == 2


def test_stances_that_are_refused():
    with pytest.raises(RuntimeError, match=r"invalid torch.compile stance 'fast'"):
        torch.compiler.set_stance("fast")
    with pytest.raises(RuntimeError, match="force_backend"):
        torch.compiler.set_stance("force_eager", force_backend="eager")

    def f(x):
        torch.compiler.set_stance("force_eager")
        return x

    with pytest.raises(RuntimeError, match="can only be set outside"):
        torch.compile(f, fullgraph=True)(torch.ones(1))


def test_constant_results():
    drawn = []

    @torch.compiler.assume_constant_result
    def scale(n):
        drawn.append(n)
        time.time()
        return torch.arange(float(n)).sum().item(), torch.full((1,), float(n))

    f = torch.compile(lambda x: x * scale(3)[0] + scale(2)[1], fullgraph=True)
    for k in range(3):
        assert f(torch.full((1,), float(k))).item() == 3 * k + 2
    assert drawn == [3, 2] and f._compiled.count == 1
    assert scale(4)[0] == 6


def test_marks_that_change_nothing():
    def f(x):
        return x + 1

    c = torch.compiler
    assert c.allow_in_graph(f) is f and c.allow_in_graph([f])[0] is f
    assert c.nested_compile_region(f) is f and c.nested_compile_region()(f) is f
    with pytest.raises(AssertionError, match="expects a callable"):
        c.allow_in_graph(3)

    @c.substitute_in_graph(random.getrandbits, skip_signature_check=True)
    def bits(k):
        raise NotImplementedError

    assert 0 <= bits(3) < 8
    with pytest.raises(TypeError, match="expects a function but got <class 'int'>"):
        c.substitute_in_graph(int)
    assert c.cudagraph_mark_step_begin() is None
    assert c.list_backends() == ["inductor"]
    c.set_default_backend("eager")
    assert c.get_default_backend() == "eager"
    c.set_default_backend(None)
    assert c.get_default_backend() == "inductor"


def test_whether_a_call_is_traced():
    seen = []

    def f(x):
        seen.append((torch.compiler.is_dynamo_compiling(), torch.compiler.is_exporting()))
        return x * 2

    f(torch.ones(1))
    with pytest.warns(UserWarning, match="running eagerly"):  # the list grows
        torch.compile(f)(torch.ones(1))
    assert seen == [(False, False), (False, False)]
    flags = torch.compile(lambda x: x * torch.compiler.is_dynamo_compiling(), fullgraph=True)
    assert flags(torch.ones(1)).item() == 1
    net = nn.Identity()
    net.forward = lambda x: x * (2 if torch.compiler.is_exporting() else 1)
    assert torch.export.export(net, (torch.ones(1),)).module()(torch.ones(1)).item() == 2


def test_numpy_functions_of_tensors():
    @torch.compiler.wrap_numpy
    def f(a, pair):
        return {"x": np.sqrt(a) + pair[0]}, np.float32(2)

    found, number = f(torch.tensor([4.0]), (torch.tensor([1.0]), 0))
    assert found["x"].tolist() == [3] and number.item() == 2
    with pytest.warns(UserWarning, match="running eagerly"):
        assert torch.compile(f)(torch.tensor([4.0]), [torch.ones(1)])[0]["x"].item() == 3


def test_names_that_scripts_use():
    config = torch._dynamo.config
    config.suppress_errors = True
    config.cache_size_limit = 64
    torch._dynamo.reset()
    with config.patch(cache_size_limit=3, new=1):
        assert (config.cache_size_limit, config.new) == (3, 1)

        @config.patch("cache_size_limit", 5)
        def inside():
            return config.cache_size_limit

        assert inside() == 5
    assert config.cache_size_limit == 64 and not hasattr(config, "new")
    config.suppress_errors, config.cache_size_limit = False, 8
    torch._inductor.config.coordinate_descent_tuning = True
    torch._inductor.config.triton.unique_kernel_names = True
    torch._dynamo.mark_static(torch.ones(1))
    net = torch.compile(nn.Linear(1, 1))
    assert isinstance(net, torch._dynamo.eval_frame.OptimizedModule)
    assert isinstance(copy.deepcopy(net), torch._dynamo.OptimizedModule)
    assert not isinstance(net._orig_mod, torch._dynamo.OptimizedModule)


def test_backends_and_modes_are_pytorchs():
    """A name that PyTorch does not know is an error, and a function that is not called is named."""
    with pytest.raises(torch._dynamo.exc.InvalidBackend, match="Invalid backend: 'inducter'"):
        torch.compile(torch.sin, backend="inducter")
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast, should be one of: default"):
        torch.compile(torch.sin, mode="fast")
    with pytest.warns(UserWarning, match="the backend own is not called"):

        @torch.compile(backend=own, mode="reduce-overhead")
        def double(x):
            return x * 2

    assert double(torch.ones(1)).item() == 2
    assert torch._dynamo.optimize("aot_eager")(torch.neg)(torch.ones(1)).item() == -1


def own(graph, inputs):
    raise AssertionError
