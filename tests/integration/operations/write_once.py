"""One writing of days in a process of its own, for tests that kill it: `write_once <url> <stand-in> <day>...`."""

import sys
from datetime import UTC, datetime

from hotdash_pipelines.agent.activity import read_from, write_days

url, base_url, *days = sys.argv[1:]
done = write_days(url, read_from(base_url), days, "toy", datetime(2026, 11, 20, 15, tzinfo=UTC))
print(len(done.days), len(done.before))
