"""dbt's own unit tests, over built models: money against figures computed by hand. They do not run at night."""

from tests.integration.dbt.conftest import Dbt, readdressed
from tests.integration.dbt.raw import RawShop


def test_the_unit_tests_of_the_models_pass(dbt: Dbt, raw: RawShop) -> None:
    statuses = dbt("test", "--select", "test_type:unit")
    assert len(statuses) == len(readdressed(dbt.manifest, "any").unit_tests) >= 18
    assert set(statuses.values()) == {"pass"}
