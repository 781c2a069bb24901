"""torch.nn.attention: chosen kernels, causal biases, block masks and flexible attention."""

import math
import sys
from functools import partial

import numpy as np
import pytest

import rushlight
from rushlight.nn.attention import SDPBackend, sdpa_kernel
from rushlight.nn.attention.bias import CausalBias, CausalVariant, causal_lower_right
from rushlight.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    and_masks,
    create_block_mask,
    create_mask,
    flex_attention,
    noop_mask,
    or_masks,
)
from rushlight.utils._pytree import tree_flatten, tree_unflatten
from tests import processes

F = rushlight.nn.functional
B, H, L, S, E = 2, 4, 10, 12, 8


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def inputs(torch, heads=H, queries=L, keys=S, grad=True):
    shapes = (B, H, queries, E), (B, heads, keys, E), (B, heads, keys, E)
    return [torch.tensor(x, requires_grad=grad) for x in arrays(*shapes)]


def close(found, wanted, rtol=1e-4, atol=1e-5):
    found, wanted = [x.detach().numpy() for x in (found, wanted)]
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def with_gradients(out, leaves, seed=9):
    """``out`` and the gradients of ``leaves`` for one fixed gradient of ``out``."""
    for leaf in leaves:
        leaf.grad = None
    (g,) = arrays(tuple(out.shape), seed=seed)
    (out * type(leaves[0])(g)).sum().backward()
    return [out, *[leaf.grad for leaf in leaves]]


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


def sliding(b, h, q_idx, kv_idx):
    return (q_idx >= kv_idx) & (q_idx - kv_idx < 3)


def soft_cap(score, b, h, q_idx, kv_idx):
    return (score / 2.0).tanh() * 2.0


# Without PyTorch -----------------------------------------------------------------------------


def written_out(q, k, v, change=None, hidden=None):
    """Attention in plain operations. ``change`` maps all scores; ``hidden`` is a bool mask."""
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores if change is None else change(scores)
    scores = scores if hidden is None else scores.masked_fill(hidden, -math.inf)
    return scores.softmax(-1) @ v


def positions():
    return rushlight.arange(L).unsqueeze(1), rushlight.arange(S)


def agree(found, wanted, leaves):
    for x, y in zip(with_gradients(found, leaves), with_gradients(wanted, leaves), strict=True):
        close(x, y)


@pytest.fixture(params=["eager", "compiled"])
def flex(request):
    return rushlight.compile(flex_attention) if request.param == "compiled" else flex_attention


def test_alibi_and_the_gradient_of_its_slopes(flex):
    q, k, v = inputs(rushlight)
    slopes = rushlight.tensor(arrays((H,))[0], requires_grad=True)
    rows, columns = positions()
    wanted = written_out(q, k, v, lambda s: s + slopes.reshape(H, 1, 1) * (columns - rows))

    def alibi(score, b, h, q_idx, kv_idx):
        return score + slopes[h] * (kv_idx - q_idx)

    agree(flex(q, k, v, score_mod=alibi), wanted, [q, k, v, slopes])


def test_relative_positions_from_a_learned_table(flex):
    q, k, v = inputs(rushlight)
    table = rushlight.tensor(arrays((H, L + S))[0], requires_grad=True)
    rows, columns = positions()
    wanted = written_out(q, k, v, lambda s: s + table[:, rows - columns + S])

    def relative(score, b, h, q_idx, kv_idx):
        return score + table[h][q_idx - kv_idx + S]

    agree(flex(q, k, v, relative), wanted, [q, k, v, table])


@pytest.mark.parametrize("rule", [causal, sliding])
def test_masks_by_a_rule(flex, rule):
    q, k, v = inputs(rushlight)
    rows, columns = positions()
    wanted = written_out(q, k, v, hidden=~rule(None, None, rows, columns))
    mask = create_block_mask(rule, None, None, L, S, BLOCK_SIZE=4)
    agree(flex(q, k, v, block_mask=mask), wanted, [q, k, v])


