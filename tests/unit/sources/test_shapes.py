"""Whatever shape the answers have, every stream of every source ends in one line and never in a traceback."""

import itertools
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from hotdash_pipelines.base.windows import window_of
from hotdash_pipelines.contracts import load_contract
from hotdash_pipelines.contracts.model import CONTRACTS_DIR
from hotdash_pipelines.sources import Fetched, SourceError, fetcher
from hotdash_pipelines.sources.chatwoot.client import ChatwootClient
from hotdash_pipelines.sources.ga4.client import Ga4Client
from hotdash_pipelines.sources.http import Patience
from hotdash_pipelines.sources.shopify.client import ShopifyClient

STREAMS = sorted((path.parent.name, path.stem) for path in CONTRACTS_DIR.glob("*/*.yaml"))
WINDOW = window_of("2026-11-18", ZoneInfo("America/New_York"))
ODD = [None, True, 7, "text", [], [None], [1], [[]], {}, {"data": None}, {"data": []}, {"payload": None}]
ODD += [{"payload": [None]}, {"payload": [{}]}, {"data": {"payload": [{"id": 1}]}}, {"meta": None, "payload": []}]
ODD += [{"rows": None}, {"rows": [{}], "rowCount": "1"}, {"rows": [{}], "rowCount": "many"}, {"rows": 3}]
ODD += [{"propertyQuota": [1]}, {"propertyQuota": {"tokensPerDay": {"remaining": "x"}}}, {"errors": 3}]
SIGNED_IN = {"id": 1, "role": "administrator", "accounts": [{"id": 1, "role": "administrator"}]}


def opened(source, transport, fake_time):
    given = {"sleep": fake_time.sleep, "clock": fake_time.now, "transport": transport, "patience": Patience(attempts=2)}
    if source == "shopify":
        return ShopifyClient("https://shop.example", "2026-10", access_token="shpat_x", **given)
    if source == "chatwoot":
        return ChatwootClient("https://chat.example", 1, "token", **given)
    key = {"client_email": "a@b.example", "private_key": "none", "token_uri": "https://oauth.example/token"}
    client = Ga4Client("https://ga4.example", "1", json.dumps(key), **given)
    client._token, client._token_ends = "ya29", datetime(2027, 1, 1, tzinfo=UTC)
    return client


def outcome(call):
    """What the call gives, or the one line of its refusal; anything else is a traceback."""
    try:
        return call()
    except SourceError as error:
        return str(error) if "\n" not in str(error) else ""


@pytest.mark.parametrize(("source", "stream"), STREAMS, ids=lambda part: part)
def test_an_answer_of_any_shape_ends_in_rows_or_in_one_line(fake_time, source, stream):
    contract = load_contract(CONTRACTS_DIR / source / f"{stream}.yaml")
    for odd, second in itertools.product(ODD, [None, {}]):
        answers = itertools.chain([odd], itertools.repeat(second))

        def answer(request, answers=answers):
            return httpx.Response(200, json=SIGNED_IN if "/profile" in request.url.path else next(answers))

        client = opened(source, httpx.MockTransport(answer), fake_time)
        said = outcome(lambda client=client: fetcher(source, stream)(client, contract, WINDOW))
        assert isinstance(said, Fetched) or said.startswith(f"{source}/{stream} 2026-11-18: ")


@pytest.mark.parametrize("source", ["shopify", "chatwoot", "ga4"])
def test_a_ping_answered_with_any_shape_ends_in_a_word_or_in_one_line(fake_time, source):
    for odd in ODD:
        client = opened(source, httpx.MockTransport(lambda _request, odd=odd: httpx.Response(200, json=odd)), fake_time)
        assert outcome(client.ping)
