"""The shell on virtual time, against a server that does what is written down for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from history_pipeline.errors import (
    AnswerFailed,
    AttemptSpent,
    ChannelRefused,
    ContactUnknown,
    DeadlineExceeded,
    EpochLost,
    Interrupted,
    LoginRefused,
    NotAServer,
    Overloaded,
    PipelineError,
    RequestRefused,
    ServerFault,
    ServerSilent,
    ServerUnusable,
    Throttled,
    Unreachable,
)
from history_pipeline.gws import payloads
from history_pipeline.gws.client import GwsClient, Inquiry
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.wire import Reply
from history_pipeline_tests import virtual_time
from history_pipeline_tests.gws.scripted_server import (
    CHANNEL,
    NOTIFICATIONS,
    Call,
    ScriptedServer,
    json_reply,
    raising,
    replying,
)

T = TypeVar("T")
Work = Callable[[GwsClient, ScriptedServer], Awaitable[T]]

CSRF = b"Missing or invalid Csrf token"


def client_of(server: ScriptedServer, **options: Any) -> GwsClient:
    settings: dict[str, Any] = {
        "deadline": 60.0,
        "in_flight": 1_000,
        "canary_interval": 90.0,
        "pace": Pace(0),
        **options,
    }
    return GwsClient(server, notifications_path=NOTIFICATIONS, channel=CHANNEL, **settings)


def talk(server: ScriptedServer, work: Work[T], **options: Any) -> T:
    async def whole() -> T:
        async with client_of(server, **options) as client:
            return await work(client, server)

    return virtual_time.run(whole())


def inquiry(name: str = "q") -> Inquiry:
    return Inquiry(f"/api/v2/ucs/contacts/{name}/interactions", b'{"q":1}')


async def ask(client: GwsClient, question: Inquiry | None = None) -> list[Any]:
    answer = await client.attempt(question or inquiry())
    return [json.loads(bytes(record)) for record in payloads.records(answer)]


async def ask_on(client: GwsClient, question: Inquiry | None = None) -> list[Any]:
    """As the collector does: interruptions are no end."""
    question = question or inquiry()
    while True:
        try:
            return await ask(client, question)
        except Interrupted:
            await asyncio.sleep(0.2)


async def ask_until_answered(client: GwsClient) -> list[Any]:
    """Without a bound of attempts."""
    question = inquiry()
    while True:
        try:
            return await ask_on(client, question)
        except AttemptSpent:
            pass


async def failure(work: Awaitable[Any]) -> PipelineError:
    try:
        await work
    except PipelineError as exc:
        return exc
    raise AssertionError("nothing was raised")


def now() -> float:
    return asyncio.get_running_loop().time()


# -- opening --------------------------------------------------------------------------------------


def test_a_question_is_asked_after_login_handshake_subscription_and_connect() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        return await ask(client)

    assert talk(server, work) == [{"id": "of 1"}]
    kinds = [call.kind for call in server.calls]
    assert kinds[:4] == ["me", "handshake", "subscribe", "connect"]
    assert kinds.index("history") >= 4
    assert kinds[-1] == "disconnect"


@pytest.mark.parametrize(
    ("kind", "script", "expected"),
    [
        ("me", replying(401), LoginRefused),
        ("me", replying(403, CSRF), LoginRefused),
        ("me", replying(302, location="/login"), LoginRefused),
        ("me", replying(200, b'{"statusCode":20,"statusMessage":"x"}'), LoginRefused),
        ("me", replying(401, b"<html>401</html>", content_type="text/html"), LoginRefused),
        ("me", replying(200, b"<html>Welcome</html>", content_type="text/html"), NotAServer),
        ("me", replying(200, b"hello"), NotAServer),
        ("me", replying(200, b"[]"), NotAServer),
        ("me", replying(404, b"<html>"), NotAServer),
        ("me", replying(200, b'{"statusCode":5}'), NotAServer),
        ("me", raising(Unreachable("no connection")), ServerSilent),
        ("me", replying(500), ServerSilent),
        ("me", replying(503), ServerSilent),
        ("me", replying(429, retry_after="3600"), ServerSilent),
        ("me", raising(DeadlineExceeded("no HTTP reply")), ServerSilent),
        ("handshake", replying(404), NotAServer),
        ("handshake", replying(200, b"[]"), NotAServer),
        ("handshake", replying(500), ServerSilent),
        ("handshake", replying(200, b"<html>log in</html>"), ServerSilent),
        (
            "handshake",
            lambda call: json_reply(
                [{"channel": "/meta/handshake", "successful": False, "error": "403::denied"}]
            ),
            ChannelRefused,
        ),
        (
            "subscribe",
            lambda call: json_reply(
                [
                    {
                        "channel": "/meta/subscribe",
                        "successful": False,
                        "subscription": CHANNEL,
                        "error": "403::subscribe_failed",
                    }
                ]
            ),
            ChannelRefused,
        ),
    ],
)
def test_a_server_that_cannot_be_used_is_told_apart_and_soon(
    kind: str, script: Any, expected: type[ServerUnusable]
) -> None:
    server = ScriptedServer()
    server.always[kind] = script

    async def whole() -> tuple[PipelineError, float]:
        async def opening() -> None:
            async with client_of(server):
                raise AssertionError("it opened")

        return await failure(opening()), now()

    exc, at = virtual_time.run(whole())
    assert type(exc) is expected
    assert at < 120
    assert not server.of("history")


def test_a_server_that_needs_a_moment_to_come_up_is_waited_for() -> None:
    server = ScriptedServer()
    server.next["me"].extend([raising(Unreachable("refused")), replying(503), replying(502)])

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        return await ask(client)

    assert talk(server, work) == [{"id": "of 1"}]


def test_without_csrf_headers_no_token_is_sent() -> None:
    server = ScriptedServer(csrf=None)

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        await ask(client)

    talk(server, work)
    assert not any("X-Csrf" in call.headers for call in server.calls)


def test_the_csrf_token_goes_with_every_post_under_the_name_that_the_server_gave() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        await ask(client)

    talk(server, work)
    posts = [call for call in server.calls if call.kind != "me"]
    assert {call.headers.get("X-Csrf") for call in posts} == {"t1"}


def test_no_question_is_asked_before_the_subscription_is_confirmed() -> None:
    server = ScriptedServer()
    server.always["subscribe"] = lambda call: json_reply([])

    async def whole() -> None:
        async with client_of(server):
            pass

    with pytest.raises(ServerUnusable):
        virtual_time.run(whole())


# -- answers --------------------------------------------------------------------------------------


def test_many_questions_at_once_each_get_their_own_answer() -> None:
    async def work(client: GwsClient, server: ScriptedServer) -> dict[str, Any]:
        names = [f"q{n}" for n in range(200)]
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(ask(client, inquiry(name))) for name in names}
        return {name: task.result() for name, task in tasks.items()}

    def by_contact(call: Call) -> Reply:
        reference, reply = server.accept()
        name = call.path.split("/")[-2]
        server.notify_later(0.3 * (reference % 7), reference, interactions=[name])
        return reply

    server = ScriptedServer()
    server.always["history"] = by_contact
    assert talk(server, work) == {f"q{n}": [f"q{n}"] for n in range(200)}


def test_a_notification_that_overtakes_its_reply_is_kept() -> None:
    async def slow_reply(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify(reference)
        await asyncio.sleep(2)
        return reply

    server = ScriptedServer()
    server.always["history"] = slow_reply

    async def work(client: GwsClient, server: ScriptedServer) -> tuple[list[Any], float]:
        started = now()
        return await ask(client), now() - started

    answer, seconds = talk(server, work)
    assert answer == [{"id": "of 1"}]
    assert seconds == pytest.approx(2, abs=0.1)


def test_an_answer_may_ride_on_the_reply_to_any_message() -> None:
    """The first connect's reply brings the answer to a question of the next moment: a stranger's
    id then; the real one comes later and is the one that counts."""
    server = ScriptedServer()
    server.always["history"] = lambda call: server.accept()[1]

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        asking = asyncio.create_task(ask(client))
        await asyncio.sleep(1)
        server.notify(99, interactions=["a stranger's"])
        server.notify("1", interactions=["mine"])
        return await asking

    assert talk(server, work) == ["mine"]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (replying(200, b'{"statusCode":6}'), ContactUnknown),
        (replying(404), ContactUnknown),
        (replying(200, b'{"statusCode":1}'), RequestRefused),
        (replying(200, b'{"statusCode":4}'), Overloaded),
        (replying(502, b"<html>"), ServerFault),
        (replying(200, b'{"statusCode":0}'), ServerFault),
        (replying(200, b'{"statusCo'), ServerFault),
        (raising(ServerFault("reset")), ServerFault),
        (raising(DeadlineExceeded("no HTTP reply")), DeadlineExceeded),
        (raising(Unreachable("no connection")), Unreachable),
        (replying(503), Throttled),
    ],
)
def test_what_the_reply_says_is_what_the_asker_gets(
    script: Any, expected: type[PipelineError]
) -> None:
    server = ScriptedServer()
    server.next["history"].append(script)

    async def work(client: GwsClient, server: ScriptedServer) -> tuple[PipelineError, list[Any]]:
        return await failure(ask(client)), await ask(client)

    exc, after = talk(server, work)
    assert type(exc) is expected
    assert after == [{"id": "of 1"}]


def test_an_error_message_is_no_answer() -> None:
    server = ScriptedServer()

    def fails(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(1, reference, errorMessage="UCS request failed: a name")
        return reply

    server.next["history"].append(fails)

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        return await failure(ask(client))

    exc = talk(server, work)
    assert type(exc) is AnswerFailed
    assert "a name" not in str(exc)


@pytest.mark.parametrize("answers_after", [None, 60.5])
def test_an_answer_that_does_not_come_in_time_ends_the_attempt(answers_after: float | None) -> None:
    server = ScriptedServer()

    def late(call: Call) -> Reply:
        reference, reply = server.accept()
        if answers_after is not None:
            server.notify_later(answers_after, reference)
        return reply

    server.always["history"] = late

    async def work(client: GwsClient, server: ScriptedServer) -> tuple[PipelineError, float]:
        started = now()
        return await failure(ask(client)), now() - started

    exc, seconds = talk(server, work)
    assert type(exc) is DeadlineExceeded
    assert seconds == pytest.approx(60, abs=0.1)


def test_the_deadline_counts_from_acceptance() -> None:
    async def slow(call: Call) -> Reply:
        await asyncio.sleep(20)
        reference, reply = server.accept()
        server.notify_later(55, reference)
        return reply

    server = ScriptedServer()
    server.always["history"] = slow

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        return await ask(client)

    assert talk(server, work) == [{"id": "of 1"}]


def test_a_late_answer_to_an_earlier_attempt_settles_the_question() -> None:
    server = ScriptedServer()

    def slow(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(70, reference, interactions=[f"answer {reference}"])
        return reply

    server.always["history"] = slow

    async def work(client: GwsClient, server: ScriptedServer) -> tuple[list[Any], float]:
        question = inquiry()
        await failure(ask(client, question))
        return await ask(client, question), now()

    answer, at = talk(server, work)
    assert answer == ["answer 1"]
    # it came at 70 s; the second attempt is in flight until its own deadline, and keeps its place
    assert at == pytest.approx(120, abs=1)


def test_a_late_answer_that_comes_between_two_attempts_is_kept() -> None:
    server = ScriptedServer()

    def first(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(61, reference, interactions=["late"])
        return reply

    server.next["history"].append(first)
    server.always["history"] = lambda call: server.accept()[1]

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        question = inquiry()
        await failure(ask(client, question))
        await asyncio.sleep(2)
        return await ask(client, question)

    assert talk(server, work) == ["late"]


def test_a_late_error_of_an_earlier_attempt_does_not_spend_the_next() -> None:
    server = ScriptedServer()

    def first(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(65, reference, errorMessage="too slow")
        return reply

    def second(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(30, reference, interactions=["second"])
        return reply

    server.next["history"].extend([first, second])

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        question = inquiry()
        await failure(ask(client, question))
        return await ask(client, question)

    assert talk(server, work) == ["second"]


def test_a_late_error_that_comes_while_the_next_attempt_is_sent_does_not_spend_it() -> None:
    server = ScriptedServer()

    def first(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(61, reference, errorMessage="too slow")
        return reply

    async def second(call: Call) -> Reply:
        await asyncio.sleep(5)
        reference, reply = server.accept()
        server.notify_later(1, reference, interactions=["second"])
        return reply

    server.next["history"].extend([first, second])

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        question = inquiry()
        await failure(ask(client, question))
        return await ask(client, question)

    assert talk(server, work) == ["second"]


def test_a_repeated_notification_answers_nobody_twice() -> None:
    server = ScriptedServer()

    def twice(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify(reference)
        server.notify(reference)
        server.notify_later(1, reference)
        return reply

    server.always["history"] = twice

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        first = await ask(client, inquiry("a"))
        await asyncio.sleep(2)
        return [first, await ask(client, inquiry("b"))]

    assert talk(server, work) == [[{"id": "of 1"}], [{"id": "of 2"}]]


def test_a_forgotten_question_leaves_nothing_behind() -> None:
    server = ScriptedServer(silent=True)

    async def work(client: GwsClient, server: ScriptedServer) -> int:
        for n in range(20):
            question = inquiry(str(n))
            await failure(ask(client, question))
            client.forget(question)
        return client.outstanding

    assert talk(server, work, deadline=1.0) == 0


# -- the HTTP session -----------------------------------------------------------------------------


def test_a_refused_token_is_refreshed_once_for_all_who_noticed() -> None:
    server = ScriptedServer()
    server.always["history"] = lambda call: (
        server.usual(call) if call.headers["X-Csrf"] == server.csrf else Reply(403, {}, CSRF)
    )

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        server.csrf = "t2"
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(client, inquiry(str(n)))) for n in range(50)]
        return [task.result() for task in tasks]

    answers = talk(server, work)
    assert len(answers) == 50
    assert len(server.of("me")) == 2
    assert len(server.of("handshake")) == 1


@pytest.mark.parametrize("refusal", [replying(401), replying(302), replying(200, b"<html>log in")])
def test_a_lost_http_session_is_mended_by_a_login(refusal: Any) -> None:
    server = ScriptedServer()
    server.next["history"].append(refusal)

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        return await ask(client)

    assert talk(server, work) == [{"id": "of 1"}]


def test_a_refusal_that_a_login_does_not_mend_is_an_interruption() -> None:
    server = ScriptedServer()
    server.always["history"] = replying(403, CSRF)

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        return await failure(ask(client))

    assert isinstance(talk(server, work), Interrupted)


def test_a_login_that_is_refused_later_ends_the_run() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        server.always["me"] = replying(401)
        server.always["history"] = replying(401)
        return await failure(ask(client))

    assert type(talk(server, work)) is LoginRefused


def test_a_replaced_http_session_is_a_new_epoch() -> None:
    server = ScriptedServer()

    def new_session(call: Call) -> Any:
        server.cookies["JSESSIONID"] = "s2"
        server.forget_client()
        return server.usual(call)

    async def work(client: GwsClient, server: ScriptedServer) -> list[list[Any]]:
        server.latency = 20
        outstanding = asyncio.create_task(ask_on(client, inquiry("outstanding")))
        await asyncio.sleep(1)
        server.next["history"].append(replying(403, CSRF))
        server.next["me"].append(new_session)
        server.latency = 1
        noticed = await ask_on(client, inquiry("noticed"))
        return [noticed, await outstanding]

    answers = talk(server, work)
    assert len(server.of("handshake")) == 2
    assert all(answers)


def test_an_answer_of_the_old_epoch_under_a_reference_id_of_the_new_one_is_nobodys() -> None:
    """The server counts from 1 again, and the old answer comes first: it must not be taken for the
    new question's, which is asked again under an id of its own."""
    server = ScriptedServer(latency=5)

    def counted_anew(call: Call) -> Reply:
        server.notify_later(1, 1, interactions=["old"])
        server.notify_later(3, 1, interactions=["new"])
        return json_reply({"statusCode": 0, "referenceId": 1})

    def the_next_one(call: Call) -> Reply:
        server.notify_later(3, 2, interactions=["new"])
        return json_reply({"statusCode": 0, "referenceId": 2})

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        old = asyncio.create_task(failure(ask(client, inquiry("old"))))
        await asyncio.sleep(1)
        server.forget_client()
        assert type(await old) is EpochLost
        server.next["history"] += [counted_anew, the_next_one]
        return await ask(client, inquiry("new"))

    assert talk(server, work) == ["new"]


