"""Encoders of text (BERT and ten of its kin): forward, loss, gradients, bfloat16, saved folders."""

requires = ["transformers"]

SIZES = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 64,
}
MORE = {
    "Bert": {},
    "Roberta": {},
    "Albert": {"embedding_size": 16},
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 37},
    "Electra": {"embedding_size": 16},
    "DebertaV2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "MPNet": {},
    "ConvBert": {"embedding_size": 32, "head_ratio": 2, "conv_kernel_size": 3},
    "Longformer": {"attention_window": 4},
    "RoFormer": {"embedding_size": 32},
    "ModernBert": {"pad_token_id": 0, "local_attention": 4, "global_attn_every_n_layers": 2},
}


def run():
    """For each kind: hidden states, a classifier's loss and one of its gradients."""
    import tempfile

    import torch
    import transformers

    results = {}
    ids = torch.randint(3, 99, (2, 8))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    for name, more in MORE.items():
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(**SIZES, **more)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        found = model(**given, labels=torch.tensor([0, 1]), output_hidden_states=True)
        found.loss.backward()
        gradient = model.get_input_embeddings().weight.grad
        model.eval()
        with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            logits = model(**given).logits
            model.save_pretrained(folder)
            kind = transformers.AutoModelForSequenceClassification
            again = kind.from_pretrained(folder)(**given).logits
            half = kind.from_pretrained(folder, dtype=torch.bfloat16)(**given).logits
        results[name] = {
            "hidden": found.hidden_states[-1],
            "loss": found.loss,
            "gradient": gradient,
            "logits": logits,
            "the folder gives the same": torch.equal(logits, again),
            "bfloat16 is near": bool((half - logits).abs().max() < 0.05),
        }
    return results
