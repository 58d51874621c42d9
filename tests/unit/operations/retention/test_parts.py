"""Where the parts of a run end: none is too large, all rows are in one, whatever gaps the ids have."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from hotdash_pipelines.operations.retention.run import part_ends


@pytest.mark.parametrize("seed", range(20))
def test_every_row_is_in_one_part_and_no_part_holds_more_than_it_may(seed: int) -> None:
    luck = random.Random(seed)
    chunk, width = luck.choice([(1, 1), (10, 1), (80, 10), (50, 6)])
    ids = sorted(luck.sample(range(1, 4000), luck.randint(1, 900)))
    blocks = sorted(Counter(((number - 1) // width + 1) * width for number in ids).items())
    ends = part_ends(blocks, chunk)
    assert ends == sorted(set(ends))
    sizes = [sum(low < number <= high for number in ids) for low, high in pairwise([0, *ends, 4000])]
    assert sum(sizes) == len(ids)
    assert all(0 < size <= chunk for size in sizes), sizes
    # As few as that allows: two parts beside each other would not go into one.
    assert all(one + other > chunk - width for one, other in pairwise(sizes))


def test_a_block_of_many_versions_is_a_part_of_its_own_however_large() -> None:
    assert part_ends([(8, 3), (16, 90), (24, 3)], 10) == [8, 16]


def test_one_part_needs_no_end() -> None:
    assert part_ends([(8, 8)], 10) == []
    assert part_ends([], 10) == []
