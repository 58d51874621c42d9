"""How the rounds of the backup benchmark become ratios and verdicts."""

from dataclasses import replace

from benchmarks.backup import LIMITS, Pair, summarise


def test_ratios_are_taken_within_a_round_and_held_against_their_limits() -> None:
    slow = [Pair(name, 9.0, 9.0) for name in LIMITS]
    quick = [Pair(name, 1.0, 2.0) for name in LIMITS]
    backup, *rest = summarise([quick, slow, quick])
    assert (backup.name, backup.ratio, backup.is_met) == ("backup, to pg_dump -Fc", 0.5, True)
    assert not replace(backup, ratio=0.51).is_met
    assert [found.name for found in rest if found.limit is None] == [
        "the same, decoded and stored",
        "both with the VACUUM after",
    ]
