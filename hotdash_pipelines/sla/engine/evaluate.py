"""One SLA, one observation, one instant -> a verdict.

Belongs here: judging, with nothing but its arguments. Does not belong here: what happened before (machine.py).
"""

from datetime import datetime

from hotdash_pipelines.sla.definitions.calendar import Due
from hotdash_pipelines.sla.definitions.model import Definition
from hotdash_pipelines.sla.definitions.rule import Rule
from hotdash_pipelines.sla.engine.observation import Observation
from hotdash_pipelines.sla.engine.verdict import CLOCK_SKEW, Verdict

NOT_OBSERVED = "nobody looked"
# The cause of what is unknown by a mistake of ours.
OBSERVER = "observer"


def judge(definition: Definition, observation: Observation | None, now: datetime, due: Due | None = None) -> Verdict:
    """`evaluate`; what it cannot judge is unknown with the reason, and costs no other SLA its verdict."""
    try:
        return evaluate(definition, observation, now, due)
    except Exception as error:  # noqa: BLE001 - see above
        return Verdict(
            definition,
            "unknown",
            definition.rule.target,
            partition_key=due.partition if due else "",
            reason=f"what was seen cannot be judged ({type(error).__name__})",
            cause=OBSERVER,
            due=due,
        )


def evaluate(definition: Definition, observation: Observation | None, now: datetime, due: Due | None = None) -> Verdict:
    """Judge `definition` at `now` (aware). `due` is the deadline to judge, the standing one when not given."""
    rule = definition.rule
    if rule.kind == "deadline":
        return _by_deadline(definition, rule, observation, now, due or rule.due_at(now))
    if observation is None:
        return Verdict(definition, "unknown", rule.target, reason=NOT_OBSERVED, cause=OBSERVER)
    if observation.unknown_reason is not None:
        return _unknown(definition, rule, observation)
    if rule.min_samples:
        samples = observation.details.get("samples")
        if samples is not None and samples < rule.min_samples:
            reason = f"{samples} of {rule.min_samples} samples that a verdict takes"
            return Verdict(definition, "pending", rule.target, reason=reason)
    value, at = observation.value, observation.at
    if value is not None:
        actual = float(value)
        # Not a number compares as false with everything: it would be kept by every promise.
        if actual != actual:
            return Verdict(definition, "unknown", rule.target, reason="the value is not a number")
    elif at is not None and rule.kind == "age":
        actual = (now - at).total_seconds() / rule.seconds
        if actual < 0:
            if at - now > CLOCK_SKEW:
                return Verdict(definition, "unknown", rule.target, reason="the newest one lies in the future")
            actual = 0.0
    else:
        return Verdict(definition, "unknown", rule.target, reason="there has never been one")
    if rule.at_least:
        if actual < rule.target:
            return Verdict(definition, "breach", rule.target, actual)
        return Verdict(
            definition, "ok", rule.target, actual, None, None, "", rule.warn is not None and actual < rule.warn
        )
    if actual > rule.target:
        since = at + rule.allowed if at is not None and rule.kind == "age" else None
        return Verdict(definition, "breach", rule.target, actual, since)
    return Verdict(definition, "ok", rule.target, actual, None, None, "", rule.warn is not None and actual > rule.warn)


def _unknown(definition: Definition, rule: Rule, observation: Observation, partition: str = "") -> Verdict:
    return Verdict(
        definition,
        "unknown",
        rule.target,
        partition_key=partition,
        reason=observation.unknown_reason or "",
        cause=str(observation.details.get("cause") or ""),
    )


def _by_deadline(
    definition: Definition, rule: Rule, observation: Observation | None, now: datetime, due: Due
) -> Verdict:
    """A success about another partition is none: an old day loaded again does not make today's."""
    key, limit = due.partition, due.deadline + rule.allowed
    if observation is None:
        return Verdict(
            definition, "unknown", rule.target, partition_key=key, reason=NOT_OBSERVED, cause=OBSERVER, due=due
        )
    if observation.unknown_reason is not None:
        return _unknown(definition, rule, observation, key)
    about_this = observation.partition == key
    at = observation.at
    if at is not None and at > now + CLOCK_SKEW:
        at = None
    if at is not None and (about_this or (observation.partition is None and at >= due.opens_at)):
        actual = (at - due.deadline).total_seconds() / rule.seconds
        # Only an observation of this partition tells when it came first; the table's newest success may be a repeat.
        late = about_this and at > limit
        return Verdict(
            definition,
            "ok",
            rule.target,
            actual,
            breach_since=limit if late else None,
            ok_since=at,
            partition_key=key,
            due=due,
        )
    actual = (now - due.deadline).total_seconds() / rule.seconds
    running = observation.details.get("running_since")
    reason = f"a run is under way since {running}" if running else ""
    if observation.partition not in (None, key) and observation.at is not None:
        reason = f"what came is partition {observation.partition}"
    if now <= limit:
        warning = rule.warn is not None and actual > rule.warn
        return Verdict(
            definition, "pending", rule.target, actual, partition_key=key, warning=warning, reason=reason, due=due
        )
    return Verdict(definition, "breach", rule.target, actual, limit, partition_key=key, reason=reason, due=due)
