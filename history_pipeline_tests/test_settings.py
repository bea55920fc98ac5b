"""What the operator sets: each mistake named at once, and no secret anywhere."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from history_pipeline import settings as settings_module
from history_pipeline.errors import ConfigurationError
from history_pipeline.gws.transport import basic_header
from history_pipeline.model import Source
from history_pipeline.settings import Settings, load

GIVEN = {
    "GWS_URL": "https://gws.example.com",
    "GWS_USERNAME": "reader",
    "GWS_PASSWORD": "s3cr3t-Pa55",
    "GWS_TIMEZONE": "Europe/Berlin",
    "HISTORY_CONTACTS": "gws",
}
SECRETS = ("s3cr3t-Pa55", "t0k3n-0f-proxy", "k3y-0f-header")


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    import os

    for name in list(os.environ):
        if name.startswith(("GWS_", "HISTORY_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the variables that are needed, changed as told (None unsets), and loads."""

    def loading(**changes: str | None) -> Settings:
        for name, value in (GIVEN | changes).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return load()

    return loading


def mistakes(given: Any, **changes: str | None) -> list[str]:
    """The lines of the one message."""
    with pytest.raises(ConfigurationError) as caught:
        given(**changes)
    first, *lines = str(caught.value).splitlines()
    assert first == "the configuration is not usable:"
    return [line.removeprefix("  - ") for line in lines]


# -- what is right --------------------------------------------------------------------------------


def test_what_is_not_set_has_the_documented_default(given: Any, tmp_path: Path) -> None:
    found = given()
    assert {
        "notifications_path": found.notifications_path,
        "channel": found.channel,
        "contacts_path": found.contacts_path,
        "basic_encoding": found.basic_encoding,
        "concurrency": found.concurrency,
        "concurrency_floor": found.concurrency_floor,
        "business_hours": found.business_hours,
        "business_concurrency": found.business_concurrency,
        "requests_per_second": found.requests_per_second,
        "notification_timeout": found.notification_timeout,
        "max_attempts": found.max_attempts,
        "canary_interval": found.canary_interval,
        "sources": found.sources,
        "media_type": found.media_type,
        "asked_attributes": found.asked_attributes,
        "window_days": found.window_days,
        "overlap_days": found.overlap_days,
        "lookback_days": found.lookback_days,
        "start_date": found.start_date.isoformat(),
        "data_dir": found.data_dir,
        "is_narrowed": found.is_narrowed,
    } == {
        "notifications_path": "/api/v2/notifications",
        "channel": "/v2/ucs/interactions",
        "contacts_path": "/api/v2/contacts",
        "basic_encoding": "utf-8",
        "concurrency": 4,
        "concurrency_floor": 1,
        "business_hours": None,
        "business_concurrency": None,
        "requests_per_second": 5.0,
        "notification_timeout": 60.0,
        "max_attempts": 5,
        "canary_interval": 30.0,
        "sources": (Source.MAIN, Source.ARCHIVE),
        "media_type": None,
        "asked_attributes": (),
        "window_days": 31,
        "overlap_days": 1,
        "lookback_days": 7,
        "start_date": "2015-01-01",
        "data_dir": tmp_path / "data",
        "is_narrowed": False,
    }


@pytest.mark.parametrize(
    "url",
    ["https://gws.example.com", "https://gws.example.com/", " https://gws.example.com ",
     "https://gws.example.com/api/v2", "https://gws.example.com/api/v2/"],
)  # fmt: skip
def test_a_base_url_is_the_same_however_it_ends(given: Any, url: str) -> None:
    assert given(GWS_URL=url).url == "https://gws.example.com"


def test_a_path_and_a_port_belong_to_the_base_url(given: Any) -> None:
    assert given(GWS_URL="http://10.0.0.7:8090/gws/").url == "http://10.0.0.7:8090/gws"


@pytest.mark.parametrize(
    ("text", "sources"),
    [("main", ("main",)), ("archive", ("archive",)), ("archive,main", ("main", "archive")),
     (" main , archive ", ("main", "archive")), ("main,main", ("main",))],
)  # fmt: skip
def test_main_comes_first_however_the_sources_are_named(
    given: Any, text: str, sources: tuple[str, ...]
) -> None:
    assert given(HISTORY_SOURCES=text).sources == sources


def test_names_may_hold_commas_quotes_and_any_script(given: Any) -> None:
    found = given(
        HISTORY_CUSTOM_ATTRIBUTES='["a,b", "say \\"hi\\"", "ß", "A", "a"]',
        HISTORY_SEARCH_ATTRIBUTES='{"searched, for": "x", "a": "y"}',
    )
    assert found.asked_attributes == ("A", "a", "a,b", 'say "hi"', "searched, for", "ß")
    assert found.is_narrowed


