"""Functions of nested tensors give PyTorch's results, gradients and errors."""

import numpy as np
import pytest

import rushlight
from tests.nested.parity import aligned, assert_same, jagged, random_parts, told, with_gradients

pytestmark = pytest.mark.filterwarnings("ignore")
#: Calls whose gradients PyTorch has, too.
WITH_GRADIENTS = """
    x+y; x*y; x-y; x/y; x*2; 2-x; 1/x; x**2; -x; x>y; x==x; x.abs(); x.exp(); torch.sin(x);
    F.relu(x); F.gelu(x); F.gelu(x,approximate="tanh"); F.silu(x); F.elu(x); F.selu(x);
    F.celu(x); F.softplus(x); F.mish(x); F.hardtanh(x); F.hardsigmoid(x); F.tanhshrink(x);
    F.softsign(x); F.relu6(x); F.softshrink(x); F.hardshrink(x); F.threshold(x,0.1,2.0);
    torch.sigmoid(x); x.tanh(); x.sigmoid(); x.clamp(-1,1); x.clamp(min=0); torch.where(x>0,x,y);
    torch.where(x>0,x,0.0); torch.lerp(x,y,0.3); torch.atan2(x,y); x.square(); x.sqrt().isnan();
    x.erf(); x.round(); x.floor(); x.sign(); x.reciprocal(); x.rsqrt().isnan();
    torch.logical_not(x); x.isnan(); x.nan_to_num(); x.masked_fill(x>0,1.5); x.softmax(-1);
    torch.softmax(x,-1); F.softmin(x,dim=-1); x.sum(); x.mean(); x.mean(-1); x.amax(1);
    x.amin(1); x.amax(-1); x.amin(-1,keepdim=True); x.max(); x.min(); x.min(dim=-1);
    x.argmax(dim=1); x.argmax(dim=-1); (x>0).any(); (x>0).all(); (x>0).any(dim=1);
    (x>0).all(dim=-1); torch.amax(x,1); x.argmax(); x.transpose(1,2);
    x.transpose(1,2).transpose(1,2); x.transpose(1,2).contiguous(); x.unflatten(-1,[2,2]);
    x.unflatten(-1,[2,2]).transpose(1,2); x.unflatten(-1,(2,-1)).flatten(-2);
    x.unflatten(-1,[2,2]).transpose(1,2).transpose(1,2).flatten(-2); x.view(3,-1,2,2);
    x.view(x.size(0),x.size(1),2,2); x.reshape(x.size(0),x.size(1),2,2); x.reshape(3,-1,2,2);
    x.view(3,-1,4); x.unsqueeze(-1); x.unsqueeze(2); x.unsqueeze(-1).squeeze(-1);
    x.chunk(2,dim=-1); x.chunk(2,-1)[1]; x.chunk(2,0); x.split(2,-1); torch.chunk(x,4,dim=-1);
    torch.split(x,2,dim=-1); torch.cat([x,y],-1); torch.cat([x,y],dim=2); torch.stack([x,y],-1);
    x[0]; x[-1]; x[1,0]; x.select(0,1); x.unbind(); torch.unbind(x); list(x); x.permute(0,2,1);
    x.permute(0,2,1).permute(0,2,1); x.expand(x.shape); x.expand_as(x); x.flatten(2); x.mT; x@w;
    torch.matmul(x,w); x.matmul(w); x@wb; F.linear(x,w); F.linear(x,w,b); x.transpose(1,2)@y;
    torch.bmm(x,wb); w@x.transpose(1,2); x*b; x+b; b+x; x+w[:1]; x*b[None,None]; x*bb; bb*x;
    x+torch.ones(3,4,4,dtype=x.dtype); x*torch.tensor(2.0); torch.tensor(2.0)*x;
    F.layer_norm(x,(4,)); F.layer_norm(x,(4,),b,b); F.rms_norm(x,(4,),b); F.rms_norm(x,(4,));
    F.dropout(x,0.0); F.dropout(x,0.5,False); torch.nested.to_padded_tensor(x,0.0);
    x.to_padded_tensor(-1.0); x.to_padded_tensor(0.0,output_size=(3,6,4)); x.clone(); x.detach();
    x.contiguous(); x.to(torch.float32); x.float(); x.half(); x.double(); x.to("cpu"); x.long();
    x.values(); x.offsets(); x.numel(); x.dim(); x.ndim; x.is_contiguous();
    x.transpose(1,2).is_contiguous(); len(x); x.size(0); x.size(-1); x.is_nested;
    x.requires_grad; x.is_leaf; str(x.layout); str(x.device); x.element_size();
    x.is_floating_point(); torch.zeros_like(x); torch.ones_like(x); torch.full_like(x,2.0);
    x._get_max_seqlen(); x.stride()[1:]; torch.nested.masked_select(w,w>0); x.is_same_size(y);
    x.type(torch.float32); x.type_as(w); x.cpu(); torch.empty_like(x).shape==x.shape;
    torch.rand_like(x).shape==x.shape; x.lengths(); F.sigmoid(x); F.tanh(x);
    torch.add(x,y,alpha=2); torch.sub(x,y,alpha=2); x.is_cuda; torch.isclose(x,y);
    torch.xlogy(x.abs(),y.abs()); torch.pow(2.0,x); torch.clamp(x,min=y); torch.frac(x);
    x.logit().isnan(); x.add(1); x.mul(y); x.div(2,rounding_mode="floor"); x%2; abs(x); x.ne(0);
    x!=y; x.bool(); ~(x>0); (x>0)&(y>0); (x>0); x.to(dtype=torch.float16)"""