def test_an_answer_of_the_old_epoch_that_is_faster_than_the_reply_with_its_id_is_nobodys() -> None:
    """It is kept for the question that has not told its id, and does not settle what may still
    come for the old one."""
    server = ScriptedServer(latency=5)

    async def counted_anew(call: Call) -> Reply:
        server.notify(1, interactions=["old"])
        await asyncio.sleep(0.5)
        server.notify_later(3, 1, interactions=["new"])
        return json_reply({"statusCode": 0, "referenceId": 1})

    def the_next_one(call: Call) -> Reply:
        server.notify_later(3, 2, interactions=["new"])
        return json_reply({"statusCode": 0, "referenceId": 2})

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        old = asyncio.create_task(failure(ask(client, inquiry("old"))))
        await asyncio.sleep(1)
        server.forget_client()
        assert type(await old) is EpochLost
        server.next["history"] += [counted_anew, the_next_one]
        return await ask(client, inquiry("new"))

    assert talk(server, work) == ["new"]


def test_an_id_that_two_questions_have_at_once_shows_that_the_session_is_another() -> None:
    """The server has forgotten the session, counts from 1 again, and the client does not know yet:
    one answer is on its way to it under the same id."""
    server = ScriptedServer(latency=5)

    def counted_anew(call: Call) -> Reply:
        server.notify(1, interactions=["first"])
        return json_reply({"statusCode": 0, "referenceId": 1})

    async def work(client: GwsClient, server: ScriptedServer) -> tuple[list[Any], list[Any]]:
        first = asyncio.create_task(ask_on(client, inquiry("first")))
        await asyncio.sleep(1)
        server.next["history"].append(counted_anew)
        return await asyncio.gather(ask_on(client, inquiry("second")), first)

    second, first = talk(server, work)
    assert second != ["first"]
    assert len(server.of("handshake")) == 2
    assert first != second


