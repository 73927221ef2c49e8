"""Workers that crash, repeat and come late, in every order there is: all stores do what the model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from middleware.stores import Answer, Claim, Ending, Outcome, Record, Refused, Request, Store, Verdict, pages
from tests.conformance.stores.model import NEW_CLAIM, OPEN, RUNS, VERDICTS, Entry, Model
from tests.conformance.stores.subject import InMemory, InRedis, InSqlite, about, extended, request

T = TypeVar("T")

HOUR = 3_600_000
# Mostly the same, since what does not meet proves little. One of the messages has its id for its key.
KEYS = st.sampled_from(["k1", "k1", "k1", "k2"])
OWNERS = st.sampled_from(["m1", "m1", "m1", "m2", "k1"])
FINGERPRINTS = st.sampled_from(["", "", "", "", "", "f1", "f2"])
TEXTS = st.sampled_from(["", "x", "ÿ\n"])


def requests_of(durations: st.SearchStrategy[int], retentions: st.SearchStrategy[int]) -> st.SearchStrategy[Request]:
    """New deliveries, with tokens that nobody has had before."""
    return st.builds(
        request,
        key=KEYS,
        owner=OWNERS,
        fingerprint=FINGERPRINTS,
        lease_ms=durations,
        ttl_ms=retentions,
        max_losses=st.integers(1, 3),
        park=st.booleans(),
        hold=st.booleans(),
        replays=st.sampled_from([0, 0, 0, 1, 2]),
        lost=st.sampled_from([0, 0, 0, 1]),
    )


def lately(known: list[T]) -> st.SearchStrategy[T]:
    """One of *known*, more often one of the last three."""
    return st.one_of(st.sampled_from(known[-3:]), st.sampled_from(known))


class Workers(RuleBasedStateMachine):
    """Any number of workers on one store; one that crashes leaves a claim that nobody renews or ends."""

    # What a real clock can't blur: that which lasts is over at once, or never.
    durations: st.SearchStrategy[int] = st.sampled_from([0, HOUR])
    retentions: st.SearchStrategy[int] = st.just(HOUR)
    has_own_time = False
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.asked: list[Request] = []
        self.claims: list[Claim] = []
        self.highest = 0
        # By key: until when each holder, by its fence, believes to hold it; how many have since the key was free; and
        # the fence of who has done it.
        self.believed: dict[str, dict[int, int]] = {}
        self.holders: dict[str, int] = {}
        self.done: dict[str, int] = {}

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        self.exchange([], data.draw(st.lists(requests_of(self.durations, self.retentions), min_size=1, max_size=3)))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.exchange([], [data.draw(lately(self.asked))])

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def finish_and_deliver(self, data: st.DataObject) -> None:
        endings = st.builds(
            Outcome,
            claim=lately(self.claims),
            ending=st.sampled_from(Ending),
            result=TEXTS,
            error=TEXTS,
            due_ms=self.durations,
            retries=st.integers(0, 3),
        )
        outcomes = data.draw(st.lists(endings, min_size=1, max_size=3))
        self.exchange(outcomes, data.draw(st.lists(requests_of(self.durations, self.retentions), max_size=2)))

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        held = data.draw(st.lists(st.builds(extended, lately(self.claims), self.durations), min_size=1, max_size=3))
        now = self.store.now()
        for each, is_held in zip(held, self.store.renew(held), strict=True):
            self.follow_renewal(each, now, is_held=is_held, mark=False)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def mark(self, data: st.DataObject) -> None:
        held, now = data.draw(st.builds(extended, lately(self.claims), self.durations)), self.store.now()
        self.follow_renewal(held, now, is_held=self.store.mark(held), mark=True)

    @rule(owner=OWNERS)
    def abort(self, owner: str) -> None:
        now, digests = self.store.now(), ["v1.k1", "v1.k2"]
        found = self.model.abort(owner, digests, now)
        assert self.store.abort(owner, digests) == found
        if found != "ended":
            [(noted, number)] = self.store.aborts(self.highest)
            assert noted == owner
            self.new_fence(number)

    @invariant()
    def the_notes_are_those_of_the_model(self) -> None:
        assert {owner for owner, _ in self.store.aborts(0)} == self.model.notes

    @rule(key=KEYS, force=st.booleans(), complete=st.booleans(), result=TEXTS)
    def override(self, key: str, force: bool, complete: bool, result: str) -> None:
        digest, now = f"v1.{key}", self.store.now()
        entry, before = self.model.find(digest, now), self.store.inspect(digest)
        try:
            if complete:
                was = self.store.complete(digest, result=result, force=force)
            else:
                was, result = self.store.release(digest, force=force), ""
        except KeyError:
            assert entry is None
        except Refused:
            assert entry is not None
            assert entry.state == "running"
            assert entry.until > now
            assert not force
        else:
            assert entry is not None
            assert before is not None
            assert force or entry.state != "running" or entry.until <= now
            assert self.blurred(was) == self.blurred(before)
            self.believed.pop(digest, None)
            self.done.pop(digest, None)
            found = self.store.inspect(digest)
            assert found is not None
            self.model.override(digest, "done" if complete else "released", result, now, self.new_fence(found.fence))
            if complete:
                self.done[digest] = found.fence

    def exchange(self, outcomes: list[Outcome], requests: list[Request]) -> None:
        """Make an exchange, and see that it says what the model says."""
        self.asked += requests
        now = self.store.now()
        counted, answers = self.store.exchange(outcomes, requests)
        for outcome, is_counted in zip(outcomes, counted, strict=True):
            self.follow_outcome(outcome, now, is_counted=is_counted)
        for index, (asked, answer) in enumerate(zip(requests, answers, strict=True)):
            is_last = all(later.digest != asked.digest for later in requests[index + 1 :])
            self.follow_answer(asked, answer, now, is_last=is_last)

    def follow_outcome(self, outcome: Outcome, now: int, *, is_counted: bool) -> None:
        digest, fence = outcome.claim.request.digest, outcome.claim.fence
        assert is_counted == self.model.counts(outcome, now)
        self.believed.get(digest, {}).pop(fence, None)
        if is_counted:
            self.model.finish(outcome, now)
            self.done.pop(digest, None)
            if outcome.ending is Ending.DONE:
                self.done[digest] = fence

    def follow_answer(self, asked: Request, answer: Answer, now: int, *, is_last: bool) -> None:
        digest, row = asked.digest, self.model.judge(asked, now)
        found = self.store.inspect(digest)
        assert found is not None
        self.model.begin(asked, now, answer.fence or found.fence)
        assert answer == self.expected(row, asked, self.model.entries[digest], now)
        if row in NEW_CLAIM:
            self.new_fence(answer.fence)
            self.holders[digest] = 1 if row == "anew" else self.holders[digest] + 1
            self.done.pop(digest, None)
        if row in RUNS:
            self.claims.append(Claim(asked, answer.fence, answer.lost, answer.retries))
            self.believe(digest, answer.fence, now, now + asked.lease_ms)
        if row in ("parked", "poisoned"):
            self.supersede(digest, found.fence, now)
        if row == "aborted":
            # The record is what the last request for the key has made of it.
            if is_last:
                self.new_fence(found.fence)
            self.holders.setdefault(digest, 0)
            self.believed.pop(digest, None)
            self.done.pop(digest, None)
        if row == "poisoned":
            # Each holder is lost once at most, and one more before the store was asked.
            assert asked.max_losses <= answer.lost <= self.holders[digest] + 1

    def follow_renewal(self, held: Claim, now: int, *, is_held: bool, mark: bool) -> None:
        digest = held.request.digest
        assert is_held == self.model.holds(held, now)
        if is_held:
            self.model.renew(held, now, mark=mark)
            self.done.pop(digest, None)
            self.believe(digest, held.fence, now, now + held.request.lease_ms)
        else:
            self.believed.get(digest, {}).pop(held.fence, None)

    def expected(self, row: str, asked: Request, entry: Entry, now: int) -> Answer:
        if row in RUNS:
            return Answer(Verdict.RUN, entry.fence, entry.lost, entry.retries, asked.owner, asked.lease_ms)
        if row in ("aborted", "spared"):
            return Answer(Verdict.ABORTED, owner=asked.owner, error="it was aborted")
        verdict, owner = Verdict(VERDICTS.get(row, row)), entry.request.owner
        remaining = self.near(max(0, self.model.ends(entry, asked, row) - now))
        lost = max(entry.lost, asked.lost)
        return Answer(verdict, 0, lost, entry.retries, owner, remaining, entry.result, entry.error)

    def new_fence(self, fence: int) -> int:
        assert fence > self.highest
        self.highest = fence
        return fence

    def believe(self, digest: str, fence: int, now: int, until: int) -> None:
        """Note the holder of a key."""
        self.supersede(digest, fence, now)
        self.believed[digest] = {fence: until}

    def supersede(self, digest: str, fence: int, now: int) -> None:
        """See that nobody but *fence* holds the key alive; who comes back is a zombie, whatever the clock says."""
        others = {each: end for each, end in self.believed.pop(digest, {}).items() if each != fence}
        assert all(end <= now for end in others.values()), f"{others} hold {digest} at {now}, beside {fence}"

    @invariant()
    def each_record_is_the_models(self) -> None:
        now = self.store.now()
        for digest, entry in self.model.entries.items():
            record = self.store.inspect(digest)
            if self.model.find(digest, now) is None:
                assert record is None
                continue
            asked = entry.request
            assert record == Record(
                digest=digest,
                state=entry.state,  # type: ignore[arg-type]
                scope=asked.scope,
                key=asked.key,
                owner=asked.owner,
                fence=entry.fence,
                until=self.near(entry.until),
                lost=entry.lost,
                retries=entry.retries,
                replays=asked.replays,
                fingerprint=asked.fingerprint,
                result=entry.result,
                error=entry.error,
                changed=self.near(entry.changed),
                expires=self.near(entry.expires),
            )
            self.highest = max(self.highest, record.fence)

    @invariant()
    def what_is_done_stays_done_until_it_is_released_or_forgotten(self) -> None:
        for digest, fence in self.done.items():
            record = self.store.inspect(digest)
            assert record is None or (record.state, record.fence) == ("done", fence)

    @invariant()
    def what_is_not_done_is_listed_once(self) -> None:
        now = self.store.now()
        there = {digest: self.model.find(digest, now) for digest in self.model.entries}
        is_open = sorted(digest for digest, entry in there.items() if entry is not None and entry.state in OPEN)
        assert sorted(record.digest for record in pages(self.store, limit=1)) == is_open

    @invariant()
    def each_message_is_found_by_its_last_key(self) -> None:
        now = self.store.now()
        for owner, (digest, expires) in self.model.aliases.items():
            assert self.store.digest_of(owner) == (digest if expires > now else None)

    def near(self, time: int) -> Any:
        """*time*, or what a clock that goes on may have made of it."""
        return time if self.has_own_time or not time else about(time)

    def blurred(self, record: Record) -> tuple[Any, ...]:
        return (*(getattr(record, name) for name in Record.__slots__ if name != "expires"), self.near(record.expires))


class InMemoryOfItsOwnTime(Workers):
    """Its clock stands still, or steps, also backwards."""

    durations = st.sampled_from([0, 1, 10, 50, 1_000])
    retentions = st.sampled_from([1, 10, 1_000, HOUR])
    has_own_time = True

    def __init__(self) -> None:
        super().__init__()
        self.subject = InMemory()
        self.store = self.subject.store

    @rule(ms=st.sampled_from([1, 10, 49, 51, 1_000, 10_000, HOUR, -1, -10, -1_000, -HOUR]))
    def step(self, ms: int) -> None:
        self.subject.pass_time(ms)


def test_any_interleaving_in_memory_is_the_models() -> None:
    run_state_machine_as_test(InMemoryOfItsOwnTime, settings=settings(max_examples=120, stateful_step_count=40))


def test_any_interleaving_in_a_file_is_the_models(tmp_path: Path) -> None:
    class InAFileOfItsOwnTime(Workers):
        """Its clock steps backwards, too, but never for as long as the sweep leaves what has expired."""

        durations, retentions = InMemoryOfItsOwnTime.durations, InMemoryOfItsOwnTime.retentions
        has_own_time = True

        def __init__(self) -> None:
            super().__init__()
            self.subject = InSqlite(tmp_path)
            self.store = self.subject.store

        @rule(ms=st.sampled_from([1, 10, 49, 51, 1_000, 10_000, HOUR, -1, -10, -1_000]))
        def step(self, ms: int) -> None:
            self.subject.pass_time(ms)

        def teardown(self) -> None:
            self.subject.file.close()

    run_state_machine_as_test(InAFileOfItsOwnTime, settings=settings(max_examples=60, stateful_step_count=40))


def test_any_interleaving_in_redis_is_the_models(in_redis: InRedis) -> None:
    class InRedisAtOnceOrNever(Workers):
        def __init__(self) -> None:
            super().__init__()
            self.store = InRedis(in_redis.url).store

    run_state_machine_as_test(InRedisAtOnceOrNever, settings=settings(max_examples=25, stateful_step_count=25))
