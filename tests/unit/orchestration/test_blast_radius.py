"""What a dataset says that is left out of a run."""

from datetime import UTC, datetime

import dagster as dg

from hotdash_pipelines.orchestration.blast_radius import LEFT_OUT_BECAUSE, STATE_OF, left_out

ORDERS = dg.AssetKey(["marts_core", "fct_order"])


def test_what_is_left_out_says_why_and_of_when_the_state_is_that_it_keeps() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert _said(instance) == ("ga4: closed; shopify: closed", "never built")
        began = datetime.now(UTC)
        instance.report_runless_asset_event(dg.AssetMaterialization(ORDERS))
        ended = datetime.now(UTC)
        assert _said(instance)[1] in {f"{moment:%Y-%m-%d %H:%M} UTC" for moment in (began, ended)}


def _said(instance: dg.DagsterInstance) -> tuple[object, object]:
    metadata = left_out(instance, ORDERS, {"shopify: closed", "ga4: closed"}).metadata
    return metadata[LEFT_OUT_BECAUSE].value, metadata[STATE_OF].value
