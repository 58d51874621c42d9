"""The webhook client: failures sorted, the URL kept to itself."""

import logging
import traceback

import httpx
import pytest

from hotdash_pipelines.alerts.channels.channel import (
    ChannelError,
    PermanentChannelError,
    RefusedChannelError,
    TransientChannelError,
)
from hotdash_pipelines.alerts.channels.slack.webhook import SlackWebhook

URL = "https://hooks.example.org/services/T000/B000/s3cr3t"


def answering(status: int, headers: dict[str, str] | None = None) -> httpx.MockTransport:
    return httpx.MockTransport(lambda request: httpx.Response(status, headers=headers, text="body of s3cr3t"))


def failing(error: type[httpx.TransportError]) -> httpx.MockTransport:
    def raise_it(request: httpx.Request) -> httpx.Response:
        raise error(f"cannot reach {request.url}")

    return httpx.MockTransport(raise_it)


def post(transport: httpx.BaseTransport) -> None:
    with SlackWebhook(URL, transport=transport) as slack:
        slack.post({"text": "hello"})


def test_an_accepted_message_is_sent_as_json() -> None:
    seen = []
    post(httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(200, text="ok")))
    assert str(seen[0].url) == URL
    assert seen[0].method == "POST"
    assert seen[0].read() == b'{"text":"hello"}'


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors_may_pass(status: int) -> None:
    with pytest.raises(TransientChannelError) as error:
        post(answering(status))
    assert error.value.retry_after is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17.0), ("0", 1.0), ("soon", None), ("", None), ("-5", 1.0), ("inf", None), ("1e9", 86400.0)],
)
def test_too_many_requests_say_how_long_to_wait(header: str, seconds: float | None) -> None:
    with pytest.raises(TransientChannelError) as error:
        post(answering(429, {"Retry-After": header}))
    assert error.value.retry_after == seconds


@pytest.mark.parametrize("status", [400, 413])
def test_a_message_that_slack_does_not_take_is_permanent(status: int) -> None:
    with pytest.raises(PermanentChannelError, match=str(status)):
        post(answering(status))


@pytest.mark.parametrize("status", [301, 401, 403, 404, 410])
def test_a_webhook_that_is_gone_or_closed_is_the_settings_fault(status: int) -> None:
    with pytest.raises(RefusedChannelError, match=f"{status}.*HOTDASH_SLACK_WEBHOOK_URL"):
        post(answering(status, {"Location": "https://elsewhere.example.org/"}))


def test_a_probe_is_no_message() -> None:
    seen = []
    with SlackWebhook(
        URL, transport=httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(400))
    ) as slack:
        slack.probe()
    assert seen[0].read() == b"{}"
    with SlackWebhook(URL, transport=answering(503)) as slack, pytest.raises(TransientChannelError):
        slack.probe()


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ConnectTimeout]
)
def test_broken_connections_may_pass(error: type[httpx.TransportError]) -> None:
    with pytest.raises(TransientChannelError, match=error.__name__) as raised:
        post(failing(error))
    assert raised.value.may_have_arrived is (error in (httpx.ReadTimeout, httpx.RemoteProtocolError))


@pytest.mark.parametrize(
    "url", ["", "hooks.example.org/s3cr3t", "ftp://hooks.example.org/s3cr3t", "http://exam\nple.org/s3cr3t"]
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(RefusedChannelError) as error:
        SlackWebhook(url)
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize("transport", [answering(200), answering(429), answering(404), failing(httpx.ConnectError)])
def test_the_url_stands_in_no_log_line_and_in_no_error(
    transport: httpx.BaseTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = ""
    with SlackWebhook(URL, transport=transport) as slack:
        said += repr(slack)
        try:
            slack.post({"text": "hello"})
        except ChannelError as error:
            said += "".join(traceback.format_exception(error)) + repr(error)
    assert "s3cr3t" not in said + caplog.text


def test_other_requests_are_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with SlackWebhook(URL, transport=answering(200)), httpx.Client(transport=answering(200)) as other:
        other.get("https://shop.example.org/orders")
    assert "https://shop.example.org/orders" in caplog.text


@pytest.mark.parametrize("host", ["hooks..slack.com", "a" * 64 + ".example.org"])
def test_a_host_that_no_resolver_takes_is_a_wrong_setting(host: str) -> None:
    with pytest.raises(RefusedChannelError, match="HOTDASH_SLACK_WEBHOOK_URL is no URL"):
        SlackWebhook(f"https://{host}/services/T/B/x")