def test_a_new_epoch_opens_only_when_all_that_was_sent_before_has_its_id() -> None:
    """What comes under that id in the new epoch is the old question's, and nobody else's."""
    server = ScriptedServer(latency=5)

    async def slow(call: Call) -> Reply:
        await asyncio.sleep(10)
        server.notify_later(0.5, 1, interactions=["old"])
        return json_reply({"statusCode": 0, "referenceId": 1})

    def counted_anew(call: Call) -> Reply:
        return json_reply({"statusCode": 0, "referenceId": 1})

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        server.next["history"].append(slow)
        old = asyncio.create_task(failure(ask(client, inquiry("old"))))
        await asyncio.sleep(1)
        server.forget_client()
        await asyncio.sleep(1)
        server.next["history"].append(counted_anew)
        server.references = 1
        answer = await ask(client, inquiry("new"))
        assert type(await old) is EpochLost
        return answer

    assert talk(server, work) == [{"id": "of 2"}]
    assert server.of("history")[1].at > 10, "asked when the old question had its id"


def test_a_place_is_kept_for_as_long_as_anything_asked_may_be_in_flight() -> None:
    """An earlier attempt's answer comes while a later one is on its way."""
    server = ScriptedServer()

    def slow(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(70, reference, interactions=[call.path])
        return reply

    server.always["history"] = slow

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        first = asyncio.create_task(ask_until(client, "a"))
        await asyncio.sleep(65)
        await ask_until(client, "b")
        await first

    async def ask_until(client: GwsClient, name: str) -> list[Any]:
        question = inquiry(name)
        while True:
            try:
                return await ask(client, question)
            except AttemptSpent:
                continue

    talk(server, work, in_flight=1, canary_interval=1_000)
    # each question is asked at 0 and 60 s after its start, answered at 70 s, quiet at 120 s
    asked = [(call.path.split("/")[-2], round(call.at, -1)) for call in server.of("history")]
    assert asked == [("a", 0), ("a", 60), ("b", 120), ("b", 180)]


def test_who_was_answered_while_waiting_for_a_place_does_not_ask_again() -> None:
    """A late answer to the first attempt comes while others hold the places."""
    server = ScriptedServer()

    def slow(call: Call) -> Reply:
        reference, reply = server.accept()
        server.notify_later(70, reference, interactions=[call.path])
        return reply

    server.always["history"] = slow

    async def ask_until(client: GwsClient, name: str) -> list[Any]:
        question = inquiry(name)
        while True:
            try:
                return await ask(client, question)
            except AttemptSpent:
                continue

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        await asyncio.gather(*(ask_until(client, name) for name in ("a", "b")))

    talk(server, work, in_flight=1, canary_interval=1_000)
    asked = [(call.path.split("/")[-2], round(call.at, -1)) for call in server.of("history")]
    assert asked == [("a", 0), ("b", 60), ("b", 120)]


# -- the channel ----------------------------------------------------------------------------------


def test_questions_of_a_lost_epoch_are_interrupted_and_answered_in_the_next() -> None:
    server = ScriptedServer(latency=10)

    async def work(client: GwsClient, server: ScriptedServer) -> tuple[list[Any], list[Any]]:
        async def one(n: int) -> tuple[int, list[Any]]:
            interruptions = 0
            question = inquiry(str(n))
            while True:
                try:
                    return interruptions, await ask(client, question)
                except EpochLost:
                    interruptions += 1

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(n)) for n in range(20)]
            await asyncio.sleep(5)
            server.forget_client()
        results = [task.result() for task in tasks]
        return [count for count, _ in results], [answer for _, answer in results]

    interruptions, answers = talk(server, work)
    assert interruptions == [1] * 20
    assert len({json.dumps(answer) for answer in answers}) == 20