def test_documents_with_a_soft_cap_of_scores(flex):
    q, k, v = inputs(rushlight, keys=L)
    document = rushlight.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])

    def same(b, h, q_idx, kv_idx):
        return document[q_idx] == document[kv_idx]

    hidden = document.unsqueeze(1) != document
    mask = create_block_mask(same, B, H, L, L, BLOCK_SIZE=4)
    wanted = written_out(q, k, v, lambda s: (s / 2.0).tanh() * 2.0, hidden)
    agree(flex(q, k, v, soft_cap, mask), wanted, [q, k, v])


@pytest.mark.parametrize("change", [None, soft_cap])
def test_heads_that_share_keys_and_values(flex, change):
    q, k, v = inputs(rushlight, heads=2)
    many = [t.repeat_interleave(2, 1) for t in (k, v)]
    agree(flex(q, k, v, change, enable_gqa=True), flex(q, *many, change), [q, k, v])


def test_a_query_without_keys_gets_0_and_finite_gradients(flex):
    q, k, v = inputs(rushlight)
    mask = create_block_mask(lambda b, h, i, j: i > j, None, None, L, S, BLOCK_SIZE=4)
    for change in (None, soft_cap):
        out, *slopes = with_gradients(flex(q, k, v, change, mask), [q, k, v])
        assert (out[:, :, 0] == 0).all()
        assert all(g.isfinite().all() for g in slopes)


def test_further_results():
    q, k, v = inputs(rushlight)
    mask = create_block_mask(lambda b, h, i, j: i > j, None, None, L, S)
    out, more = flex_attention(q, k, v, block_mask=mask, return_aux=AuxRequest(True, True))
    close(out, flex_attention(q, k, v, block_mask=mask))
    hidden = ~create_mask(mask.mask_mod, None, None, L, S)
    scores = (q @ k.mT / math.sqrt(E)).masked_fill(hidden, -math.inf)
    close(more.lse, scores.logsumexp(-1))
    close(more.max_scores, scores.amax(-1))
    more.lse[:, :, 1:].sum().backward()
    assert q.grad.isfinite().all()
    with pytest.warns(FutureWarning, match="return_lse is deprecated"):
        close(flex_attention(q, k, v, block_mask=mask, return_lse=True)[1], more.lse)


def test_blocks_that_are_not_listed_are_hidden():
    q, k, v = inputs(rushlight, queries=8, keys=8)
    counts = rushlight.tensor([[[1, 1]]], dtype=rushlight.int32)
    columns = rushlight.tensor([[[[0, 1], [1, 0]]]], dtype=rushlight.int32)
    hidden = rushlight.block_diag(rushlight.ones(4, 4), rushlight.ones(4, 4)) == 0
    agree(
        flex_attention(q, k, v, block_mask=BlockMask.from_kv_blocks(counts, columns, BLOCK_SIZE=4)),
        written_out(q, k, v, hidden=hidden),
        [q, k, v],
    )


def test_a_sliced_mask_serves_the_last_queries():
    q, k, v = inputs(rushlight, queries=4, keys=12)
    whole = create_block_mask(causal, None, None, 12, 12, BLOCK_SIZE=4)
    part = whole[:, :, -1]
    part.seq_lengths = (4, 12)
    with pytest.raises(RuntimeError, match="sliced BlockMask"):
        flex_attention(q, k, v, block_mask=part)
    part.mask_mod = lambda b, h, i, j: whole.mask_mod(b, h, i + 8, j)
    wanted = F.scaled_dot_product_attention(q, k, v, causal_lower_right(4, 12))
    agree(flex_attention(q, k, v, block_mask=part), wanted, [q, k, v])


