"""Which tables retention visits, and with which run of the calendar.

Belongs here: the settings' windows as rules, and their split over the two schedules; the skin and the schedules share
it. Does not belong here: the windows that are fixed, and what follows from a rule (operations.retention).
"""

from hotdash_pipelines.operations.retention.rules import RetentionRule, rules
from hotdash_pipelines.settings import Settings

# What people decided on and what they asked is asked for longest, so it goes once a month; the rest goes every week.
_MONTHLY = ("agent_approvals", "agent_queries", "agent_queries_history")


def retained(settings: Settings) -> tuple[RetentionRule, ...]:
    """The rules in force, in the order in which they run. A table without a window has none."""
    return rules(
        retain_observability_logs_days=settings.retain_observability_logs_days,
        retain_decision_logs_days=settings.retain_decision_logs_days,
        retain_facts_days=settings.retain_facts_days,
        retain_curated_replies_days=settings.retain_curated_replies_days,
    )


def weekly(settings: Settings) -> tuple[str, ...]:
    """Tables of the run on Sundays."""
    return tuple(rule.table for rule in retained(settings) if rule.table not in _MONTHLY)


def monthly(settings: Settings) -> tuple[str, ...]:
    """Tables of the run on the first of the month."""
    return tuple(rule.table for rule in retained(settings) if rule.table in _MONTHLY)
