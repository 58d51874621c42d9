"""Random numbers that are the same in every process, on every platform and Python version.

Belongs here: deriving a generator from a seed and labels. Does not belong here: any distribution of the world.
"""

from __future__ import annotations

import hashlib
import random


def rng(seed: int, *labels: object) -> random.Random:
    """A generator that depends on `seed` and the labels' `str` alone.

    Labels are hashed with BLAKE2b (never `hash()`, which differs between processes), and an integer seeds the
    Mersenne twister, whose `random()` Python promises not to change.
    """
    text = "\x1f".join([str(seed), *map(str, labels)])
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return random.Random(int.from_bytes(digest, "big"))
