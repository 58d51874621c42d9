"""What operations refuse for safety ends a command with 3, by its class; a slip in a name ends it with 2."""

import pytest

from hotdash_pipelines.base.errors import HotdashError, SafetyRefusal
from hotdash_pipelines.operations.erasure.run import EraseRefused
from hotdash_pipelines.operations.export.errors import BadVersionName, ExportRefused
from hotdash_pipelines.operations.restore.run import RestoreRefused
from hotdash_pipelines.operations.retention.rules import RetentionRefused
from hotdash_pipelines.warehouse.schema.rollback import RollbackRefused


@pytest.mark.parametrize("refusal", [EraseRefused, ExportRefused, RestoreRefused, RetentionRefused, RollbackRefused])
def test_a_refusal_for_safety_ends_with_3(refusal: type[HotdashError]) -> None:
    assert issubclass(refusal, SafetyRefusal)
    assert refusal.exit_code == 3


def test_a_text_that_is_no_name_of_a_version_is_a_wrong_use() -> None:
    assert BadVersionName.exit_code == 2