#: Calls whose gradients PyTorch does not have.
FORWARD = """
    F.leaky_relu(x,0.1); torch.maximum(x,y); torch.minimum(x,y); x.log_softmax(-1); x.sum(-1);
    x.sum(1); x.sum((0,1)); x.sum(1,keepdim=True); x.sum(-1,keepdim=True); x.sum((0,1,2));
    x.sum((0,1),keepdim=True); x.mean(1); x.mean(1,keepdim=True); x.mean((0,1)); x.max(dim=1);
     torch.sum(x,1); torch.mean(x,dim=1); x.sum(2,keepdim=True);
    x.unsqueeze(1); x[...,0]; x[...,1:3]; x.select(2,1); x.narrow(-1,1,2); torch.narrow(x,2,0,2);
    torch.bmm(x.transpose(1,2),y); x+bb[:, :, :1]; F.layer_norm(x,x.shape[1:]);
    x.to_padded_tensor(0.0,output_size=(3,2,4)); x.transpose(1,2).to_padded_tensor(1.5)"""
#: Calls that both refuse.
REFUSED = """
    x.sum(0); x.sum((1,2)); x.mean((0,2)); x.norm(); x.var(1); x.flatten(1,2);
    x.view(3,-1); x.reshape(-1,4); x.transpose(0,1); x[0:2]; x[[0,1]]; x.squeeze(0);
    x.unsqueeze(0); x.t(); x.flip(-1); torch.cat([x,y],1); torch.cat([x,y]); x@x;
    x@y.transpose(1,2); x+w; x.new_zeros(2); F.linear(x.transpose(1,2),w); x.numpy(); x.tolist();
    x.item(); F.mse_loss(x,y); F.conv1d(x,wb); torch.einsum("bij,jk->bik",x,w); F.prelu(x,b[:1]);
    F.softmax(x,dim=0); F.layer_norm(x,(3,4,4))"""
#: Calls that PyTorch refuses.
MORE = """
    F.hardswish(x); F.logsigmoid(x); torch.addcmul(x,y,y); x.var(-1); x.std(-1); x.logsumexp(-1);
    x.cumsum(-1); torch.stack([x,y],1); x[:,:,0]; x[:,:,1:]; x[:]; x.cumsum(1); F.glu(x);
    F.normalize(x,dim=-1)"""


def _listed(text):
    return [line.strip() for line in text.replace("\n", " ").split(";")]


def _operands(torch, requires_grad):
    rng = np.random.default_rng(5)
    x = jagged(torch, random_parts(0, 4), requires_grad)
    y = aligned(torch, x, random_parts(1, 4))
    dense = [
        torch.tensor(rng.standard_normal(shape), requires_grad=requires_grad)
        for shape in ((4, 4), (3, 4, 4), (4,), (3, 1, 4))
    ]
    return x, y, dense


