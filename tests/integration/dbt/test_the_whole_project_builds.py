"""The whole project on a warehouse without a row: everything builds and every data test passes."""

import pytest

from tests.integration.dbt.conftest import Dbt
from tests.integration.dbt.raw import RawShop


@pytest.mark.from_nothing
def test_all_models_build_on_an_empty_warehouse_and_their_tests_pass(dbt: Dbt, raw: RawShop) -> None:
    assert dbt.build() == {}
