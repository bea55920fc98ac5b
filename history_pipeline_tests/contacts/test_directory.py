"""`GET GWS_CONTACTS_PATH`, page by page, against a server that pages well, badly, or not at all."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from history_pipeline.contacts import listing as lists
from history_pipeline.contacts.directory import PAGE_SIZE, DirectoryContacts, open_session
from history_pipeline.errors import (
    LoginRefused,
    NotAServer,
    ServerSilent,
    ServerUnusable,
)
from history_pipeline.settings import Settings
from history_pipeline.storage import contact_list
from history_pipeline.storage.contact_list import Listed
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.contacts.list_server import (
    ListServer,
    Page,
    json_page,
    listing,
    serving,
)
from history_pipeline_tests.storage.lake import NOON

Answer = Callable[[int, int], Page]
IDS = [f"c{n:04d}" for n in range(1203)]


def settings(url: str, **changes: Any) -> Settings:
    given = {
        "GWS_URL": url,
        "GWS_USERNAME": "reader",
        "GWS_PASSWORD": "pässwörd",
        "GWS_TIMEZONE": "Europe/Berlin",
        "GWS_REQUESTS_PER_SECOND": "0",
        "HISTORY_CONTACTS": "gws",
    } | changes
    return Settings(_env_file=None, **given)


def ids_of(server: ListServer) -> list[str]:
    found = settings(server.url)
    with open_session(found) as session:
        pages = DirectoryContacts(found, session).pages()
        return [contact.contact_id for page in pages for contact in page]


def ids(answer: Answer) -> list[str]:
    with serving(answer) as server:
        return ids_of(server)


@pytest.mark.parametrize("cap", [None, 217, PAGE_SIZE, 401])
def test_every_contact_is_listed_once_however_short_the_pages_are(cap: int | None) -> None:
    assert ids(listing(IDS, cap)) == IDS


def test_a_page_that_is_longer_than_asked_for_is_gone_on_from_its_end() -> None:
    def generous(offset: int, limit: int) -> Page:
        return json_page([{"id": one} for one in IDS[offset : offset + limit + 50]])

    assert ids(generous) == IDS


def test_an_empty_list_has_no_pages() -> None:
    assert ids(listing([])) == []


def test_pages_of_one_contact_each_are_pages() -> None:
    assert ids(listing(["a", "b", "c"], 1)) == ["a", "b", "c"]


def test_all_that_a_list_says_of_a_contact_is_kept() -> None:
    with serving(
        lambda offset, limit: json_page([{"id": "a", "x": [1], "ID": 2}][offset:])
    ) as server:
        found = settings(server.url)
        with open_session(found) as session:
            ((contact,),) = DirectoryContacts(found, session).pages()
    assert (contact.contact_id, contact.attributes) == ("a", {"x": [1], "ID": 2})


def test_a_server_that_ignores_the_offset_is_noticed() -> None:
    with pytest.raises(NotAServer, match="does not page by `offset`"):
        ids(lambda offset, limit: json_page([{"id": "a"}, {"id": "b"}]))


def test_a_server_whose_pages_go_round_is_noticed() -> None:
    asked = 0

    def round_and_round(offset: int, limit: int) -> Page:
        nonlocal asked
        asked += 1
        if asked > 30:
            return 401, PLAIN, b""
        return json_page([{"id": f"c{(offset + n) % 4}"} for n in range(2)])

    with pytest.raises(NotAServer):
        ids(round_and_round)


PLAIN, HTML = "text/plain", "text/html"
JSON = "application/json"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ((401, PLAIN, b""), LoginRefused),
        ((401, JSON, b'{"statusCode":20}'), LoginRefused),
        ((403, PLAIN, b"no"), LoginRefused),
        ((302, HTML, b""), LoginRefused),
        ((200, JSON, b'{"statusCode":20}'), LoginRefused),
        ((200, HTML, b"<html>Log in</html>"), NotAServer),
        ((200, JSON, b""), NotAServer),
        ((200, JSON, b'{"statusCode":0,"contacts":[{"id":'), NotAServer),
        ((200, JSON, b'{"statusCode":0}'), NotAServer),
        ((200, JSON, b'{"statusCode":0,"contacts":null}'), NotAServer),
        ((200, JSON, b'{"statusCode":0,"contacts":{"id":"a"}}'), NotAServer),
        ((404, HTML, b"<html>"), NotAServer),
        ((404, JSON, b'{"statusCode":6}'), ServerUnusable),
        ((200, JSON, b'{"statusCode":5}'), ServerUnusable),
        ((200, JSON, b'{"contacts":[]}'), ServerUnusable),
        ((200, JSON, b"[]"), ServerUnusable),
        ((200, JSON, b"null"), ServerUnusable),
        ((400, JSON, b'{"statusCode":0,"contacts":[]}'), ServerUnusable),
    ],
)
def test_what_is_no_page_of_contacts_ends_the_listing(
    page: Page, expected: type[ServerUnusable]
) -> None:
    with pytest.raises(ServerUnusable) as caught:
        ids(lambda offset, limit: page)
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "row", [None, "a", 7, {}, {"id": None}, {"id": ""}, {"id": " "}, {"id": 7}]
)
def test_a_contact_without_an_id_is_not_passed_over(row: Any) -> None:
    with pytest.raises(NotAServer, match="without an id"):
        ids(lambda offset, limit: json_page([{"id": "a"}, row]))


def test_a_listing_that_breaks_off_in_the_middle_is_no_listing() -> None:
    def breaks(offset: int, limit: int) -> Page:
        return listing(IDS, 100)(offset, limit) if offset < 300 else (401, PLAIN, b"")

    with pytest.raises(LoginRefused):
        ids(breaks)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_keeps_asking_to_be_spared_ends_the_listing(status: int) -> None:
    with serving(lambda offset, limit: (status, PLAIN, b"")) as server:
        found = settings(server.url)
        with open_session(found) as session:
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=0))
            with pytest.raises(ServerSilent):
                list(DirectoryContacts(found, session).pages())


def test_nobody_at_the_address_is_silence() -> None:
    with serving(listing([])) as server:
        url = server.url
    found = settings(url)
    with open_session(found) as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=0))
        with pytest.raises(ServerSilent):
            list(DirectoryContacts(found, session).pages())


def test_the_rest_that_a_server_may_ask_for_is_bounded() -> None:
    with open_session(settings("http://127.0.0.1:1")) as session:
        adapter = session.get_adapter("http://127.0.0.1:1")
    assert isinstance(adapter, requests.adapters.HTTPAdapter)
    retries = adapter.max_retries
    longest = getattr(retries, "retry_after_max", float("inf"))
    assert not retries.respect_retry_after_header or longest <= 600


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_credentials_and_headers_go_with_every_request(
    encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(listing(IDS[:3], 2)) as server:
        found = settings(
            server.url, GWS_BASIC_ENCODING=encoding, GWS_HEADERS='{"ContactCenterId":"7"}'
        )
        with open_session(found) as session:
            list(DirectoryContacts(found, session).pages())
    expected = base64.b64encode("reader:pässwörd".encode(encoding)).decode()
    assert {headers["Authorization"] for headers in server.headers} == {f"Basic {expected}"}
    assert {headers["ContactCenterId"] for headers in server.headers} == {"7"}


def test_an_error_says_nothing_of_secrets_or_contents() -> None:
    with pytest.raises(NotAServer) as caught:
        ids(lambda offset, limit: (200, HTML, b"<html>a customer's words"))
    assert "words" not in str(caught.value)
    assert "pässwörd" not in str(caught.value)


def test_pages_and_what_is_asked_again_keep_to_the_rate() -> None:
    moments: list[float] = []

    def faulty(offset: int, limit: int) -> Page:
        moments.append(time.monotonic())
        return json_page([], 500) if len(moments) == 2 else listing(IDS[:3], 1)(offset, limit)

    with serving(faulty) as server:
        found = settings(server.url, GWS_REQUESTS_PER_SECOND="20")
        with open_session(found) as session:
            assert sum(map(len, DirectoryContacts(found, session).pages())) == 3
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert len(moments) == 5
    assert moments[-1] - moments[0] >= 4 / 20
    assert min(gaps) >= 0.03, "a retry too; a reply may be late"


def test_a_session_that_is_not_patient_takes_an_error_for_the_answer() -> None:
    with serving(lambda offset, limit: json_page([], 503)) as server:
        found = settings(server.url)
        with open_session(found, is_patient=False) as session, pytest.raises(ServerSilent):
            list(DirectoryContacts(found, session).pages())
    assert len(server.asked) == 1


# -- passes ---------------------------------------------------------------------------------------


class Changing:
    """A list that is another one each time it is read from its start."""

    def __init__(self, versions: Iterator[list[str]]) -> None:
        self._versions = versions
        self._now: list[str] = []

    def __call__(self, offset: int, limit: int) -> Page:
        if offset == 0:
            self._now = next(self._versions)
        return listing(self._now, 2)(offset, limit)


def refreshed(answer: Answer, layout: Layout) -> Listed:
    with serving(answer) as server:
        found = settings(server.url)
        with open_session(found) as session:
            return lists.refresh(DirectoryContacts(found, session), layout, NOON)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "home")


def test_a_list_that_changes_between_passes_is_read_again_until_two_agree(layout: Layout) -> None:
    versions = iter([["a", "b", "c"], ["a", "c", "d"], ["a", "c", "d"]])
    assert refreshed(Changing(versions), layout) == Listed(4, 4, 3, passes_agree=True)
    assert contact_list.current_ids(layout).to_pylist() == ["a", "b", "c", "d"]


def test_a_list_that_never_rests_is_read_five_times(layout: Layout) -> None:
    versions = ([f"c{n}", "always"] for n in range(100))
    assert refreshed(Changing(versions), layout) == Listed(6, 6, 5, passes_agree=False)


def test_a_contact_that_one_pass_missed_at_a_page_edge_is_found_by_another(layout: Layout) -> None:
    """While the first pass pages, one leaves: those behind it move up across the edge."""
    whole = ["a", "b", "c", "d", "e"]
    passes = 0

    def shrinking(offset: int, limit: int) -> Page:
        nonlocal passes
        passes += offset == 0
        now = whole if passes == 1 and offset == 0 else whole[1:]
        return listing(now, 2)(offset, limit)

    refreshed(shrinking, layout)
    assert contact_list.current_ids(layout).to_pylist() == whole


def test_attributes_reach_the_lake(layout: Layout) -> None:
    refreshed(lambda offset, limit: json_page([{"id": "a", "n": "ß"}][offset:]), layout)
    import pyarrow.parquet as pq

    (row,) = pq.read_table(layout.contacts).to_pylist()
    assert json.loads(row["attributes"]) == {"n": "ß"}
