"""The main job, from the stand-in store over HTTP to the rollup."""

import pytest

from tests.pipeline.stack import Stack

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("pipeline")]


def test_a_first_up_loads_every_layer_and_is_green(loaded: Stack) -> None:
    assets, checks = loaded.outcome["assets"], loaded.outcome["checks"]
    assert checks["failed"] == 0
    assert checks["passed"] > 50
    for key in ("lake_shopify/orders", "raw_shopify/orders", "raw_shopify/order_lines", "staging/stg_shopify__orders"):
        assert assets[key] > 50, key
    for key in ("marts_core/fct_order", "marts_core/fct_order_line", "marts_support/fct_conversation"):
        assert assets[key] > 0, key
    assert assets["metrics/agg_sales_daily"] > 0