def _run(torch, text, requires_grad=True):
    x, y, dense = _operands(torch, requires_grad)
    function = eval(f"lambda torch, F, x, y, w, wb, b, bb: {text}")

    def call(torch, F, x, *dense):
        return function(torch, F, x, y, *dense)

    return told(with_gradients(torch, torch.nn.functional, call, x, *dense))


@pytest.mark.parametrize("text", _listed(WITH_GRADIENTS))
def test_results_and_gradients_are_pytorchs(text):
    torch = pytest.importorskip("torch")
    assert_same(_run(rushlight, text), _run(torch, text))


@pytest.mark.parametrize("text", _listed(FORWARD))
def test_results_are_pytorchs(text):
    torch = pytest.importorskip("torch")
    assert_same(_run(rushlight, text, False), _run(torch, text, False))


@pytest.mark.parametrize(
    "text", _listed(f"{FORWARD};{MORE};x.prod(-1);x.prod(1);F.softmax(x,dim=1)")
)
def test_gradients_are_the_slopes(text):
    """PyTorch's gradient of a softmax along the ragged dim is that along all of the values."""
    torch, F = rushlight, rushlight.nn.functional
    x, y, dense = _operands(torch, False)
    function = eval(f"lambda torch, F, x, y, w, wb, b, bb: {text}")

    def of_values(values):
        nested = torch.nested.nested_tensor_from_jagged(values, x.offsets())
        found = function(torch, F, nested, y, *dense)
        found = found if isinstance(found, tuple) else (found,)
        found = [t.values() if t.is_nested else t for t in found]
        return tuple([t for t in found if t.dtype.is_floating_point])

    values = x.values().detach().requires_grad_()
    assert torch.autograd.gradcheck(of_values, (values,))


@pytest.mark.parametrize("text", _listed(REFUSED))
def test_errors_are_of_pytorchs_kinds(text):
    torch = pytest.importorskip("torch")
    kinds = (NotImplementedError, RuntimeError, ValueError, IndexError, TypeError)
    with pytest.raises(kinds):
        _run(torch, text, False)
    with pytest.raises(kinds):
        _run(rushlight, text, False)


# The strided layout -----------------------------------------------------------------------

SHAPES = ((2, 4), (3, 4), (1, 4))
STRIDED = """
    x; x.unbind(); x[0]; x[-1]; x[1][0]; x.size(0); x.size(2); x.size(-1); x+y; x*y; x-y; x*2;
    2*x; x/2; F.relu(x); x.relu(); F.gelu(x); F.silu(x); torch.tanh(x); x.sin(); -x; x.abs();
    x.cos(); x.sgn(); x.neg(); x.logical_not(); x.to_padded_tensor(0.0);
    torch.nested.to_padded_tensor(x,1.0); x.to_padded_tensor(0.0,(3,5,6)); F.linear(x,w);
    F.linear(x,w,b); torch.softmax(x,-1); F.softmax(x,dim=-1); F.layer_norm(x,(4,),b,b);
    F.dropout(x,0.0); x.clone(); x.detach(); x.numel(); x.dim(); x.is_nested;
    x.to(torch.float32); x.float(); x.transpose(1,2); x.transpose(1,2)@y; x@y.transpose(1,2);
    x.contiguous(); x.is_contiguous(); str(x.layout); str(x); x._nested_tensor_size(); x.is_leaf;
    x*x; torch.nested.as_nested_tensor(wb); torch.nested.as_nested_tensor([w,wb[0]]);
    x.select(0,1); x>0; x.values(); x.sqrt().isnan(); x.half(); x.requires_grad;
    torch.ones_like(x); torch.zeros_like(x); torch.empty_like(x).size(0); x.ndim;
    torch.bmm(x.transpose(1,2),y); torch.matmul(x,y.transpose(-2,-1)); x.is_same_size(y);
    str(torch.nested.nested_tensor([])); torch.nested.nested_tensor([1,2]).unbind();
    torch.nested.nested_tensor([[1,2],[3]]).unbind(); x.chunk(2,-1); x.chunk(2,-1)[1].contiguous();
    x.chunk(2,-1)[1]*2; x.chunk(4,2)[1].is_contiguous(); x.split_with_sizes([1,3],-1)[1].clone();
    torch.split(x,[3,1],-1); x.view(3,-1,2,2); x.view(3,-1,2,2).transpose(1,2); x.reshape(3,-1,4,1);
    x.transpose(1,2).view(3,4,-1,1); x.unsqueeze(1); x.unsqueeze(-1).squeeze(-1); x.squeeze(-1);
    x.narrow(0,1,2); x.narrow(0,0,2).contiguous(); x.sum(-1,keepdim=True);
    x.transpose(1,2)._nested_tensor_strides(); x.chunk(2,-1)[1]._nested_tensor_storage_offsets();
    F.scaled_dot_product_attention(*[t.view(3,-1,2,2).transpose(1,2).contiguous() for t in (x,y,x)])
    """