def test_errors_say_what_does_not_fit():
    q, k, v = inputs(rushlight)
    short = create_block_mask(causal, None, None, 4, 4)
    with pytest.raises(ValueError, match="smaller length"):
        flex_attention(q, k, v, block_mask=short)
    with pytest.raises(ValueError, match="larger length"):
        flex_attention(q[:, :, :2], k[:, :, :2], v[:, :, :2], block_mask=short)
    with pytest.raises(ValueError, match="enable_gqa=True"):
        flex_attention(q, k[:, :2], v[:, :2])
    with pytest.raises(ValueError, match="Hq=4 and Hkv=3"):
        flex_attention(q, k[:, :3], v[:, :3], enable_gqa=True)
    with pytest.raises(NotImplementedError, match="4D"):
        flex_attention(q[0], k[0], v[0])
    with pytest.raises(AssertionError, match="mask_mod"):
        create_block_mask(soft_cap, 1, 1, 4, 4)
    with pytest.raises(AssertionError, match="4 or 5"):
        create_mask(lambda q, k: q > k, 1, 1, 4, 4)
    with pytest.raises(RuntimeError, match="callable"):
        and_masks(causal, 3)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_float32_mask_meets_every_dtype(dtype, compiled):
    def attend(x, mask):
        return F.scaled_dot_product_attention(x, x, x, attn_mask=mask)

    call = rushlight.compile(attend) if compiled else attend
    x = rushlight.tensor([[[0.5, 1.0], [2.0, -1.0]]], requires_grad=True)
    mask = rushlight.tensor([[0.0, -1e9], [0.25, 0.0]])  # -1e9 is no number of float16
    narrow = x.detach().to(getattr(rushlight, dtype)).requires_grad_()
    attend(x, mask).sum().backward()
    found = call(narrow, mask)
    found.sum().backward()
    assert found.dtype is narrow.grad.dtype is narrow.dtype
    np.testing.assert_allclose(found.float().detach(), attend(x, mask).detach(), rtol=8e-3)
    np.testing.assert_allclose(narrow.grad.float(), x.grad, rtol=8e-3)


def test_chosen_kernels_nest_decorate_and_end_with_an_error():
    q, k, v = inputs(rushlight)
    plain = F.scaled_dot_product_attention(q, k, v)
    attend = sdpa_kernel([SDPBackend.FLASH_ATTENTION])(F.scaled_dot_product_attention)
    close(attend(q, k, v), plain)
    with pytest.raises(RuntimeError, match="No available kernel"):
        attend(q, k, v, dropout_p=0.5)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        with sdpa_kernel(SDPBackend.MATH):
            close(F.scaled_dot_product_attention(q, k, v), plain)
        with pytest.raises(RuntimeError, match="No viable backend"):
            F.scaled_dot_product_attention(q, k, v)
        close(flex_attention(q, k, v), plain)
    close(F.scaled_dot_product_attention(q, k, v, dropout_p=0.0), plain)


@pytest.mark.parametrize(
    "change, strides",
    [
        ({}, (320, 8, 32, 1)),  # one operation: as query
        ({"key": lambda k: k.mT.contiguous().mT}, (320, 80, 8, 1)),  # products: contiguous
        ({"value": lambda v: v[..., :3]}, (120, 30, 3, 1)),
        ({"dropout_p": 0.5}, (320, 80, 8, 1)),
        ({"mask": lambda q: q.new_zeros(L, S).requires_grad_()}, (320, 80, 8, 1)),
        ({"mask": lambda q: q.new_zeros(L, S)}, (320, 8, 32, 1)),
    ],
)
def test_how_the_result_of_a_transposed_query_lies(change, strides):
    q, k, v = inputs(rushlight)
    q = q.detach().transpose(1, 2).contiguous().transpose(1, 2)
    keep = lambda x: x
    mask = change.get("mask", lambda q: None)(q)
    out = F.scaled_dot_product_attention(
        q,
        change.get("key", keep)(k),
        change.get("value", keep)(v),
        mask,
        change.get("dropout_p", 0),
    )
    assert out.stride() == strides


def test_a_causal_bias_in_a_compiled_function_and_under_autocast():
    q, k, v = inputs(rushlight)
    bias = causal_lower_right(L, S)
    wanted = F.scaled_dot_product_attention(q, k, v, bias)
    close(wanted, written_out(q, k, v, hidden=~rushlight.ones(L, S).tril(S - L).bool()))
    close(rushlight.compile(F.scaled_dot_product_attention)(q, k, v, bias), wanted)
    with rushlight.autocast("cpu", dtype=rushlight.bfloat16):
        low = F.scaled_dot_product_attention(q, k, v, bias)
    assert low.dtype is rushlight.bfloat16
    close(low.float(), wanted, 0.05, 0.05)


