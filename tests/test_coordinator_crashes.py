"""Rule 7 in the pure core: whichever event was the last one before a crash, an execution ends as it
would have without it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pure import PureDriver
from sagas import fans, sagas

from sagakit import Saga, Simulated
from sagakit.events import AttemptLost, Event

MANY = settings(
    max_examples=5 * settings.default.max_examples, suppress_health_check=[HealthCheck.too_slow]
)
TURNS = 3000
OFTEN = 3  # so many times something may go wrong with one thing


class Fate:
    """What becomes of each thing, by its name and by how often it has been asked for: a call that a
    crash took away is not counted, and so its repetition has the same fate.

    Parameters:
        chain: nothing runs beside anything else. If something does, it is chance how far the others
            have come when a step fails, and with that, whether anything is there that gets stuck.
    """

    def __init__(self, data: st.DataObject, saga: Saga, chain: bool) -> None:
        self.data = data
        self.saga = saga
        self.chain = chain
        self.misfortunes = 15
        self.known: dict[tuple[str, int], Any] = {}
        self.decision = data.draw(st.sampled_from([None, "retry", "skip", "abandon"]), "decision")

    def say(self, label: str, number: int, options: list[Any]) -> Any:
        if label == "decision":
            return self.decision
        options = self._possible(label, options)
        if (label, number) not in self.known:
            found = options[0]
            if number < OFTEN and self.misfortunes:
                found = self.data.draw(st.sampled_from(options), f"{label}, {number}")
            self.misfortunes -= found != options[0]
            self.known[label, number] = found
        return self.known[label, number]

    def _possible(self, label: str, options: list[Any]) -> list[Any]:
        """Those of the options for which a crash cannot be blamed for another end."""
        what, _, step = label.partition(" of ")
        if step not in self.saga.plan.index or what not in ("outcome", "undo"):
            return options
        # what a crash leaves in doubt is undone, and must not get stuck there if it failed before
        rotten = self.chain and self.say(f"rotten {step}", 0, [False, True])
        if what == "outcome" and rotten:
            return ["ok"]
        if what == "undo":
            wanted = ("terminal", "fail", "stuck") if rotten else ("ok", "refused")
            found = [option for option in options if option in wanted]
            return [*found, "ok"]
        early = self.saga.kind(step) == "compensatable" and not self.chain
        return [option for option in options if not (early and option == "stuck")]


class FatedDriver(PureDriver):
    """Its world is the same on every run: one fate for all of them, and whatever the world knows of
    the calls that were made."""

    patience = 50

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.asked: Counter[str] = Counter()
        self.done: set[str] = set()
        self.points: list[tuple[Counter[str], set[str]]] = []  # both of them, at each event
        super().__init__(fate.saga, self.say)

    def say(self, label: str, options: list[Any]) -> Any:
        if label in ("crash", "which"):
            return options[0]
        if label.startswith("decided at "):
            return True
        what, _, step = label.partition(" of ")
        if what == "answer":  # the truth; whether the pivot happened can always be told
            options = ["yes" if step in self.done else "no", "nothing"]
            options = options[:1] if step == self.pivot else options
        self.asked[label] += 1
        found = self.fate.say(label, self.asked[label] - 1, options)
        if what == "outcome" and (found == "ok" or (found == "doubt" and self.arrives(step))):
            self.done.add(step)
        return found

    def arrives(self, step: str) -> bool:
        """Whether a call that got no answer had its effect."""
        return bool(self.fate.say(f"arrival of {step}", self.asked[f"outcome of {step}"], [0, 1]))

    @property
    def pivot(self) -> str | None:
        pivot = self.saga.plan.pivot
        return None if pivot is None else self.saga.plan.names[pivot]

    def emit(self, event: Event) -> None:
        super().emit(event)
        self.points.append((self.asked.copy(), self.done.copy()))

    def meddle(self) -> None:
        """Whatever comes from outside comes at times of rest, of which a crash makes no more."""

    def rest(self) -> None:
        events = sorted({str(wait.event) for wait in self.state.waiting.values() if wait.event})
        for event in events:
            if self.choose(f"coming of {event}", [False, True]):
                self.send(event)
                return
        if self.choose("calling off", [False, False, False, True]):
            before = len(self.events)
            self.cancel()
            if len(self.events) > before:
                return
        if self.state.next_due() is None:
            assert self.state.resting, "nothing to do, nothing to wait for, and not ended"
            self.send(events[0])
        else:
            super().rest()

    def to_the_end(self) -> FatedDriver:
        for _ in range(TURNS):
            if not (self.turn() or self.go_on()):
                return self
        raise AssertionError("the execution never ended")

    def killed_after(self, count: int) -> FatedDriver:
        """Another process, which has the first events of this one, and the same world."""
        other = FatedDriver(self.fate)
        asked, done = self.points[count - 1]
        other.asked, other.done = asked.copy(), done.copy()
        other.points = self.points[: count - 1]
        other.recover(self.events[:count])
        for event in other.events[count:]:
            assert isinstance(event, AttemptLost)
            label = f"outcome of {event.step}"
            coming = self.fate.known.get((label, other.asked[label]))
            if coming == "ok" and other.arrives(event.step):
                other.done.add(event.step)
        return other

    def end(self) -> tuple[str, dict[str, str]]:
        """How it ended, and what is left of each step."""
        plan, state = self.saga.plan, self.state
        words = {name: str(word) for name, word in zip(plan.names, state.steps)}
        if state.turned_back:
            gone = {"pending", "skipped", "failed", "compensated", "in doubt", "kept"}
            words = {name: "gone" if word in gone else word for name, word in words.items()}
        return state.status, words


@MANY
@given(st.data())
def test_a_crash_after_any_event_leads_to_the_same_end(data):
    chain = data.draw(st.booleans(), "chain")
    saga = data.draw(sagas(chain=chain, apart=True) | fans(), "saga")
    if saga.plan.pivot is not None:
        saga = _answering(saga)
    chain = chain and not saga.plan.each
    driver = FatedDriver(Fate(data, saga, chain)).to_the_end()
    for count in range(1, len(driver.events)):
        again = driver.killed_after(count).to_the_end()
        assert again.end() == driver.end(), f"after {count} events"


def _answering(saga: Saga) -> Saga:
    """The same, with a pivot that can be asked about; else an operator would have to decide."""
    steps = [
        replace(item, reconcile=Simulated("ask"))
        if item.pivot and isinstance(item.action, Simulated)
        else item
        for item in saga.steps
    ]
    return Saga(saga.name, *steps, deadline=saga.deadline)
