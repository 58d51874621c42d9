"""Which failures of the rooms are expected, and so are told in one line.

Belongs here: the list. Does not belong here: their texts.
"""


def expected_errors() -> tuple[type[Exception], ...]:
    """Errors whose message already says what failed and what to do."""
    from hotdash_pipelines.contracts import ContractError
    from hotdash_pipelines.lake.partition import LakeError
    from hotdash_pipelines.local.children import ChildError
    from hotdash_pipelines.settings import SettingsError
    from hotdash_pipelines.sources import SourceError
    from hotdash_pipelines.storage.store import StoreError
    from hotdash_pipelines.transform.manifest import ManifestError
    from hotdash_pipelines.warehouse.postgres import WarehouseError
    from hotdash_pipelines.warehouse.server.binaries import EmbeddedPostgresError

    return (
        ContractError,
        ManifestError,
        LakeError,
        StoreError,
        ChildError,
        SettingsError,
        SourceError,
        EmbeddedPostgresError,
        WarehouseError,
    )
