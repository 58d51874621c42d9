"""The whole project on a small shop: everything builds, every data test passes, and a second build changes nothing."""

from typing import Any

import pytest

from tests.integration.dbt.conftest import Dbt
from tests.integration.dbt.raw import Line, RawShop

pytestmark = pytest.mark.from_nothing


def test_all_models_build_on_an_empty_warehouse_and_their_tests_pass(dbt: Dbt, raw: RawShop) -> None:
    statuses = dbt("build", "--exclude-resource-type", "unit_test")
    assert set(statuses.values()) <= {"success", "pass"}


def test_a_small_shop_builds(dbt: Dbt, raw: RawShop, query: Any) -> None:
    raw.order(1, Line(11, "20.00", 2, discount="4.00", tax="3.20"), shipping="5.95")
    statuses = dbt("build", "--exclude-resource-type", "unit_test")
    assert set(statuses.values()) <= {"success", "pass"}
    [order] = query("select * from marts_core.fct_order")
    assert str(order["net_amount"]) == "36.0000"