def _run_strided(torch, text, requires_grad):
    rng = np.random.default_rng(5)
    x, y = (
        torch.nested.nested_tensor(
            [torch.tensor(np.random.default_rng(seed + i).standard_normal(s))
             for i, s in enumerate(SHAPES)], requires_grad=requires_grad and not seed,
        )
        for seed in (0, 9)
    )  # fmt: skip
    w, wb, b = (
        torch.tensor(rng.standard_normal(s), requires_grad=requires_grad)
        for s in ((4, 4), (3, 4, 4), (4,))
    )
    found = eval(text, {"torch": torch, "F": torch.nn.functional, "x": x, "y": y, "w": w, "wb": wb,
                        "b": b})  # fmt: skip
    if not getattr(found, "requires_grad", False):
        return told(found)
    parts = found.unbind() if found.is_nested else [found]
    weights = [torch.arange(p.numel(), dtype=p.dtype).reshape(p.shape) % 7 - 2 for p in parts]
    sum((p * v).sum() for p, v in zip(parts, weights, strict=True)).backward()
    return told([found, x.grad, w.grad, wb.grad, b.grad])


@pytest.mark.parametrize("text", _listed(STRIDED))
def test_the_strided_layout_is_pytorchs(text):
    torch = pytest.importorskip("torch")
    for requires_grad in (True, False):
        try:
            expected = _run_strided(torch, text, requires_grad)
        except (RuntimeError, NotImplementedError):
            if requires_grad:
                continue
            raise
        assert_same(_run_strided(rushlight, text, requires_grad), expected)


def test_views_of_the_strided_layout_share_memory():
    torch = rushlight
    x = torch.nested.nested_tensor(
        [torch.arange(8.0).view(2, 4), torch.arange(4.0).view(1, 4)], requires_grad=True
    )
    a, b = x.chunk(2, -1)
    assert not b.is_leaf and not b.is_contiguous() and b.numel() == 6
    y = b.log()  # of the other half, which is not in the view, the logarithm has no slope
    y.backward(torch.ones_like(y))
    assert x.grad.unbind()[1].tolist() == [[0, 0, 0.5, pytest.approx(1 / 3)]]
    b.register_hook(lambda g: g * 3)
    b.backward(torch.ones_like(b))
    assert x.grad.unbind()[1].tolist() == [[0, 0, 3.5, pytest.approx(10 / 3)]]
    with torch.no_grad():
        b.mul_(2)
        a.copy_(b)
        x.transpose(1, 2).add_(1)
    assert x.unbind()[1].tolist() == [[5, 7, 5, 7]]


def test_attention_of_the_strided_layout():
    torch = rushlight
    torch.manual_seed(0)
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.nested.nested_tensor([torch.randn(2, 4), torch.randn(3, 4)])
    out, weights = attention(x, x, x)
    padded = x.to_padded_tensor(0.0)
    hidden = torch.tensor([[False, False, True], [False] * 3])
    expected, by_padding = attention(padded, padded, padded, key_padding_mask=hidden)
    for k, part in enumerate(out.unbind()):
        torch.testing.assert_close(part, expected[k, : len(part)])
        torch.testing.assert_close(weights[k, : len(part)], by_padding[k, : len(part)])
    assert weights[0, 2].tolist() == [0, 0, 0]
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    alone = [layer(part[None])[0] for part in x.unbind()]
    for part, mine in zip(layer(x).unbind(), alone, strict=True):
        torch.testing.assert_close(part, mine)
    with pytest.raises(RuntimeError, match="no masks"):
        attention(x, x, x, key_padding_mask=hidden)