@pytest.mark.parametrize("value", ["", "  "])
@pytest.mark.parametrize(
    "name",
    ["HISTORY_CUSTOM_ATTRIBUTES", "HISTORY_SEARCH_ATTRIBUTES", "HISTORY_MEDIA_TYPE", "GWS_HEADERS",
     "GWS_PROXY", "GWS_CA_BUNDLE", "GWS_PASSWORD_FILE", "HISTORY_FULL_LIST"],
)  # fmt: skip
def test_a_variable_left_blank_is_not_set(given: Any, name: str, value: str) -> None:
    assert given(**{name: value}) == given(**{name: None})


def test_a_relative_contacts_file_becomes_absolute(given: Any, tmp_path: Path) -> None:
    found = given(HISTORY_CONTACTS="file:a list.csv")
    assert found.contacts == f"file:{tmp_path}/a list.csv"
    assert found.contact_source == "file"


def test_a_full_list_stands_behind_activity(given: Any, tmp_path: Path) -> None:
    assert given(HISTORY_CONTACTS="activity").full_list is None
    assert given(HISTORY_CONTACTS="activity", HISTORY_FULL_LIST="gws").full_list == "gws"
    found = given(HISTORY_CONTACTS="activity", HISTORY_FULL_LIST="file:all.csv")
    assert found.full_list == f"file:{tmp_path}/all.csv"
    assert found.contact_source == "activity"


@pytest.mark.parametrize("value", ["activity", "file:", "file: ", "csv:/x", "all.csv"])
def test_a_full_list_is_a_list(given: Any, value: str) -> None:
    (line,) = mistakes(given, HISTORY_CONTACTS="activity", HISTORY_FULL_LIST=value)
    assert line == "HISTORY_FULL_LIST: must be gws or file:PATH, or unset"


def test_a_full_list_behind_another_list_is_a_mistake(given: Any) -> None:
    (line,) = mistakes(given, HISTORY_FULL_LIST="gws")
    assert line.startswith("HISTORY_FULL_LIST: makes up for what HISTORY_CONTACTS=activity")
    assert line.endswith("unset it, or set HISTORY_CONTACTS=activity")


