# SPDX-License-Identifier: Apache-2.0
"""Real text that every Python installation carries: the language reference behind `help("for")`.

Nothing is downloaded, and the same Python always gives the same text.
"""
import re

import torch

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"])")
RULER = re.compile(r"[*=~^-]{3,}")
MARKUP = re.compile(r"[*`\"|=~^_]+")


def reference_text():
    """All topics of the reference as one string, in alphabetical order."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def sentences(count):
    """`count` different plain sentences, spread over the whole reference."""
    found = {}
    for paragraph in reference_text().split("\n\n"):
        if paragraph.startswith((" ", ">>>")) or "::=" in paragraph:
            continue  # code and grammar are no sentences
        for sentence in SENTENCE_END.split(" ".join(paragraph.split())):
            sentence = MARKUP.sub("", sentence).strip()
            if 40 <= len(sentence) <= 250 and sentence.endswith((".", "!", "?")):
                found[sentence] = None
    everything = list(found)
    if len(everything) < count:
        raise ValueError(f"Python's reference has only {len(everything)} sentences, {count} were asked for")
    step = len(everything) / count
    return [everything[int(i * step)] for i in range(count)]


def byte_tokens():
    """The reference as a 1-d tensor of bytes: a tokenizer with a vocabulary of 256 and no file.

    Single spaces only: else most of what a small model learns in a minute is indentation.
    """
    words = RULER.sub("", reference_text()).split()
    return torch.tensor(list(" ".join(words).encode("utf-8")), dtype=torch.long)


def training_batches(steps, batch, length, seed):
    """`steps` tensors [batch, length] of byte tokens, cut from the text at random places."""
    tokens = byte_tokens()
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(tokens) - length, (steps, batch), generator=generator)
    return [torch.stack([tokens[s : s + length] for s in row]) for row in starts.tolist()]


def decode(tokens):
    """The text of byte tokens; half characters at the ends become a replacement sign."""
    return bytes(int(t) for t in tokens).decode("utf-8", errors="replace")
