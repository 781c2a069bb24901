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
    requires: tuple[str, ...] = ()  #: what pip installs beside TOOLS; the library, too
    cwd: str = "."  #: where pytest starts
    path: tuple[str, ...] = (".",)  #: folders of the checkout from which Python imports
    left_out: dict[str, str] = field(default_factory=dict)  #: part of a test's id -> reason
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)  #: file -> text, where a build writes it


SUITES = [
    Suite(
        "torchdiffeq",
        "rtqichen/torchdiffeq",
        "657943a",
        (
            "tests/api_tests.py",
            "tests/event_tests.py",
            "tests/gradient_tests.py",
            "tests/odeint_tests.py",
            "tests/norm_tests.py",
        ),
        path=(".", "tests"),
    ),
    Suite(
        "safetensors",
        "huggingface/safetensors",
        "24b0b28",
        (
            "tests/test_pt_comparison.py",
            "tests/test_pt_model.py",
            "tests/test_simple.py",
            "tests/test_handle.py",
            "tests/test_threadable.py",
            "tests/test_multithreaded.py",
            "tests/test_pread_backend.py",
        ),
        files=("bindings/python/tests",),
        cwd="bindings/python",
        path=(),
    ),
    Suite("torchinfo", "TylerYep/torchinfo", "5c4164f", ("tests",)),
    Suite("e3nn", "e3nn/e3nn", "0.6.0", ("tests",)),
    Suite(
        "nflows", "bayesiains/nflows", "v0.14", ("tests",), options=("-o", "python_files=*_test.py")
    ),
    Suite("zuko", "probabilists/zuko", "1.6.0", ("tests",)),
    Suite("torchsde", "google-research/torchsde", "v0.2.6", ("tests",)),
    Suite("geoopt", "geoopt/geoopt", "v0.5.1", ("tests",)),
    Suite("higher", "facebookresearch/higher", "v0.2.1", ("tests",)),
    Suite("torchopt", "metaopt/torchopt", "v0.7.3", ("tests",), files=("tests",), path=()),
    Suite("torch-optimizer", "jettify/pytorch-optimizer", "v0.3.0", ("tests",)),
    Suite("pytorch-tabnet", "dreamquark-ai/tabnet", "v4.1.0", ("tests",)),
    Suite(
        "skorch",
        "skorch-dev/skorch",
        "v1.4.0",
        ("skorch/tests",),
        files=("skorch", "pyproject.toml"),
    ),
    Suite("stable-baselines3", "DLR-RM/stable-baselines3", "v2.8.0", ("tests",)),
    Suite("captum", "pytorch/captum", "faac0877", ("tests",)),
    Suite(
        "opacus",
        "pytorch/opacus",
        "4d0ebc84",
        ("opacus/tests",),
        options=("-o", "python_files=*_test.py"),
    ),
    Suite("x-transformers", "lucidrains/x-transformers", "2.16.1", ("tests",)),
    Suite("vector-quantize-pytorch", "lucidrains/vector-quantize-pytorch", "1.27.21", ("tests",)),
    Suite(
        "normflows",
        "VincentStimper/normalizing-flows",
        "v1.7.3",
        ("normflows",),
        options=("-o", "python_files=*_test.py"),
    ),
    Suite("laplace-torch", "aleximmer/Laplace", "0.2.2.2", ("tests",)),
    Suite(
        "onnx2torch",
        "ENOT-AutoDL/onnx2torch",
        "v1.5.15",
        ("tests/node_converters",),
        options=("-o", "python_files=*_test.py"),
    ),
    Suite("jaxtyping", "patrick-kidger/jaxtyping", "v0.3.11", ("test",)),
    Suite(
        "torchquad", "esa/torchquad", "v0.5.0", ("tests",), options=("-o", "python_files=*_test.py")
    ),
    Suite(
        "tensordict",
        "pytorch/tensordict",
        "v0.14.0",
        ("test/nn", "test/tensorclass", "test/tensordict", "test/utils"),
        files=("test", "pytest.ini"),
        path=(),
    ),
    Suite("linear_operator", "cornellius-gp/linear_operator", "v0.6.1", ("test",)),
    Suite(
        "einops",
        "arogozhnikov/einops",
        "v0.8.2",
        ("einops/tests",),
        environment={"EINOPS_TEST_BACKENDS": "numpy,torch"},
    ),
    Suite("opt_einsum", "dgasmith/opt_einsum", "v3.4.0", ("opt_einsum/tests",)),
    Suite("gpytorch", "cornellius-gp/gpytorch", "v1.15.2", ("test",)),
    Suite(
        "botorch",
        "pytorch/botorch",
        "e390e135c",
        (
            "test/models",
            "test/posteriors",
            "test/sampling",
            "test/utils",
            "test/optim",
            "test/acquisition",
        ),
    ),
    Suite(
        "pyro-ppl",
        "pyro-ppl/pyro",
        "ff6ae1c95",
        (
            "tests/ops",
            "tests/nn",
            "tests/poutine",
            "tests/params",
            "tests/optim",
            "tests/test_primitives.py",
            "tests/infer/mcmc",
            "tests/infer/reparam",
            "tests/distributions",
            "tests/infer",
        ),
    ),
    Suite("pytorch-optimizer", "kozistr/pytorch_optimizer", "v3.9.0", ("tests",)),
    Suite(
        "pytorch-ignite",
        "pytorch/ignite",
        "v0.5.5",
        (
            "tests/ignite/engine",
            "tests/ignite/handlers",
            "tests/ignite/metrics",
            "tests/ignite/base",
        ),
    ),
    Suite(
        "kornia",
        "kornia/kornia",
        "v0.9.0rc1",
        (
            "tests/core",
            "tests/color",
            "tests/enhance",
            "tests/filters",
            "tests/geometry",
            "tests/losses",
            "tests/morphology",
            "tests/metrics",
            "tests/augmentation",
        ),
    ),
    Suite(
        "torch_geometric",
        "pyg-team/pytorch_geometric",
        "2.8.0",
        (
            "test/utils",
            "test/nn/conv",
            "test/nn/aggr",
            "test/nn/norm",
            "test/nn/dense",
            "test/nn/pool",
            "test/transforms",
            "test/data",
            "test/nn/models",
        ),
    ),
    Suite(
        "torchmetrics",
        "Lightning-AI/torchmetrics",
        "v1.9.0",
        ("bases", "wrappers", "regression", "pairwise", "nominal", "retrieval", "clustering"),
        cwd="tests/unittests",
        path=("src", "tests"),
    ),
    Suite(
        "peft",
        "huggingface/peft",
        "v0.20.0",
        ("tests/test_custom_models.py", "tests/test_initialization.py", "tests/test_mapping.py"),
        path=("src", "."),
    ),
    Suite(
        "accelerate",
        "huggingface/accelerate",
        "v1.14.0",
        (
            "tests/test_utils.py",
            "tests/test_modeling_utils.py",
            "tests/test_hooks.py",
            "tests/test_data_loader.py",
            "tests/test_optimizer.py",
            "tests/test_scheduler.py",
            "tests/test_accelerator.py",
            "tests/test_kwargs_handlers.py",
            "tests/test_memory_utils.py",
            "tests/test_offload.py",
            "tests/test_grad_sync.py",
            "tests/test_big_modeling.py",
        ),
        path=("src", "."),
    ),
    Suite(
        "diffusers",
        "huggingface/diffusers",
        "v0.40.0",
        ("tests/schedulers", "tests/models/unets", "tests/models/autoencoders"),
        path=("src", "."),
    ),
    Suite(
        "timm",
        "huggingface/pytorch-image-models",
        "v1.0.28",
        (
            "tests/test_layers.py",
            "tests/test_optim.py",
            "tests/test_utils.py",
            "tests/test_scheduler.py",
            "tests/test_layers_pool.py",
        ),
    ),
    Suite(
        "lightning",
        "Lightning-AI/pytorch-lightning",
        "2.6.5",
        ("plugins/precision", "utilities", "test_fabric.py", "test_wrappers.py"),
        cwd="tests/tests_fabric",
        path=("src", "tests"),
    ),
    Suite(
        "segmentation-models-pytorch",
        "qubvel-org/segmentation_models.pytorch",
        "v0.5.0",
        (
            "tests/test_losses.py",
            "tests/test_preprocessing.py",
            "tests/base",
            "tests/models/test_unet.py",
            "tests/models/test_fpn.py",
        ),
    ),
]