def test_a_lost_connect_reply_does_not_cost_the_epoch() -> None:
    server = ScriptedServer(latency=5)
    server.next["connect"].extend(
        [server.usual, raising(ServerFault("reset")), replying(200, b'[{"channel":"/meta/conn')]
    )

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        return await ask(client)

    assert talk(server, work) == [{"id": "of 1"}]
    assert len(server.of("handshake")) == 1


def test_connects_that_keep_failing_cost_the_epoch_and_nothing_else() -> None:
    server = ScriptedServer(latency=5)
    server.next["connect"].extend([server.usual, *[replying(502)] * 3])

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        return await ask_on(client)

    assert talk(server, work) == [{"id": "of 2"}]
    assert len(server.of("handshake")) == 2


def test_the_heartbeat_goes_on_while_nobody_asks_and_while_nobody_listens() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        await asyncio.sleep(3600)
        return await ask(client)

    talk(server, work)
    assert len(server.of("connect")) >= 3600 / 30
    assert len(server.of("handshake")) == 1


def test_a_pause_between_connects_is_in_milliseconds() -> None:
    server = ScriptedServer()
    server.always["connect"] = lambda call: json_reply(
        [{"channel": "/meta/connect", "successful": True, "advice": {"interval": 500}}]
    )

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        await asyncio.sleep(60)

    talk(server, work)
    assert 110 <= len(server.of("connect")) <= 125


