"""Trains a BPE and a Unigram tokenizer; their padded batches feed an embedding."""

requires = ["tokenizers"]

TEXTS = ["the cat sat on the mat", "a dog runs in the park", "the woman plays the piano"] * 4


def run():
    """The tokens, offsets and texts of each tokenizer, and what an embedding makes of them."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    kinds = {
        "BPE": (models.BPE(unk_token="[UNK]"), trainers.BpeTrainer),
        "Unigram": (models.Unigram(), trainers.UnigramTrainer),
    }
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    results = {}
    for name, (model, trainer) in kinds.items():
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        more = {"unk_token": "[UNK]"} if name == "Unigram" else {}
        settings = {"vocab_size": 60, "special_tokens": special, "show_progress": False, **more}
        tokenizer.train_from_iterator(TEXTS, trainer(**settings))
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        tokenizer.enable_padding(pad_id=0)
        batch = tokenizer.encode_batch(["The cat plays", "a dog in the mat"])
        ids = torch.tensor([e.ids for e in batch])
        mask = torch.tensor([e.attention_mask for e in batch]).bool()
        embedding = torch.nn.Embedding(60, 8, padding_idx=0)
        mean = (embedding(ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        mean.pow(2).sum().backward()
        results[name] = {
            "mask": mask,
            "texts": tokenizer.decode_batch(ids.tolist()),
            "offsets": batch[0].offsets,
            "rows with a gradient": int(embedding.weight.grad.any(1).sum()),
            "shape": list(mean.shape),
        }
    return results