def test_the_names_are_there_and_loaded_when_first_used():
    program = """
import sys
import rushlight as torch
torch.nn.Linear
assert "rushlight.nn.attention" not in sys.modules
assert torch.nn.attention.sdpa_kernel and torch.nn.attention.WARN_FOR_UNFUSED_KERNELS is False
assert "rushlight.nn.attention.bias" not in sys.modules
from rushlight.autograd import mode
assert torch.nn.attention.bias.causal_upper_left(2, 2).shape == (2, 2) and not mode.intercept
assert torch.nn.attention.flex_attention.flex_attention
"""
    processes.run([sys.executable, "-c", program], check=True)


# Beside PyTorch ------------------------------------------------------------------------------


@pytest.fixture
def peer():
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch.nn.attention.flex_attention")
    pytest.importorskip("torch.nn.attention.bias")
    return torch


def refused(call):
    """The first words of the RuntimeError of ``call``, or None."""
    try:
        call()
    except RuntimeError as error:
        return str(error)[:19]
    return None


def calls(torch):
    """Calls of attention that differ in what PyTorch's kernels can do: (inputs, options)."""
    q, k, v = inputs(torch)
    mask = torch.zeros(L, S)
    yield (q, k, v), {}
    yield (q[0], k[0], v[0]), {}
    yield (q.double(), k.double(), v.double()), {}
    yield (q, k, v), {"dropout_p": 0.5}
    yield (q, k, v), {"is_causal": True}
    yield (q, k, v), {"attn_mask": mask}
    yield (q, k, v), {"attn_mask": mask > -1}
    yield (q, k, v), {"attn_mask": mask[:, :1]}
    yield (q, k, v), {"attn_mask": mask.expand(H, L, S)}
    yield (q, k, v), {"attn_mask": mask.expand(1, H, L, S)}
    yield (q, k, v), {"attn_mask": torch.zeros(L, S, requires_grad=True)}
    yield (q, k[:, :2], v[:, :2]), {"enable_gqa": True}
    yield (q, k[:1], v[:1]), {}
    yield (q, k, v[..., :3]), {}
    yield (q[:, :, :0], k, v), {}
    yield (q.mT.contiguous().mT, k, v), {}


@pytest.mark.parity
def test_chosen_kernels_refuse_what_pytorch_refuses_on_the_cpu(peer):
    names = [[], *[[name] for name in SDPBackend.__members__], ["FLASH_ATTENTION", "MATH"]]
    names.append(["EFFICIENT_ATTENTION", "FLASH_ATTENTION"])
    for listed in names:
        found = []
        for torch in (rushlight, peer):
            attention = torch.nn.attention
            backends = [getattr(attention.SDPBackend, name) for name in listed]
            attend = torch.nn.functional.scaled_dot_product_attention
            # PyTorch's order of priorities breaks if it contains ERROR.
            with attention.sdpa_kernel(backends, set_priority="ERROR" not in listed):
                found.append([refused(partial(attend, *a, **o)) for a, o in calls(torch)])
        assert found[0] == found[1], listed
    for name, backend in SDPBackend.__members__.items():
        wanted = getattr(peer.nn.attention.SDPBackend, name)
        assert int(backend) == int(wanted) and repr(backend) == repr(wanted)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:Lower right causal bias")