def test_a_server_that_falls_silent_ends_the_run_after_its_patience() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> tuple[PipelineError, float]:
        for kind in ("me", "connect", "history"):
            server.always[kind] = raising(Unreachable("no connection"))
        server.forget_client()
        started = now()
        exc = None
        while not isinstance(exc, ServerUnusable):
            exc = await failure(ask(client))
            await asyncio.sleep(0.2)
        return exc, now() - started

    exc, seconds = talk(server, work, patience=300.0)
    assert type(exc) is ServerSilent
    assert 250 < seconds < 400


def test_after_the_end_nobody_waits() -> None:
    server = ScriptedServer(latency=1000)

    async def work(client: GwsClient, server: ScriptedServer) -> list[PipelineError]:
        waiting = [asyncio.create_task(failure(ask(client, inquiry(str(n))))) for n in range(5)]
        await asyncio.sleep(1)
        server.always["me"] = replying(401)
        server.forget_client()
        for task in waiting:
            assert isinstance(await task, EpochLost | ServerUnusable)
        return [await failure(ask(client)) for _ in range(3)]

    assert {type(exc) for exc in talk(server, work, deadline=2000.0)} == {LoginRefused}


def test_a_server_that_comes_back_within_the_patience_is_used_again() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        for kind in ("me", "connect", "history"):
            server.always[kind] = raising(Unreachable("no connection"))
        server.forget_client()

        async def back() -> None:
            await asyncio.sleep(200)
            server.always.clear()

        returning = asyncio.create_task(back())
        answer = await ask_on(client)
        await returning
        return answer

    assert talk(server, work) == [{"id": "of 1"}]


