"""The windows of one step: each is reported the moment it lands, and one that fails costs only itself.

Belongs here: which windows an attempt still has to do, their materialisation events, and what becomes of failed ones.
Does not belong here: how a window is fetched or loaded (ingest), what went wrong (the rooms say that).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.ingest.run import BadData
from hotdash_pipelines.orchestration.failures import sorted_out, windows_of
from hotdash_pipelines.warehouse.loading.errors import LoadError

# One window may be sick. Two in a row without an answer are the source.
_GIVES_UP_AFTER = 2
# What is wrong with the content of one window says nothing about the next.
_OF_ITS_CONTENT = (BadData, LoadError)
_NAMES_SHOWN = 5
_EVENTS_PAGE = 1000
_RESUMED_TAG, _BACKFILL_TAG = "dagster/is_resume_retry", "dagster/backfill"
# Once an output is yielded, Dagster writes an event for each partition of the run, landed or not. This entry of the
# output's metadata keeps it from that (execute_step.py of 1.13); a test counts the events.
_EVENTS_ARE_WRITTEN = "__source_asset_observation__"

NO_LISTING = "no listing"
"""The version of a window for which a listing has nothing: a past day."""


class Landing:
    """What one step does with its windows; `assets` are what it makes of each.

    `keys` are the partitions of the run, oldest first; `landed_before` those that an earlier attempt has reported: the
    step was tried again, or the run was executed again from its failure.
    """

    def __init__(self, context: dg.AssetExecutionContext, contract: Contract, assets: Sequence[dg.AssetKey]) -> None:
        self._context, self._contract, self._assets = context, contract, assets
        self.keys = sorted(context.partition_keys)
        self.landed_before = self._landed_before()
        self._tried: set[str] = set()
        self._failures: list[tuple[Sequence[str], dg.Failure, Exception]] = []
        self._in_a_row = 0

    @property
    def where(self) -> str:
        """How errors name what this step is about."""
        return windows_of(self._contract, self.keys)

    def left(self) -> Iterator[str]:
        """The windows still to do, until the source answers for none any more."""
        for key in self.keys:
            if self._in_a_row >= _GIVES_UP_AFTER:
                return
            if key not in self._tried | self.landed_before:
                yield key

    def is_with(self, asset: dg.AssetKey) -> bool:
        """Whether this run makes that asset too."""
        return asset in self._context.op_execution_context.job_def.asset_layer.selected_asset_keys

    def leaves_out(self, key: str, reason: str) -> None:
        """Say that a window is left out because of what another step has told."""
        self._tried.add(key)
        self._context.log.warning(f"{key}: left out, {reason}")

    @contextmanager
    def doing(self, *keys: str) -> Iterator[None]:
        """Do a window, or what all of them need: what fails waits for `conclude`.

        What may pass is raised at once: the step is tried again and goes on with the windows that have not landed.
        """
        try:
            yield
        except (dg.Failure, dg.RetryRequested):
            raise
        except Exception as error:
            failure = sorted_out(self._context.op_execution_context, windows_of(self._contract, keys), error)
            if isinstance(failure, dg.RetryRequested):
                raise failure from error
            self._tried.update(keys)
            self._failures.append((keys, failure, error))
            is_of_its_content = isinstance(error, _OF_ITS_CONTENT) and not error.is_transient
            self._in_a_row += not is_of_its_content
            self._context.log.error(failure.description or "", exc_info=error)
        else:
            self._in_a_row = 0

    def reported(
        self, asset: dg.AssetKey, key: str, version: str, metadata: Mapping[str, Any], made_from: str | None = None
    ) -> dg.AssetMaterialization:
        """The event of a window that has landed, to be yielded at once.

        `version` tells contents apart; `made_from` is the version of the lake's partition behind a raw table's.
        """
        self._tried.add(key)
        tags = {"dagster/code_version": self._contract.digest, "dagster/data_version": version}
        if made_from is not None:
            (parent,) = self._context.assets_def.asset_deps[asset]
            tags[f"dagster/input_data_version/{parent.to_user_string()}"] = made_from
            tags[f"dagster/input_event_pointer/{parent.to_user_string()}"] = "NULL"
        if backfill := self._context.run.tags.get(_BACKFILL_TAG):
            tags[_BACKFILL_TAG] = backfill
        return dg.AssetMaterialization(asset, partition=key, metadata=metadata, tags=tags)

    def done(self, asset: dg.AssetKey, checks: Sequence[dg.AssetCheckResult] = ()) -> dg.MaterializeResult:
        """The end of an asset whose windows were reported one by one."""
        return dg.MaterializeResult(asset_key=asset, metadata={_EVENTS_ARE_WRITTEN: True}, check_results=checks)

    def conclude(self) -> None:
        """End the step. Raises dagster's Failure in one line when anything failed: the first, and which others."""
        if not self._failures:
            return
        (named, first, error), *others = self._failures
        line = first.description or "failed"
        if names := sorted({key for keys, *_ in others for key in keys} - set(named)):
            line += f" (failed too: {_listed(names)})"
        if left := [key for key in self.keys if key not in self._tried | self.landed_before]:
            line += f" (not asked for: {_listed(left)})"
        raise dg.Failure(line, allow_retries=False) from error

    def _landed_before(self) -> set[str]:
        run, instance = self._context.run, self._context.instance
        attempts = {run.run_id} if self._context.op_execution_context.retry_number > 0 else set()
        while run.tags.get(_RESUMED_TAG) == "true" and (before := instance.get_run_by_id(run.parent_run_id or "")):
            attempts.add(before.run_id)
            run = before
        if not attempts or (began := instance.get_run_record_by_id(run.run_id)) is None:
            return set()
        # The last of a window's events: a process that is killed between them has not reported it.
        asked = dg.AssetRecordsFilter(self._assets[-1], self.keys, after_timestamp=began.create_timestamp.timestamp())
        landed: set[str] = set()
        cursor, has_more = None, True
        while has_more:
            page = instance.fetch_materializations(asked, limit=_EVENTS_PAGE, cursor=cursor)
            landed |= {record.partition_key or "" for record in page.records if record.run_id in attempts}
            cursor, has_more = page.cursor, page.has_more
        return landed


def _listed(keys: Sequence[str]) -> str:
    if len(keys) <= _NAMES_SHOWN:
        return ", ".join(keys)
    return f"{len(keys)} windows, {keys[0]} to {keys[-1]}"
