"""Transformer blocks as PyTorch's tutorial writes them, for either library."""


def blocks(torch):
    """The classes of the tutorial "Accelerating PyTorch Transformers", for one library.

    PyTorch attends on a CPU only to tensors that are contiguous before ``transpose(1, 2)``, so
    there the parts of the packed projection are copied first.
    """
    nn, F = torch.nn, torch.nn.functional

    class MultiHeadAttention(nn.Module):
        def __init__(
            self, E_q, E_k, E_v, E_total, nheads, dropout=0.0, bias=True, device=None, dtype=None
        ):
            kwargs = {"device": device, "dtype": dtype}
            super().__init__()
            self.nheads = nheads
            self.dropout = dropout
            self._qkv_same_embed_dim = E_q == E_k and E_q == E_v
            if self._qkv_same_embed_dim:
                self.packed_proj = nn.Linear(E_q, E_total * 3, bias=bias, **kwargs)
            else:
                self.q_proj = nn.Linear(E_q, E_total, bias=bias, **kwargs)
                self.k_proj = nn.Linear(E_k, E_total, bias=bias, **kwargs)
                self.v_proj = nn.Linear(E_v, E_total, bias=bias, **kwargs)
            self.out_proj = nn.Linear(E_total, E_q, bias=bias, **kwargs)
            assert E_total % nheads == 0, "Embedding dim is not divisible by nheads"
            self.E_head = E_total // nheads
            self.bias = bias

        def forward(self, query, key, value, attn_mask=None, is_causal=False):
            if self._qkv_same_embed_dim:
                if query is key and key is value:
                    result = self.packed_proj(query)
                    query, key, value = torch.chunk(result, 3, dim=-1)
                    if torch.__name__ == "torch":
                        query, key, value = (t.contiguous() for t in (query, key, value))
                else:
                    q_weight, k_weight, v_weight = torch.chunk(self.packed_proj.weight, 3, dim=0)
                    if self.bias:
                        q_bias, k_bias, v_bias = torch.chunk(self.packed_proj.bias, 3, dim=0)
                    else:
                        q_bias, k_bias, v_bias = None, None, None
                    query, key, value = (
                        F.linear(query, q_weight, q_bias),
                        F.linear(key, k_weight, k_bias),
                        F.linear(value, v_weight, v_bias),
                    )
            else:
                query = self.q_proj(query)
                key = self.k_proj(key)
                value = self.v_proj(value)
            query = query.unflatten(-1, [self.nheads, self.E_head]).transpose(1, 2)
            key = key.unflatten(-1, [self.nheads, self.E_head]).transpose(1, 2)
            value = value.unflatten(-1, [self.nheads, self.E_head]).transpose(1, 2)
            attn_output = F.scaled_dot_product_attention(
                query, key, value, dropout_p=self.dropout, is_causal=is_causal
            )
            attn_output = attn_output.transpose(1, 2).flatten(-2)
            return self.out_proj(attn_output)

    class TransformerEncoderLayer(nn.Module):
        def __init__(self, d_model, nhead, dim_feedforward=32, dropout=0.1, activation=None,
                     layer_norm_eps=1e-5, norm_first=True, bias=True, dtype=None):  # fmt: skip
            super().__init__()
            self.self_attn = MultiHeadAttention(
                d_model, d_model, d_model, d_model, nhead, dropout=0.0, bias=bias, dtype=dtype
            )
            self.linear1 = nn.Linear(d_model, dim_feedforward, bias=bias, dtype=dtype)
            self.dropout = nn.Dropout(dropout)
            self.linear2 = nn.Linear(dim_feedforward, d_model, bias=bias, dtype=dtype)
            self.norm_first = norm_first
            self.norm1 = nn.LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
            self.norm2 = nn.LayerNorm(d_model, eps=layer_norm_eps, bias=bias, dtype=dtype)
            self.dropout1 = nn.Dropout(dropout)
            self.dropout2 = nn.Dropout(dropout)
            self.activation = activation or F.relu

        def _sa_block(self, x, is_causal):
            return self.dropout1(self.self_attn(x, x, x, is_causal=is_causal))

        def _ff_block(self, x):
            x = self.linear2(self.dropout(self.activation(self.linear1(x))))
            return self.dropout2(x)

        def forward(self, src, is_causal=False):
            x = src
            if self.norm_first:
                x = x + self._sa_block(self.norm1(x), is_causal)
                x = x + self._ff_block(self.norm2(x))
            else:
                x = self.norm1(x + self._sa_block(x, is_causal))
                x = self.norm2(x + self._ff_block(x))
            return x

    class SwiGLUFFN(nn.Module):
        def __init__(self, dim, hidden_dim, multiple_of, dtype=None):
            super().__init__()
            hidden_dim = int(2 * hidden_dim / 3)
            hidden_dim = multiple_of * ((hidden_dim + multiple_of - 1) // multiple_of)
            self.w1 = nn.Linear(dim, hidden_dim, bias=False, dtype=dtype)
            self.w2 = nn.Linear(hidden_dim, dim, bias=False, dtype=dtype)
            self.w3 = nn.Linear(dim, hidden_dim, bias=False, dtype=dtype)

        def forward(self, x):
            return self.w2(F.silu(self.w1(x)) * self.w3(x))

    return MultiHeadAttention, TransformerEncoderLayer, SwiGLUFFN