def test_the_next_handshake_waits_as_long_as_the_server_asked() -> None:
    server = ScriptedServer()
    server.next["connect"].extend(
        [
            server.usual,
            lambda call: json_reply(
                [
                    {
                        "channel": "/meta/connect",
                        "successful": False,
                        "error": "402::Unknown client",
                        "advice": {"reconnect": "handshake", "interval": 5000},
                    }
                ]
            ),
        ]
    )

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        await asyncio.sleep(20)

    talk(server, work)
    first, second = server.of("handshake")
    assert second.at - first.at >= 5.0


def test_the_advice_none_ends_the_run() -> None:
    server = ScriptedServer()
    server.always["connect"] = lambda call: (
        server.usual(call)
        if "advice" in call.body
        else json_reply(
            [{"channel": "/meta/connect", "successful": False, "advice": {"reconnect": "none"}}]
        )
    )

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        await asyncio.sleep(60)
        return await failure(ask(client))

    exc = talk(server, work)
    assert isinstance(exc, ServerUnusable)
    assert len(server.of("handshake")) == 1


def test_a_session_that_is_lost_again_and_again_slows_the_handshakes_down() -> None:
    server = ScriptedServer()
    server.always["connect"] = lambda call: (
        server.usual(call)
        if "advice" in call.body
        else json_reply(
            [
                {
                    "channel": "/meta/connect",
                    "successful": False,
                    "error": "402::Unknown client",
                    "advice": {"reconnect": "handshake", "interval": 0},
                }
            ]
        )
    )

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        await asyncio.sleep(300)

    talk(server, work)
    assert len(server.of("handshake")) < 150


