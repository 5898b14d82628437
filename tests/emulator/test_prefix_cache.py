from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from basetenkit.emulator.prefix_cache import PrefixCache, blocks_of
from tests.examples import examples

TOKENS = st.lists(st.integers(0, 3), max_size=40)


def test_a_block_depends_on_all_before_it() -> None:
    a, b = blocks_of([1, 2, 3, 4, 5], 2), blocks_of([9, 2, 3, 4], 2)
    assert len(a) == 2
    assert a[1] != b[1]
    assert blocks_of([1, 2, 3, 4], 2) == a


@given(TOKENS, TOKENS, st.integers(1, 5))
@settings(max_examples=examples(40), deadline=None)
def test_hits_are_the_whole_blocks_of_the_common_beginning(a: list[int], b: list[int], size: int) -> None:
    cache = PrefixCache(1000)
    cache.add(blocks_of(a, size))
    common = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    assert cache.hits(blocks_of(b, size)) == common // size


def test_the_least_recently_used_leave_first_and_the_end_of_a_prompt_before_its_beginning() -> None:
    cache = PrefixCache(3)
    old, new = blocks_of([1, 1, 1], 1), blocks_of([2, 2], 1)
    cache.add(old)
    cache.add(new)
    assert len(cache) == 3
    assert (cache.hits(new), cache.hits(old)) == (2, 1)


def test_without_room_nothing_is_kept() -> None:
    cache = PrefixCache(0)
    cache.add([1, 2])
    assert (len(cache), cache.hits([1])) == (0, 0)
