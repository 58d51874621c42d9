"""HttpReader: how every kind of failure is sorted, retried and told."""

import gzip
import ssl
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from hotdash_pipelines.sources import PermanentSourceError, SourceError, TransientSourceError, http
from hotdash_pipelines.sources.http import HttpReader, Patience, retry_after_seconds

SECRET = "shpat_0123456789abcdef0123456789abcdef"
OK = {"fine": True}


def reader(script, fake_time, **options):
    return HttpReader(
        "shop",
        "https://shop.example",
        sleep=fake_time.sleep,
        clock=fake_time.now,
        transport=script.transport,
        **options,
    )


def answers(status, **options):
    return lambda request: httpx.Response(status, **options)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 422, 423])
def test_a_refusal_is_permanent_and_not_repeated(script, fake_time, status):
    steps = script(httpx.Response(status, text=f"denied for {SECRET}"))
    with pytest.raises(PermanentSourceError) as caught:
        reader(steps, fake_time).read("GET", "/things", headers={"x-token": SECRET})
    assert len(steps.seen) == 1
    assert fake_time.naps == []
    message = str(caught.value)
    assert f"GET /things was answered {status}: " in message
    assert "\n" not in message
    assert SECRET not in message


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_repeated_until_it_passes(script, fake_time, status):
    steps = script(httpx.Response(status), httpx.Response(status), httpx.Response(200, json=OK))
    assert reader(steps, fake_time).read("GET", "/things").document == OK
    assert len(fake_time.naps) == 2


def test_a_passing_failure_that_stays_is_told_as_transient_with_the_number_of_tries(script, fake_time):
    steps = script(*[httpx.Response(503, text=SECRET)] * 9)
    with pytest.raises(TransientSourceError, match=r"answered 503 \(gave up after 5 tries\); materialise") as caught:
        reader(steps, fake_time).read("GET", "/things")
    assert len(steps.seen) == 5
    assert caught.value.retry_after is None
    assert SECRET not in str(caught.value)


def test_waits_are_full_jitter_below_a_doubling_ceiling_and_seeded(script, fake_time):
    def naps(seed):
        steps = script(*[httpx.Response(500)] * 5)
        fake_time.naps.clear()
        with pytest.raises(TransientSourceError):
            reader(steps, fake_time, seed=seed, patience=Patience(attempts=5, longest_wait=2.0)).read("GET", "/")
        return list(fake_time.naps)

    first = naps(1)
    assert first == naps(1)
    assert first != naps(2)
    assert all(nap <= ceiling for nap, ceiling in zip(first, [0.5, 1.0, 2.0, 2.0], strict=True))


def test_retry_after_in_seconds_is_waited_for(script, fake_time):
    steps = script(httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(200, json=OK))
    reader(steps, fake_time).read("GET", "/things")
    assert 7 <= fake_time.naps[0] <= 7.5


def test_retry_after_as_a_date_is_waited_for(script, fake_time):
    date = format_datetime(fake_time.now() + timedelta(seconds=30), usegmt=True)
    steps = script(httpx.Response(503, headers={"retry-after": date}), httpx.Response(200, json=OK))
    reader(steps, fake_time).read("GET", "/things")
    assert 30 <= fake_time.naps[0] <= 30.5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("", None), ("soon", None), ("nan", None), ("-5", None), ("0", 0.0), ("12", 12.0)],
)
def test_a_retry_after_that_cannot_be_read_counts_as_absent(fake_time, value, seconds):
    assert retry_after_seconds(value, fake_time.now()) == seconds


def test_a_retry_after_in_the_past_means_now(fake_time):
    past = format_datetime(fake_time.now() - timedelta(hours=1), usegmt=True)
    assert retry_after_seconds(past, fake_time.now()) == 0.0


def test_a_wait_beyond_the_deadline_ends_the_call_at_once_and_hands_the_wait_on(script, fake_time):
    steps = script(httpx.Response(429, headers={"retry-after": "3600"}))
    with pytest.raises(TransientSourceError, match="429") as caught:
        reader(steps, fake_time).read("GET", "/things")
    assert caught.value.retry_after == 3600
    assert fake_time.naps == []


def test_the_deadline_ends_the_tries_although_some_are_left(script, fake_time):
    def slow(request):
        fake_time.at += timedelta(seconds=50)
        return httpx.Response(500)

    steps = script(*[slow] * 20)
    with pytest.raises(TransientSourceError):
        reader(steps, fake_time, patience=Patience(attempts=20, deadline=120)).read("GET", "/")
    assert len(steps.seen) == 3


