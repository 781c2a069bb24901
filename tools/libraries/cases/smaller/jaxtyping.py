"""Annotations of shapes and dtypes, which jaxtyping checks in calls and data classes."""

# ruff: noqa: F722

requires = ["jaxtyping", "beartype"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import dataclasses

    import torch
    from beartype import beartype
    from jaxtyping import Bool, Float, Float32, Int, Shaped, jaxtyped
    from torch import Tensor

    @jaxtyped(typechecker=beartype)
    def attend(
        q: Float[Tensor, "batch n d"], k: Float[Tensor, "batch m d"], hidden: Bool[Tensor, "n m"]
    ) -> Float[Tensor, "batch n m"]:
        return (q @ k.mT).masked_fill(hidden, -1e9).softmax(-1)

    @jaxtyped(typechecker=beartype)
    @dataclasses.dataclass
    class Batch:
        tokens: Int[Tensor, "b t"]
        mask: Float32[Tensor, "b t"]

    def refused(call):
        try:
            call()
        except Exception as error:
            return type(error).__name__
        return "taken"

    q, k, hidden = torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.zeros(3, 5, dtype=torch.bool)
    results = {"attention": attend(q, k, hidden)}
    results["refused"] = [
        refused(lambda: attend(q, k[:1], hidden)),
        refused(lambda: attend(q, k.long(), hidden)),
        refused(lambda: attend(q, k, hidden.float())),
        refused(lambda: Batch(torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 4))),
        refused(lambda: Batch(torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 3))),
    ]
    results["is"] = [
        isinstance(q, Float[Tensor, "2 3 4"]),
        isinstance(q, Shaped[Tensor, "... 4"]),
        isinstance(q, Float[Tensor, "2 3"]),
        isinstance(torch.nn.Parameter(q), Float[Tensor, "_ _ _"]),
        isinstance(q.bfloat16(), Float[Tensor, "..."]),
        isinstance(q, Int[Tensor, "..."]),
    ]
    return results
