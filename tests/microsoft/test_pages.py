"""Pages of each style: each item once, to the end, and an end to those that have none (facts B)."""

import httpx
import pytest
import structlog

from microsoft import paging
from microsoft.answers import Call
from microsoft.errors import Malformed
from microsoft.paging import by_next_link, by_seek
from microsoft.partner_center import PartnerCenter
from microsoft.transport import Transport
from tests.microsoft.stand_ins import HOST, clients, fixed_token

CALL = Call("read", HOST.removeprefix("https://"), "a-correlation-id")


def tickets(first: int, last: int) -> list[dict[str, object]]:
    return [{"id": str(n), "status": 1} for n in range(first, last)]


async def numbers(partner_center: PartnerCenter, size: int) -> list[str]:
    return [ticket.id async for page in partner_center.service_requests(size) for ticket in page]


NEXT = {"next": {"uri": "/servicerequests?size=2&offset=", "method": "GET", "headers": []}}


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([tickets(0, 2), tickets(2, 4), tickets(4, 5)], id="the last is short"),
        pytest.param([tickets(0, 2), tickets(2, 4), []], id="all are full"),
        pytest.param([tickets(0, 2), tickets(1, 3), []], id="one moved to the next page meanwhile"),
        pytest.param([tickets(0, 2), tickets(0, 2)], id="the offset is ignored"),
        pytest.param([tickets(0, 5), []], id="the size is ignored"),
    ],
)
async def test_pages_by_offset_give_each_ticket_once_and_end(pages: list[list[dict[str, object]]]) -> None:
    partner_center, _, script = clients(*({"totalCount": len(page), "items": page} for page in pages))
    expected = sorted({str(ticket["id"]) for page in pages for ticket in page})
    assert await numbers(partner_center, 2) == expected
    assert script.replies == []
    offsets = [int(request.url.params["offset"]) for request in script.requests[1:]]
    assert offsets == [sum(len(page) for page in pages[:n]) for n in range(len(pages))]


async def test_a_record_that_cannot_be_read_keeps_nobody_from_the_others_and_is_named_at_the_end() -> None:
    undated, nameless = {"id": "T-7", "status": 1, "createdDate": "yesterday"}, {"status": 1}
    partner_center, _, _ = clients({"items": [undated, *tickets(0, 1)]}, {"items": [nameless, *tickets(1, 2)]}, {})
    read: list[str] = []

    async def read_all() -> None:
        async for page in partner_center.service_requests(2):
            read.extend(ticket.id for ticket in page)

    with structlog.testing.capture_logs() as logged, pytest.raises(Malformed) as caught:
        await read_all()
    assert read == ["0", "1"]
    assert "2 passed over" in str(caught.value)
    assert "T-7" in str(caught.value)
    assert "createdDate" in str(caught.value)
    assert "yesterday" not in str(caught.value)
    named = [entry for entry in logged if entry["event"] == "record_unreadable"]
    assert [(entry["operation"], entry["record"]) for entry in named] == [
        ("list service requests", "T-7"),
        ("list service requests", "number 3"),
    ]
    assert {entry["correlation_id"] for entry in named} == {caught.value.correlation_id}


async def test_a_server_with_smaller_pages_is_read_to_the_end_by_its_next_link_or_its_total() -> None:
    partner_center, _, _ = clients(
        {"items": tickets(0, 3), "links": NEXT}, {"items": tickets(3, 6), "totalCount": 7}, {"items": tickets(6, 7)}
    )
    assert await numbers(partner_center, 500) == [str(n) for n in range(7)]


async def test_pages_of_one_listing_share_the_correlation_id_and_no_request_id() -> None:
    partner_center, _, script = clients({"items": tickets(0, 2)}, {"items": tickets(2, 3)})
    await numbers(partner_center, 2)
    pages = script.requests[1:]
    assert len({request.headers["MS-CorrelationId"] for request in pages}) == 1
    assert len({request.headers["MS-RequestId"] for request in pages}) == 2


class Endless:
    """A server that gives this page whatever it is asked, with a continuation or link that wasn't there before."""

    def __init__(self, *items: dict[str, object]) -> None:
        self.items, self.asked = items, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        headers = [{"key": "MS-ContinuationToken", "value": f"token-{self.asked}"}]
        page = {"items": self.items, "links": {"next": {"headers": headers}}, "nextLink": f"/v1/things?{self.asked}"}
        return httpx.Response(200, json={**page, "value": self.items})

    def transport(self) -> Transport:
        return Transport(HOST, wire=httpx.MockTransport(self))


@pytest.mark.parametrize("items", [[], [{"id": "a"}]], ids=["empty", "alike"])
@pytest.mark.parametrize("style", ["seek", "link"])
async def test_a_listing_that_goes_on_and_on_is_malformed(
    style: str, items: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES", 20)
    server = Endless(*items)
    http = server.transport()
    pages = (
        by_seek(http, CALL, "/v1/things", fixed_token, 2)
        if style == "seek"
        else by_next_link(http, CALL, "/v1/things", fixed_token)
    )
    with pytest.raises(Malformed, match="more than 20 pages"):
        _ = [page async for page in pages]
    assert server.asked == 20


async def test_pages_by_offset_that_never_end_are_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES", 20)
    partner_center, _, script = clients(*({"items": tickets(n, n + 2)} for n in range(0, 100, 2)))
    with pytest.raises(Malformed, match="more than 20 pages"):
        await numbers(partner_center, 2)
    assert len(script.requests) == 1 + 20
