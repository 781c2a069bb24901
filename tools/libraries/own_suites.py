"""The libraries' own test suites that ``own_tests.py`` runs."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Suite:
    """Tests of a library: where they come from, which of them run, and which are left out."""

    library: str
    repository: str  #: on GitHub
    revision: str  #: a tag or a commit
    tests: tuple[str, ...]  #: arguments of pytest
    files: tuple[str, ...] = ()  #: what is checked out; () is all
    cwd: str = "."  #: where pytest starts
    path: tuple[str, ...] = (".",)  #: folders of the checkout from which Python imports
    left_out: dict[str, str] = field(default_factory=dict)  #: part of a test's id -> reason
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)  #: file -> text, where a build writes it


SUITES = [
    Suite("torchdiffeq", "rtqichen/torchdiffeq", "657943a", ("tests/api_tests.py", "tests/event_tests.py", "tests/gradient_tests.py", "tests/odeint_tests.py", "tests/norm_tests.py"), path=(".", "tests")),
    Suite("safetensors", "huggingface/safetensors", "24b0b28", ("tests/test_pt_comparison.py", "tests/test_pt_model.py", "tests/test_simple.py", "tests/test_handle.py", "tests/test_threadable.py","tests/test_multithreaded.py","tests/test_pread_backend.py"), files=("bindings/python/tests",), cwd="bindings/python", path=()),
    Suite("torchinfo", "TylerYep/torchinfo", "v1.8.0", ("tests",)),
    Suite("e3nn", "e3nn/e3nn", "0.6.0", ("tests",)),
    Suite("nflows", "bayesiains/nflows", "v0.14", ("tests",), options=("-o", "python_files=*_test.py")),
    Suite("zuko", "probabilists/zuko", "1.6.0", ("tests",)),
    Suite("torchsde", "google-research/torchsde", "v0.2.6", ("tests",)),
    Suite("geoopt", "geoopt/geoopt", "v0.5.1", ("tests",)),
    Suite("higher", "facebookresearch/higher", "v0.2.1", ("tests",)),
    Suite("torchopt", "metaopt/torchopt", "v0.7.3", ("tests",), files=("tests",), path=()),
    Suite("torch-optimizer", "jettify/pytorch-optimizer", "v0.3.0", ("tests",)),
    Suite("pytorch-tabnet", "dreamquark-ai/tabnet", "v4.1.0", ("tests",)),
    Suite("skorch", "skorch-dev/skorch", "v1.4.0", ("skorch/tests",)),
    Suite("stable-baselines3", "DLR-RM/stable-baselines3", "v2.8.0", ("tests",)),
    Suite("captum", "pytorch/captum", "faac0877", ("tests",)),
    Suite("opacus", "pytorch/opacus", "4d0ebc84", ("opacus/tests",), options=("-o", "python_files=*_test.py")),
    Suite("x-transformers", "lucidrains/x-transformers", "2.16.1", ("tests",)),
    Suite("vector-quantize-pytorch", "lucidrains/vector-quantize-pytorch", "1.27.21", ("tests",)),
    Suite("normflows", "VincentStimper/normalizing-flows", "v1.7.3", ("normflows",), options=("-o", "python_files=*_test.py")),
    Suite("laplace-torch", "aleximmer/Laplace", "0.2.2.2", ("tests",)),
    Suite("onnx2torch", "ENOT-AutoDL/onnx2torch", "v1.5.15", ("tests/node_converters",), options=("-o", "python_files=*_test.py")),
    Suite("jaxtyping", "patrick-kidger/jaxtyping", "v0.3.11", ("test",)),
    Suite("torchquad", "esa/torchquad", "v0.5.0", ("tests",), options=("-o", "python_files=*_test.py")),
    Suite("tensordict", "pytorch/tensordict", "v0.14.0", ("test/nn", "test/tensorclass", "test/tensordict", "test/utils"), files=("test", "pytest.ini"), path=()),
    Suite("linear_operator", "cornellius-gp/linear_operator", "v0.6.1", ("test",)),
]