@pytest.mark.parametrize("queries, keys", [(L, S), (L, L), (S, L), (1, S)])
@pytest.mark.parametrize("variant", ["UPPER_LEFT", "LOWER_RIGHT"])
def test_causal_biases_are_those_of_pytorch(peer, variant, queries, keys):
    found = []
    for torch in (rushlight, peer):
        leaves = inputs(torch, queries=queries, keys=keys)
        kinds = torch.nn.attention.bias
        bias = kinds.CausalBias(getattr(kinds.CausalVariant, variant), queries, keys)
        assert isinstance(bias, torch.Tensor)
        out = torch.nn.functional.scaled_dot_product_attention(*leaves, attn_mask=bias)
        found.append((repr(bias), with_gradients(out, leaves)))
    assert found[0][0] == found[1][0]
    for x, y in zip(found[0][1], found[1][1], strict=True):
        close(x, y)


@pytest.mark.parity
def test_causal_biases_refuse_and_warn_as_in_pytorch(peer):
    for torch in (rushlight, peer):
        kinds = torch.nn.attention.bias
        leaves = inputs(torch)
        with pytest.raises(ValueError, match="should not be used with causal=True"):
            torch.nn.functional.scaled_dot_product_attention(
                *leaves, attn_mask=kinds.causal_upper_left(L, S), is_causal=True
            )
        with pytest.warns(UserWarning, match="NaNs"):
            kinds.causal_lower_right(3, 2)
        with pytest.raises(AssertionError):
            kinds.causal_upper_left(3)
        with pytest.raises(AssertionError):
            kinds.CausalBias(1, 2, 3)
    assert isinstance(CausalBias(CausalVariant.UPPER_LEFT, 2, 2), rushlight.Tensor)


def rules(torch):
    """Rules of masks, with tensors that they capture."""
    document = torch.tensor([0] * 5 + [1] * 70 + [2] * 25)
    rows = torch.tensor([3, 60])

    def documents(b, h, q_idx, kv_idx):
        return document[q_idx] == document[kv_idx]

    def lengths(b, h, q_idx, kv_idx):
        return kv_idx < rows[b]

    kinds = torch.nn.attention.flex_attention
    return {
        "causal": causal,
        "sliding": sliding,
        "documents": documents,
        "lengths": lengths,
        "heads": lambda b, h, q_idx, kv_idx: kv_idx % (h + 1) == 0,
        "noop": kinds.noop_mask,
        "and": kinds.and_masks(causal, documents, lengths),
        "or": kinds.or_masks(sliding, lengths),
        "none": kinds.or_masks(),
    }


@pytest.mark.parity
@pytest.mark.parametrize("size", [16, (8, 32), 128])
@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("name", list(rules(rushlight)))
def test_block_masks_are_those_of_pytorch(peer, name, size, separate):
    masks = []
    for torch in (rushlight, peer):
        kinds = torch.nn.attention.flex_attention
        options = {"device": "cpu", "BLOCK_SIZE": size, "separate_full_blocks": separate}
        masks.append(kinds.create_block_mask(rules(torch)[name], 2, 3, 70, 100, **options))
    ours, theirs = masks
    assert (ours.shape, ours.numel(), ours.sparsity()) == (
        theirs.shape, theirs.numel(), theirs.sparsity()
    )  # fmt: skip
    assert str(ours) == str(theirs)
    assert repr(ours) == repr(theirs)
    assert ours.to_string(3, limit=1) == theirs.to_string(3, limit=1)
    for key, value in vars(theirs).items():
        if isinstance(value, peer.Tensor):
            np.testing.assert_array_equal(getattr(ours, key).numpy(), value.numpy())
            assert str(getattr(ours, key).dtype) == str(value.dtype)
    for part, whole in [
        (ours[1], theirs[1]),
        (ours[:, -1, :2], theirs[:, -1, :2]),
        (ours.to("cpu"), theirs.to("cpu")),
    ]:
        assert part.shape == whole.shape
        np.testing.assert_array_equal(part.to_dense().numpy(), whole.to_dense().numpy())


