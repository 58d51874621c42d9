"""The random faults of a rough source: how many, which, and the same ones every time."""

from collections import Counter

import pytest

from hotdash_pipelines.demo.scenarios import ROUGH_FAULTS, Scenarios


def drawn(share, seed, requests=2_000, source="shopify"):
    scenarios = Scenarios()
    scenarios.add_rough(source, share=share, seed=seed)
    return [scenarios.take(source, f"Operation{number % 7}") for number in range(requests)]


def test_a_rough_source_fails_the_share_it_was_told_in_all_its_ways():
    hits = [scenario for scenario in drawn(0.2, 7) if scenario is not None]
    assert 0.17 < len(hits) / 2_000 < 0.23
    kinds = Counter((hit.name, hit.args.get("status")) for hit in hits)
    assert set(kinds) == {(name, args.get("status")) for name, args, _ in ROUGH_FAULTS["shopify"]}


def test_the_same_seed_draws_the_same_faults_whatever_lies_between():
    alone, mixed = Scenarios(), Scenarios()
    for scenarios in (alone, mixed):
        scenarios.add_rough("shopify", seed=3)
    for _ in range(50):
        mixed.take("shopify", "Customers")
        assert alone.take("shopify", "Orders") == mixed.take("shopify", "Orders")
    assert drawn(0.2, 1) != drawn(0.2, 2)


def test_a_planted_fault_goes_before_a_drawn_one_and_clearing_ends_both():
    scenarios = Scenarios()
    scenarios.add_rough("ga4", share=1.0, faults=["bad_json"])
    scenarios.add("status", "ga4", status=500)
    assert [scenarios.take("ga4", "runReport").name for _ in range(3)] == ["status", "bad_json", "bad_json"]
    assert scenarios.take("chatwoot", "profile") is None
    scenarios.clear()
    assert scenarios.take("ga4", "runReport") is None
    assert scenarios.pending() == []


def test_every_source_is_rough_when_none_is_named():
    scenarios = Scenarios()
    assert {added.source for added in scenarios.add_rough()} == {"shopify", "chatwoot", "ga4"}


@pytest.mark.parametrize(
    "given", [{"source": "slack"}, {"source": "shopify", "share": 2}, {"source": "ga4", "faults": ["fire"]}]
)
def test_roughness_that_has_nothing_to_draw_from_is_refused(given):
    with pytest.raises(ValueError, match=r"share|nothing to draw from"):
        Scenarios().add_rough(**given)
