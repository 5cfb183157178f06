# SPDX-License-Identifier: Apache-2.0
"""Workload 2: a small Llama learns Python's language reference, byte by byte, then writes with its KV cache."""
import contextlib
import time

import torch

import carat
from carat.bench.measure import interleave, lower_quartile

from . import text

STEPS = {torch.float32: 100, torch.bfloat16: 30}  # ATen's bf16 takes a second a step on CPUs without AVX-512
BATCH, LENGTH = 4, 96
NEW_TOKENS = 64
COMPARED = 30  # steps whose losses must agree: later, rounding alone drives any two runs apart
WARM_UP = 3  # steps that don't count in the time a step
SEED = 1234
PROMPT = "The statement is used to "


def build(dtype):
    """A fresh Llama with the same weights every time: 4 layers, grouped-query attention, a vocabulary of bytes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,  # a byte model has no end: generation always runs to its full length
        pad_token_id=None,
    )
    return LlamaForCausalLM(config).to(dtype)


class Trainer:
    """One model with its optimizer; `step` is what a training loop does for one batch."""

    def __init__(self, dtype):
        self.model = build(dtype).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.1)
        self.losses = []

    def step(self, batch):
        """Forward, cross-entropy, backward, clipping, AdamW. Returns nothing: the loss is kept."""
        loss = self.model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses.append(loss.item())


def train(dtype, tick):
    """Two models from the same seed on the same batches, a step of one after a step of the other."""
    trainers = {"aten": Trainer(dtype), "carat": Trainer(dtype)}
    scopes = {"aten": contextlib.nullcontext, "carat": carat.use}
    seconds = {"aten": [], "carat": []}
    order = ["aten", "carat"]
    for batch in text.training_batches(STEPS[dtype], BATCH, LENGTH, SEED):
        for name in order:
            with scopes[name]():
                begin = time.perf_counter()
                trainers[name].step(batch)
                seconds[name].append(time.perf_counter() - begin)
        order.reverse()
        tick(1)
    curves = {name: list(t.losses) for name, t in trainers.items()}
    gaps = [abs(a - c) / abs(a) for a, c in zip(curves["aten"], curves["carat"])]
    return {
        "trainers": trainers,
        "aten_s": lower_quartile(seconds["aten"][WARM_UP:]),
        "carat_s": lower_quartile(seconds["carat"][WARM_UP:]),
        "curves": curves,
        "difference": _largest(gaps),
        "early_difference": _largest(gaps[:COMPARED]),
    }


def _largest(gaps):
    """max() that keeps a NaN."""
    return max(gaps) if all(g == g for g in gaps) else float("nan")


@torch.no_grad()
def generate(model, new_tokens=NEW_TOKENS):
    """The bytes that greedy generation adds to the prompt, by transformers' own generate() with its KV cache."""
    prompt = torch.tensor([list(PROMPT.encode())])
    model.eval()
    out = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=new_tokens,
        do_sample=False,
        use_cache=True,
        pad_token_id=0,
    )
    return out[0, prompt.shape[1] :].tolist()


def compare_generation(model, seconds, tick):
    """The same weights write on both backends: tokens, and seconds for all of them."""
    aten = generate(model)
    tick(1)
    with carat.use():
        ours = generate(model)
    tick(1)
    sides = [(contextlib.nullcontext, lambda: generate(model)), (carat.use, lambda: generate(model))]
    aten_ns, carat_ns = interleave(sides, seconds)
    tick(1)
    same = sum(a == c for a, c in zip(aten, ours))
    return {
        "aten_s": aten_ns / 1e9,
        "carat_s": carat_ns / 1e9,
        "tokens": aten,
        "carat_tokens": ours,
        "same": same,
        "different": len(aten) - same,
    }