def test_a_fault_of_our_own_in_the_channel_leaves_nobody_waiting() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        server.always["connect"] = raising(RuntimeError("a bug"))
        server.latency = 1000
        server.notify(0)
        exc: PipelineError = EpochLost("")
        while isinstance(exc, Interrupted):
            exc = await failure(ask(client))
        return exc

    assert type(talk(server, work, deadline=100.0)) is ServerUnusable


# -- the server is protected ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttled_question_holds_all_others_back(status: int) -> None:
    server = ScriptedServer()
    server.next["history"].append(replying(status, retry_after="40"))

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        await failure(ask(client))
        async with asyncio.TaskGroup() as group:
            for n in range(5):
                group.create_task(ask(client, inquiry(str(n))))

    talk(server, work)
    first, *others = [call.at for call in server.of("history")]
    assert min(others) >= first + 40


def test_a_rest_beyond_the_patience_ends_the_run() -> None:
    server = ScriptedServer()
    server.next["history"].append(replying(503, retry_after="86400"))

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        await failure(ask(client))
        return await failure(ask(client))

    assert type(talk(server, work)) is ServerSilent


def test_after_giving_up_the_server_is_left_alone() -> None:
    server = ScriptedServer()
    server.next["history"].append(replying(503, retry_after="86400"))

    async def work(client: GwsClient, server: ScriptedServer) -> int:
        await failure(ask(client))
        await asyncio.sleep(120)
        return len(server.of("handshake"))

    assert talk(server, work) == 1


def test_a_heartbeat_that_is_told_to_rest_for_a_day_ends_the_run() -> None:
    server = ScriptedServer(latency=10)
    server.next["connect"].extend([server.usual, replying(503, retry_after="86400")])

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        exc: PipelineError = EpochLost("")
        while now() < 3600 and not isinstance(exc, ServerUnusable):
            exc = await failure(ask(client))
        return exc

    assert isinstance(talk(server, work), ServerUnusable)