def test_an_answer_that_drips_in_for_ever_is_cut_at_the_deadline(script, fake_time):
    class Drip(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                fake_time.at += timedelta(seconds=10)
                yield b" "

    steps = script(*[lambda request: httpx.Response(200, stream=Drip())] * 9)
    with pytest.raises(TransientSourceError, match="still answering after 60 s"):
        reader(steps, fake_time, patience=Patience(deadline=60)).read("GET", "/")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (httpx.ReadTimeout("t"), "timed out after 30 s"),
        (httpx.ConnectTimeout("t"), "timed out after 30 s"),
        (httpx.ConnectError("no route"), "the host cannot be reached"),
        (httpx.RemoteProtocolError("peer closed"), "the answer was cut off"),
        (httpx.ReadError("reset"), "the answer was cut off"),
        (httpx.ProxyError("proxy"), "ProxyError"),
    ],
)
def test_a_broken_connection_is_transient_and_says_what_broke(script, fake_time, fault, words):
    assert reader(script(fault, httpx.Response(200, json=OK)), fake_time).read("GET", "/").document == OK
    with pytest.raises(TransientSourceError, match=words):
        reader(script(*[fault] * 5), fake_time).read("GET", "/")


def test_an_untrusted_certificate_is_permanent(script, fake_time):
    fault = httpx.ConnectError(str(ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")))
    with pytest.raises(PermanentSourceError, match="certificate is not trusted"):
        reader(script(fault), fake_time).read("GET", "/")


@pytest.mark.parametrize("body", [b"<html>login</html>", b'{"data": {"orders": [1, 2', b""])
def test_a_body_that_is_not_json_is_repeated_then_told_without_the_body(script, fake_time, body):
    broken = httpx.Response(200, content=body)
    assert reader(script(broken, httpx.Response(200, json=OK)), fake_time).read("GET", "/").document == OK
    with pytest.raises(TransientSourceError, match="something that is not JSON") as caught:
        reader(script(*[httpx.Response(200, content=body)] * 5), fake_time).read("GET", "/")
    assert "html" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_redirect_is_not_followed_and_is_permanent(script, fake_time):
    steps = script(httpx.Response(302, headers={"location": "https://evil.example/"}))
    with pytest.raises(PermanentSourceError, match=r"redirected \(302\)"):
        reader(steps, fake_time).read("GET", "/", headers={"x-token": SECRET})
    assert len(steps.seen) == 1


def test_a_request_that_is_not_idempotent_is_sent_once(script, fake_time):
    steps = script(*[httpx.Response(500)] * 5)
    with pytest.raises(TransientSourceError):
        reader(steps, fake_time).read("POST", "/", idempotent=False)
    assert len(steps.seen) == 1


def test_server_errors_have_a_cap_of_their_own(script, fake_time):
    steps = script(*[httpx.Response(500)] * 5)
    with pytest.raises(TransientSourceError, match="gave up after 3 tries"):
        reader(steps, fake_time).read("POST", "/", server_attempts=3)


def test_an_answer_that_the_client_wants_is_handed_back_whatever_its_status(script, fake_time):
    steps = script(httpx.Response(429, json={"code": "THROTTLED"}))
    answer = reader(steps, fake_time).read("POST", "/", leave=lambda answer: answer.document is not None)
    assert (answer.status, answer.document) == (429, {"code": "THROTTLED"})


@pytest.mark.parametrize("url", ["", "shop.example", "ftp://shop.example", "https://", "http://:80"])
def test_a_base_url_that_is_none_is_told_at_once(url):
    with pytest.raises(PermanentSourceError, match="not an http"):
        HttpReader("shop", url)


def test_an_error_names_neither_query_nor_user_info(script, fake_time):
    steps = script(httpx.Response(404))
    client = HttpReader("shop", f"https://user:{SECRET}@shop.example/base", transport=steps.transport)
    with pytest.raises(SourceError) as caught:
        client.read("GET", "/things", params={"key": SECRET})
    assert SECRET not in str(caught.value)
    assert "shop.example: GET /base/things was answered 404" in str(caught.value)


def test_an_answer_that_unpacks_to_more_than_memory_is_stopped_while_it_unpacks(script, fake_time, monkeypatch):
    """Two megabytes of zeros in two kilobytes, against a cap of one."""
    monkeypatch.setattr(http, "LARGEST_ANSWER", 2**20)
    bomb = gzip.compress(b'{"data":"' + b"0" * 2**21 + b'"}')
    assert len(bomb) < 5_000
    steps = script(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(bomb)))
    with pytest.raises(TransientSourceError, match="longer than 1 MiB") as caught:
        reader(steps, fake_time).read("GET", "/x")
    assert "\n" not in str(caught.value)
    assert len(steps.seen) == 1