def test_a_dotenv_file_is_read_and_the_environment_goes_before_it(
    given: Any, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text('GWS_CONCURRENCY=9\nGWS_MAX_ATTEMPTS=2\nOTHER="x"\n')
    found = given(GWS_CONCURRENCY="3")
    assert (found.concurrency, found.max_attempts) == (3, 2)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_password_may_lie_in_a_file(given: Any, tmp_path: Path, ending: str) -> None:
    (tmp_path / "pw").write_bytes(f" pässwörd {ending}".encode())
    found = given(GWS_PASSWORD=None, GWS_PASSWORD_FILE=str(tmp_path / "pw"))
    assert found.secret == " pässwörd "


# -- mistakes -------------------------------------------------------------------------------------

WRONG = [
    ("GWS_URL", None),
    ("GWS_URL", ""),
    ("GWS_URL", "gws.example.com"),
    ("GWS_URL", "ftp://gws.example.com"),
    ("GWS_URL", "https://"),
    ("GWS_URL", "https://user:pw@gws.example.com"),
    ("GWS_URL", "https://gws.example.com/?x=1"),
    ("GWS_USERNAME", None),
    ("GWS_USERNAME", ""),
    ("GWS_TIMEZONE", None),
    ("GWS_TIMEZONE", ""),
    ("GWS_TIMEZONE", "CEST"),
    ("GWS_TIMEZONE", "../../etc/passwd"),
    ("GWS_TIMEZONE", "/etc/localtime"),
    ("GWS_TIMEZONE", "Europe"),
    ("GWS_BASIC_ENCODING", "latin-1"),
    ("GWS_NOTIFICATIONS_PATH", "api/v2/notifications"),
    ("GWS_CHANNEL", ""),
    ("GWS_CONTACTS_PATH", "contacts"),
    ("GWS_CONCURRENCY", "0"),
    ("GWS_CONCURRENCY", "-1"),
    ("GWS_CONCURRENCY", "many"),
    ("GWS_CONCURRENCY", "1.5"),
    ("GWS_CONCURRENCY", "100000"),
    ("GWS_CONCURRENCY_FLOOR", "0"),
    ("GWS_CONCURRENCY_FLOOR", "some"),
    ("GWS_BUSINESS_HOURS", "always"),
    ("GWS_BUSINESS_CONCURRENCY", "0"),
    ("GWS_REQUESTS_PER_SECOND", "-1"),
    ("GWS_REQUESTS_PER_SECOND", "nan"),
    ("GWS_NOTIFICATION_TIMEOUT", "0"),
    ("GWS_NOTIFICATION_TIMEOUT", "nan"),
    ("GWS_MAX_ATTEMPTS", "0"),
    ("GWS_CANARY_INTERVAL", "0"),
    ("GWS_HEADERS", "X-Key: 1"),
    ("GWS_HEADERS", "[]"),
    ("GWS_HEADERS", '{"X-Key": 1}'),
    ("HISTORY_CONTACTS", None),
    ("HISTORY_CONTACTS", ""),
    ("HISTORY_CONTACTS", "csv:/x"),
    ("HISTORY_CONTACTS", "file:"),
    ("HISTORY_FULL_LIST", "csv:/x"),
    ("HISTORY_START_DATE", "01.01.2015"),
    ("HISTORY_SOURCES", ""),
    ("HISTORY_SOURCES", "main;archive"),
    ("HISTORY_SOURCES", "Main"),
    ("HISTORY_MEDIA_TYPE", "fax"),
    ("HISTORY_MEDIA_TYPE", "Chat"),
    ("HISTORY_CUSTOM_ATTRIBUTES", "a,b"),
    ("HISTORY_CUSTOM_ATTRIBUTES", '{"a": 1}'),
    ("HISTORY_CUSTOM_ATTRIBUTES", "[1]"),
    ("HISTORY_SEARCH_ATTRIBUTES", '["a"]'),
    ("HISTORY_SEARCH_ATTRIBUTES", '{"a": 1}'),
    ("HISTORY_WINDOW_DAYS", "0"),
    ("HISTORY_WINDOW_DAYS", "400"),
    ("HISTORY_OVERLAP_DAYS", "-1"),
    ("HISTORY_LOOKBACK_DAYS", "0"),
    ("HISTORY_LOOKBACK_DAYS", "32"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_mistake_is_named_with_its_variable(given: Any, name: str, value: str | None) -> None:
    lines = mistakes(given, **{name: value})
    assert len(lines) == 1
    assert lines[0].startswith(name)


def test_bounds_that_contradict_each_other_are_mistakes(given: Any) -> None:
    assert mistakes(
        given,
        GWS_CONCURRENCY="8",
        GWS_CONCURRENCY_FLOOR="9",
        GWS_BUSINESS_HOURS="Mon-Fri 08:00-18:00",
        GWS_BUSINESS_CONCURRENCY="10",
        GWS_MAX_ATTEMPTS="0",
    ) == [
        "GWS_CONCURRENCY_FLOOR: must not be above GWS_CONCURRENCY",
        "GWS_BUSINESS_CONCURRENCY: must not be above GWS_CONCURRENCY, which holds at all hours",
        "GWS_MAX_ATTEMPTS: Input should be greater than or equal to 1",
    ]


@pytest.mark.parametrize(
    "alone", [{"GWS_BUSINESS_HOURS": "Sat 09:00-12:00"}, {"GWS_BUSINESS_CONCURRENCY": "2"}]
)
def test_business_hours_and_their_bound_go_together(given: Any, alone: dict[str, str]) -> None:
    assert mistakes(given, **alone) == [
        "GWS_BUSINESS_CONCURRENCY: goes together with GWS_BUSINESS_HOURS; set both, or neither"
    ]


def test_blank_business_hours_are_none(given: Any) -> None:
    found = given(GWS_BUSINESS_HOURS=" ", GWS_BUSINESS_CONCURRENCY="")
    assert (found.business_hours, found.business_concurrency) == (None, None)


def test_every_mistake_is_named_in_one_message(given: Any) -> None:
    wrong = dict(reversed(WRONG))
    named = {line.split()[0].rstrip(":") for line in mistakes(given, **wrong)}
    assert named == set(wrong)


def test_with_nothing_set_everything_that_is_needed_is_named(given: Any) -> None:
    lines = mistakes(given, **dict.fromkeys(GIVEN))
    assert {line.split()[0] for line in lines} == set(GIVEN)


@pytest.mark.parametrize("value", [None])
def test_a_missing_password_is_a_mistake(given: Any, value: str | None) -> None:
    assert mistakes(given, GWS_PASSWORD=value) == ["GWS_PASSWORD (or GWS_PASSWORD_FILE) is missing"]


def test_two_passwords_are_a_mistake(given: Any, tmp_path: Path) -> None:
    lines = mistakes(given, GWS_PASSWORD_FILE=str(tmp_path / "pw"))
    assert lines == ["GWS_PASSWORD and GWS_PASSWORD_FILE are both set; keep one"]


def test_two_passwords_are_named_beside_another_mistake(given: Any, tmp_path: Path) -> None:
    lines = mistakes(given, GWS_PASSWORD_FILE=str(tmp_path / "pw"), GWS_CONCURRENCY="0")
    assert any("GWS_PASSWORD_FILE" in line for line in lines)


def test_a_missing_password_is_named_beside_a_dotenv_file_without_one(
    given: Any, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("GWS_CONCURRENCY=0\n")
    assert len(mistakes(given, GWS_PASSWORD=None)) == 2


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_password_file_that_cannot_be_read_is_named(
    given: Any, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "pw").write_bytes(content)
    with pytest.raises(ConfigurationError, match="GWS_PASSWORD_FILE cannot be read"):
        given(GWS_PASSWORD=None, GWS_PASSWORD_FILE=str(tmp_path / "pw"))


def test_a_password_file_that_cannot_be_read_is_named_beside_another_mistake(given: Any) -> None:
    lines = mistakes(given, GWS_PASSWORD=None, GWS_PASSWORD_FILE="/absent", GWS_CONCURRENCY="0")
    assert any("GWS_PASSWORD_FILE" in line for line in lines)


def test_an_empty_password_is_a_missing_one(given: Any) -> None:
    assert mistakes(given, GWS_PASSWORD="")


def test_an_empty_password_beside_a_file_is_not_set(given: Any, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("x")
    assert given(GWS_PASSWORD="", GWS_PASSWORD_FILE=str(tmp_path / "pw")).secret == "x"


def test_a_blank_data_directory_is_the_default(given: Any, tmp_path: Path) -> None:
    assert given(HISTORY_DATA_DIR="").data_dir == tmp_path / "data"


@pytest.mark.parametrize("name", ["GWS_NOTIFICATION_TIMEOUT", "GWS_CANARY_INTERVAL"])
def test_a_wait_without_end_is_a_mistake(given: Any, name: str) -> None:
    assert mistakes(given, **{name: "inf"})


def test_a_colon_in_the_user_name_is_a_mistake(given: Any) -> None:
    assert mistakes(given, GWS_USERNAME="domain:reader")


# -- secrets --------------------------------------------------------------------------------------


def secretive(given: Any) -> Settings:
    found: Settings = given(
        GWS_PROXY="http://user:t0k3n-0f-proxy@proxy:3128",
        GWS_HEADERS='{"X-Api-Key": "k3y-0f-header", "ContactCenterId": "7"}',
    )
    return found


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda found: repr([found])])
@pytest.mark.parametrize("used", [False, True])
def test_no_secret_shows(given: Any, show: Any, used: bool) -> None:
    found = secretive(given)
    if used:
        assert found.secret == "s3cr3t-Pa55"
        assert found.zone.key == "Europe/Berlin"
    text = show(found)
    assert not [secret for secret in SECRETS if secret in text]


def test_the_password_is_no_plain_text(given: Any) -> None:
    assert isinstance(given().password, SecretStr)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GWS_URL", "https://reader:s3cr3t-Pa55@gws.example.com"),
        ("GWS_HEADERS", '{"X-Api-Key": "k3y-0f-header"'),
        ("GWS_HEADERS", '{"X-Api-Key": ["k3y-0f-header"]}'),
        ("GWS_HEADERS", '["k3y-0f-header"]'),
        ("GWS_CONCURRENCY", "s3cr3t-Pa55"),
        ("GWS_TIMEZONE", "s3cr3t-Pa55"),
        ("HISTORY_CONTACTS", "s3cr3t-Pa55"),
        ("HISTORY_SOURCES", "s3cr3t-Pa55"),
        ("HISTORY_SEARCH_ATTRIBUTES", '{"name": ["s3cr3t-Pa55"]}'),
    ],
)
def test_a_mistake_never_quotes_what_was_set(given: Any, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        given(**{name: value})
    text = repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in SECRETS if secret in text]


def test_credentials_that_cannot_be_encoded_are_a_configuration_error(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="GWS_BASIC_ENCODING") as caught:
        basic_header(given(GWS_PASSWORD=f"{SECRETS[0]} \u20ac", GWS_BASIC_ENCODING="iso-8859-1"))
    assert SECRETS[0] not in "".join(traceback.format_exception(caught.value))


def test_no_cause_of_an_error_holds_the_password(given: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        basic_header(given(GWS_PASSWORD="s3cr3t-Pa55 \u20ac", GWS_BASIC_ENCODING="iso-8859-1"))
    assert "s3cr3t" not in repr(caught.value.__cause__)


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_credentials_are_encoded_as_configured(given: Any, encoding: str) -> None:
    import base64

    header = basic_header(given(GWS_PASSWORD="pässwörd", GWS_BASIC_ENCODING=encoding))
    scheme, _, coded = header.partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(coded).decode(encoding) == "reader:pässwörd"


def test_settings_cannot_be_changed(given: Any) -> None:
    found = given()
    with pytest.raises(Exception, match="frozen"):
        found.concurrency = 100


def test_the_default_data_directory_has_one_name() -> None:
    assert Path("data") == settings_module.DEFAULT_DATA_DIR