def test_no_second_holds_more_questions_than_configured() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(40):
                group.create_task(ask(client, inquiry(str(n))))

    talk(server, work, pace=Pace(4))
    times = [call.at for call in server.of("history")]
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 4


def test_questions_repeated_after_a_login_keep_the_pace() -> None:
    server = ScriptedServer()

    async def slow_refusal(call: Call) -> Reply:
        await asyncio.sleep(20 - call.at)
        return Reply(403, {}, CSRF)

    server.always["history"] = lambda call: (
        server.usual(call) if call.headers["X-Csrf"] == "t2" else slow_refusal(call)
    )

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        server.csrf = "t2"
        async with asyncio.TaskGroup() as group:
            for n in range(16):
                group.create_task(ask(client, inquiry(str(n))))

    talk(server, work, pace=Pace(4))
    times = [call.at for call in server.of("history")]
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 4


def test_questions_that_waited_for_a_channel_keep_the_pace_when_it_opens() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient, server: ScriptedServer) -> None:
        server.always["me"] = raising(Unreachable("no connection"))
        server.forget_client()
        await asyncio.sleep(1)
        asking = [asyncio.create_task(ask_on(client, inquiry(str(n)))) for n in range(40)]
        await asyncio.sleep(20)
        server.always.clear()
        await asyncio.gather(*asking)

    talk(server, work, pace=Pace(4))
    times = [call.at for call in server.of("history")]
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 4


def test_a_pause_of_a_day_between_connects_ends_the_run() -> None:
    """The session does not outlive it, and nobody would hear of that."""
    server = ScriptedServer(latency=10)
    server.next["connect"].extend(
        [
            server.usual,
            lambda call: json_reply(
                [
                    {
                        "channel": "/meta/connect",
                        "successful": True,
                        "advice": {"reconnect": "retry", "interval": 86_400_000},
                    }
                ]
            ),
        ]
    )

    async def work(client: GwsClient, server: ScriptedServer) -> PipelineError:
        exc: PipelineError = EpochLost("")
        while now() < 3600 and not isinstance(exc, ServerUnusable):
            exc = await failure(ask(client))
        return exc

    assert isinstance(talk(server, work), ServerUnusable)


def test_a_connection_that_died_in_silence_is_noticed_within_the_patience() -> None:
    """The server promised to hold each connect for a day; its replies do not come any more."""
    server = ScriptedServer(latency=1, hold=86_400)

    async def hang(call: Call) -> Reply:
        await asyncio.sleep(1e6)
        return Reply(200, {}, b"[]")

    server.next["connect"].extend([server.usual, hang])

    async def work(client: GwsClient, server: ScriptedServer) -> float:
        await ask_until_answered(client)
        return now()

    assert talk(server, work) < 600


# -- leaving --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [raising(Unreachable("gone")), replying(500), replying(200, b"<html>"), replying(503)],
)
def test_a_farewell_that_fails_is_no_failure(script: Any) -> None:
    server = ScriptedServer()
    server.always["disconnect"] = script

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        return await ask(client)

    assert talk(server, work) == [{"id": "of 1"}]


def test_a_farewell_that_hangs_is_not_waited_for() -> None:
    async def hang(call: Call) -> Reply:
        await asyncio.sleep(1000)
        return Reply(200, {}, b"[]")

    server = ScriptedServer()
    server.always["disconnect"] = hang

    async def whole() -> float:
        async with client_of(server) as client:
            await ask(client)
        return now()

    assert virtual_time.run(whole()) < 10


def test_cancelling_who_asks_leaves_the_client_usable() -> None:
    server = ScriptedServer(latency=10)

    async def work(client: GwsClient, server: ScriptedServer) -> list[Any]:
        asking = asyncio.create_task(ask(client))
        await asyncio.sleep(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await ask(client)

    assert talk(server, work) == [{"id": "of 2"}]


# -- what is known of the server ------------------------------------------------------------------


def test_terms_and_the_time_of_an_answer_are_told() -> None:
    async def work(client: GwsClient, server: ScriptedServer) -> tuple[Any, float | None]:
        question = inquiry()
        await client.attempt(question)
        return client.terms, question.seconds

    terms, seconds = talk(ScriptedServer(), work)
    assert terms.transports == ()
    assert seconds is not None and seconds >= 0