@pytest.mark.parity
def test_masks_and_masks_of_scores_are_those_of_pytorch(peer):
    def hides(torch):
        return lambda s, b, h, i, j: torch.where(i >= j, s, -math.inf)

    for name in rules(rushlight):
        found, wanted = [
            torch.nn.attention.flex_attention.create_mask(
                rules(torch)[name], 2, None, 7, 9, "cpu"
            ).numpy()
            for torch in (rushlight, peer)
        ]
        np.testing.assert_array_equal(found, wanted)
    found, wanted = [
        torch.nn.attention.flex_attention.create_mask(hides(torch), 1, 2, 7, 9, "cpu").numpy()
        for torch in (rushlight, peer)
    ]
    np.testing.assert_array_equal(found, wanted)


def changes(torch):
    """Changes of scores, with tensors that they capture."""
    slopes, table, whole = [torch.tensor(x) for x in arrays((H,), (L + S,), (H, L, S))]
    return {
        "none": None,
        "alibi": lambda s, b, h, i, j: s + slopes[h] * (j - i),
        "relative": lambda s, b, h, i, j: s + table[i - j + S],
        "whole": lambda s, b, h, i, j: s + whole[h, i, j],
        "soft cap": soft_cap,
        "hidden": lambda s, b, h, i, j: torch.where(i >= j, s, -math.inf),
        "batch": lambda s, b, h, i, j: s * (b + 1),
    }


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", list(changes(rushlight)))
def test_flex_attention_is_that_of_pytorch(peer, monkeypatch, name, dtype):
    monkeypatch.setattr(
        sys.modules["torch.nn.attention.flex_attention"],
        "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG",
        True,
    )
    found = []
    for torch in (rushlight, peer):
        kinds = torch.nn.attention.flex_attention
        mask = kinds.create_block_mask(sliding, None, None, L, S, "cpu", BLOCK_SIZE=4)
        results = []
        for heads, block_mask in [(H, None), (H, mask), (2, mask)]:
            given = [t.to(getattr(torch, dtype)) for t in inputs(torch, heads, grad=False)]
            results += [
                kinds.flex_attention(*given, changes(torch)[name], block_mask, enable_gqa=True),
                kinds.flex_attention(
                    *given, changes(torch)[name], block_mask, 0.3, True, return_lse=True
                )[1],
            ]
        found.append(results)
    tolerance = (2e-2, 2e-2) if dtype == "bfloat16" else (1e-4, 1e-5)
    for x, y in zip(*found, strict=True):
        assert str(x.dtype) == str(y.dtype)
        close(x.double(), y.double(), *tolerance)


@pytest.mark.parity
def test_gradients_are_those_of_pytorch_written_out(peer):
    """PyTorch refuses gradients of flex_attention on the CPU, so its own operations serve."""
    found = []
    for torch in (rushlight, peer):
        leaves = [*inputs(torch), torch.tensor(arrays((H,))[0], requires_grad=True)]
        q, k, v, slopes = leaves
        if torch is peer:
            rows, columns = torch.arange(L).unsqueeze(1), torch.arange(S)
            added = slopes.reshape(H, 1, 1) * (columns - rows)
            out = written_out(q, k, v, lambda s, a=added: s + a, ~causal(0, 0, rows, columns))
        else:
            mask = create_block_mask(causal, None, None, L, S)
            out = flex_attention(q, k, v, lambda s, b, h, i, j, m=slopes: s + m[h] * (j - i), mask)
        found.append(with_gradients(out, leaves))
    for x, y in zip(*found, strict=True):
        close(x, y)


def test_rules_without_a_position_keep_their_shape():
    assert create_mask(noop_mask, 2, 3, 4, 5).shape == (2, 3, 4, 5)
    assert not create_mask(or_masks(), 2, 3, 4, 5).any()


def test_a_block_mask_is_a_tree_of_its_tensors():
    mask = create_block_mask(causal, None, None, 10, 12, BLOCK_SIZE=4)
    leaves, structure = tree_flatten(mask)
    again = tree_unflatten(leaves, structure)
    assert structure == tree_flatten(again)[1]
    assert str(again) == str(mask) and again.mask_mod is causal
    part = mask._adjust(6, 5)
    wanted = create_block_mask(causal, None, None, 6, 5, BLOCK_SIZE=4)
    assert part.shape == wanted.shape and (part.to_dense() == wanted.to_dense()).all()
