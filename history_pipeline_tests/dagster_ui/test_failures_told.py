"""What is posted of runs that failed, and of those that ended with requests unanswered: real runs in
a real instance, a real server and a real receiver."""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from history_pipeline.defs import home
from history_pipeline.defs.contacts import contacts
from history_pipeline.defs.interactions import interactions
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.defs.sensors import KEPT, failures, tell_failures
from history_pipeline.defs.webhook import BOUND, TRIES, Undelivered, Webhook
from history_pipeline.errors import ConfigurationError
from history_pipeline_tests.dagster_ui.receiver import SECRET, Receiver, receiving
from history_pipeline_tests.dagster_ui.site import Site
from history_pipeline_tests.dagster_ui.webserver import ui, waited_for
from history_pipeline_tests.end_to_end.running import PASSWORD, Span, environment, simulator
from history_pipeline_tests.families import mostly_slow

SPAN = Span(date(2026, 10, 1), date(2026, 10, 4), contacts=10)
DAYS = {
    "dagster/asset_partition_range_start": "2026-10-01",
    "dagster/asset_partition_range_end": "2026-10-03",
}
CUSTOMER = "Ms Example, 0151 2345"
PLANNED = 2 * SPAN.contacts


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@dataclass
class Place:
    """An instance, and the cursor of its sensor."""

    instance: dg.DagsterInstance
    data_dir: Path
    cursor: str | None = None
    rests: list[float] = field(default_factory=list)

    def run(self, *assets: Any, tags: dict[str, str] = DAYS, ours: bool = True) -> str:
        """Materializes them in this process, as `backfill` does; the run's id."""
        run_id = str(uuid.uuid4())
        pipeline = Pipeline(patience=0, server_patience=2.0)
        defs = dg.Definitions(
            assets=list(assets),
            jobs=[dg.define_asset_job("daily", selection=dg.AssetSelection.all())],
            resources={"pipeline": pipeline},
            executor=dg.in_process_executor,
        )
        defs.resolve_job_def("daily").execute_in_process(
            instance=self.instance,
            run_id=run_id,
            tags={**tags, **(home.process_tag(run_id) if ours else {})},
            raise_on_error=False,
        )
        return run_id

    def look(self, webhook: str, after: float = 0.0) -> int:
        """What the sensor does, so many seconds from now; how many notices it posted."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        try:
            messenger = Webhook(webhook, sleep=self.rests.append)
            return tell_failures(context, Pipeline(), messenger, time.time() + after)
        finally:
            self.cursor = context.cursor


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("GWS_", "HISTORY_")):
            monkeypatch.delenv(name)
    theirs = tmp_path / "dagster"
    theirs.mkdir()
    with dg.DagsterInstance.local_temp(str(theirs)) as instance:
        yield Place(instance, tmp_path / "data")


@pytest.fixture
def configured(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Place]:
    """The place, with this configuration, and a sensor that has begun to look."""

    def set_up(url: str, **more: str) -> Place:
        for name, value in environment(url, place.data_dir, **more).items():
            monkeypatch.setenv(name, value)
        assert place.look("http://127.0.0.1:9/nobody") == 0
        return place

    return set_up


def assert_nothing_spilt(told: Any) -> None:
    text = json.dumps(told, ensure_ascii=False) if not isinstance(told, str) else told
    assert [each for each in (PASSWORD, CUSTOMER, SECRET) if each in text] == []


# -- what is told ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_ends_with_requests_unanswered_is_told_with_its_account(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    with simulator(SPAN, "--lost-share", "0.4") as url:
        place = configured(url, GWS_MAX_ATTEMPTS="1")
        run_id = place.run(contacts, interactions)
    assert place.look(receiver.url) == 1
    (notice,) = receiver.notices
    account = notice["account"]
    assert account["planned"] == PLANNED == sum(account.values()) - PLANNED
    assert account["failed"] > 0
    assert (notice["event"], notice["status"]) == ("check_failed", 1)
    assert (notice["job"], notice["run_id"]) == ("daily", run_id)
    assert notice["days"] == {"from": "2026-10-01", "to": "2026-10-03"}
    assert notice["step"] == "interactions"
    assert notice["checks_failed"] == ["every_request_answered"]
    assert notice["reason"].startswith(f"{account['failed']} of {PLANNED} requests failed")
    assert notice["attempt"]
    assert notice["text"].startswith("history_pipeline: daily ")
    assert_nothing_spilt(notice)


@pytest.mark.slow
def test_a_run_that_answered_everything_is_not_told(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    with simulator(SPAN) as url:
        place = configured(url, GWS_NOTIFICATION_TIMEOUT="30")
        place.run(contacts, interactions)
    assert place.look(receiver.url) == 0
    assert receiver.notices == []


@pytest.mark.slow
def test_a_server_that_falls_silent_is_told_with_what_was_put_down(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    with simulator(SPAN, "--mute-from", "8") as url:
        place = configured(
            url, GWS_CONCURRENCY="2", GWS_CANARY_INTERVAL="1", GWS_NOTIFICATION_TIMEOUT="60"
        )
        place.run(contacts, interactions)
    assert place.look(receiver.url) == 1
    (notice,) = receiver.notices
    assert (notice["event"], notice["status"]) == ("run_failed", 3)
    assert notice["step"] == "interactions"
    assert "nothing" in notice["reason"]
    account = notice["account"]
    assert account["planned"] == PLANNED
    assert account["failed"] == 0
    assert 0 < account["answered"] == PLANNED - account["open"]


def test_a_refused_login_is_told_without_the_password(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    with simulator(SPAN) as url:
        place = configured(url, GWS_PASSWORD=f"not {PASSWORD}")
        place.run(contacts)
    assert place.look(receiver.url) == 1
    (notice,) = receiver.notices
    assert (notice["step"], notice["status"], notice["account"]) == ("contacts", 3, None)
    assert "refused the login" in notice["reason"]
    assert_nothing_spilt(notice)


def test_a_configuration_that_is_of_no_use_is_told_all_the_same(
    configured: Callable[..., Place], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = configured("http://127.0.0.1:9")
    monkeypatch.delenv("GWS_TIMEZONE")
    place.run(interactions)
    assert place.look(receiver.url) == 1
    (notice,) = receiver.notices
    assert (notice["status"], notice["account"]) == (2, None)
    assert "GWS_TIMEZONE is missing" in notice["reason"]


@dg.asset
def unforeseen() -> None:
    try:
        raise KeyError(CUSTOMER)
    except KeyError as exc:
        raise ValueError(CUSTOMER) from exc


def test_of_a_foreign_error_only_the_kind_is_told(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    place = configured("http://127.0.0.1:9")
    place.run(unforeseen, tags={})
    assert place.look(receiver.url) == 1
    (notice,) = receiver.notices
    assert (notice["status"], notice["reason"]) == (4, "unforeseen KeyError")
    assert notice["days"] is None
    assert_nothing_spilt(notice)


def test_a_run_whose_process_died_is_told_when_it_is_buried(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    place = configured("http://127.0.0.1:9")
    run_id = str(uuid.uuid4())
    gone = home.process_tag(run_id)[home.PROCESS_TAG].replace(f" {os.getpid()}@", " 4194305@")
    place.instance.add_run(
        dg.DagsterRun(
            job_name="daily",
            run_id=run_id,
            status=dg.DagsterRunStatus.STARTED,
            tags={home.PROCESS_TAG: gone, **DAYS},
        )
    )
    assert home.bury_the_dead(place.instance) == 1
    assert place.look(receiver.url) == 1
    (notice,) = receiver.notices
    assert (notice["run_id"], notice["status"], notice["step"]) == (run_id, 4, None)
    assert "process of this run has ended" in notice["reason"]


# -- when, and how often --------------------------------------------------------------------------


@pytest.fixture
def failed(configured: Callable[..., Place]) -> Place:
    place = configured("http://127.0.0.1:9")
    place.run(unforeseen, tags={})
    return place


def test_each_failure_is_told_once(failed: Place, receiver: Receiver) -> None:
    assert [failed.look(receiver.url) for _ in range(3)] == [1, 0, 0]
    failed.run(unforeseen, tags={})
    assert [failed.look(receiver.url) for _ in range(2)] == [1, 0]
    assert len({notice["run_id"] for notice in receiver.notices}) == 2


def test_what_failed_before_the_first_look_is_not_told(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    place = configured("http://127.0.0.1:9")
    place.run(unforeseen, tags={})
    place.cursor = None
    assert place.look(receiver.url, after=1) == 0


def test_other_peoples_runs_in_the_same_instance_are_not_told(
    configured: Callable[..., Place], receiver: Receiver
) -> None:
    place = configured("http://127.0.0.1:9")
    place.run(unforeseen, tags={}, ours=False)
    assert place.look(receiver.url) == 0


@pytest.mark.parametrize("status", mostly_slow([503, 429, 500]))
def test_a_receiver_that_stumbles_is_tried_again(
    status: int, failed: Place, receiver: Receiver
) -> None:
    receiver.answers = [status, status]
    assert failed.look(receiver.url) == 1
    assert len(receiver.notices) == TRIES
    assert len(failed.rests) == TRIES - 1


@pytest.mark.parametrize(("status", "tries"), mostly_slow([(500, TRIES), (404, 1), (302, 1)]))
def test_a_notice_that_is_not_taken_is_kept_for_the_next_look(
    status: int, tries: int, failed: Place, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.answers = [status] * tries
    with pytest.raises(Undelivered, match=f"HTTP {status}") as caught:
        failed.look(receiver.url)
    assert len(receiver.notices) == tries
    assert failed.look(receiver.url) == 1
    assert_nothing_spilt(str(caught.value) + repr(caught.value.__context__))


def test_a_receiver_that_is_not_there_is_named_without_its_url(failed: Place) -> None:
    with pytest.raises(Undelivered, match="HISTORY_WEBHOOK_URL") as caught:
        failed.look(f"http://127.0.0.1:9/{SECRET}")
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert_nothing_spilt(str(caught.value))


def test_a_notice_that_nobody_takes_is_given_up_after_six_hours(
    failed: Place, receiver: Receiver
) -> None:
    with pytest.raises(Undelivered):
        failed.look("http://127.0.0.1:9/x", after=KEPT - 600)
    assert failed.look(receiver.url, after=KEPT + 600) == 0
    assert receiver.notices == []


def test_no_other_try_begins_when_the_time_is_over(receiver: Receiver) -> None:
    receiver.answers = [500] * TRIES
    moments = iter([0.0, BOUND])
    with pytest.raises(Undelivered):
        Webhook(receiver.url, sleep=lambda _: None, clock=lambda: next(moments)).post({})
    assert len(receiver.notices) == 1


def test_without_a_webhook_nothing_is_looked_at(place: Place) -> None:
    context = dg.build_sensor_context(instance=place.instance, resources={"pipeline": Pipeline()})
    told = failures(context)
    assert "HISTORY_WEBHOOK_URL is not set" in str(told)
    assert context.cursor is None


def test_a_webhook_that_is_no_url_is_a_mistake_of_configuration(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTORY_WEBHOOK_URL", SECRET)
    context = dg.build_sensor_context(instance=place.instance, resources={"pipeline": Pipeline()})
    with pytest.raises(ConfigurationError, match="HISTORY_WEBHOOK_URL") as caught:
        failures(context)
    assert_nothing_spilt(str(caught.value))


@pytest.mark.slow
def test_dagsters_daemon_tells_what_failed(
    tmp_path: Path, receiver: Receiver, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(tmp_path / "data")
    secret = tmp_path / "webhook"
    secret.write_text(receiver.url + "\n")
    told = environment(
        "http://127.0.0.1:9",
        tmp_path / "data",
        HISTORY_WEBHOOK_URL_FILE=str(secret),
        HISTORY_LOG_FORMAT="json",
    )
    with ui(Site(tmp_path, told)) as opened:
        # the first look begins with the moment of it
        waited_for(lambda: True if _has_looked(opened.site) else None)
        run_id = opened.launch(assets=["contacts"])
        assert opened.run_ended(run_id) == "FAILURE"
        waited_for(lambda: receiver.notices or None)
    (notice,) = receiver.notices
    assert (notice["run_id"], notice["step"], notice["status"]) == (run_id, "contacts", 3)
    assert_nothing_spilt(notice)
    (printed,) = (tmp_path / "data" / "dagster" / "storage" / run_id).rglob("*.err")
    lines = [json.loads(line) for line in printed.read_text().splitlines()]
    assert any(line.get("event") == "STEP_FAILURE" for line in lines)
    assert {line["run_id"] for line in lines} == {run_id}


def _has_looked(site: Site) -> bool:
    with site.instance() as instance:
        states = instance.all_instigator_state()
        return any(
            state.instigator_name == "failures" and state.instigator_data.last_tick_timestamp
            for state in states
        )
