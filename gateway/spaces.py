"""What the state knows of vector spaces, for all processes: references, verdicts of canaries, generations.

A space's generation changes whenever vectors made before may not be of the space: what is kept by it, like a cache's
entries, is found no more. It never goes back here, whatever happens to the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.canary import Reference, Verdict
from gateway.logs import GATEWAY
from gateway.store import ValueStore

REFERENCES: Final = "canary:references"
VERDICTS: Final = "canary:verdicts"
RUNS: Final = "canary:runs"
"""Whoever puts a name here, which nobody else has, runs what it names; the value ends when the next run is due."""
GENERATIONS: Final = "generations"
RUN_SECONDS: Final = 120.0
"""Longer than a run takes: after as much time somebody else runs what nobody finished."""
VERDICT_SECONDS: Final = 30 * 86_400.0
"""After which nobody has asked for it: the target is gone, or the gateway was."""


class Spaces:
    """Every method that waits raises StateUnavailable while the state is away; what was seen last is kept."""

    def __init__(self, store: ValueStore) -> None:
        self._store = store
        self._generations: dict[str, int] = {}
        self._references: dict[str, Reference] = {}
        self.verdicts: Mapping[str, Verdict] = {}
        """By the name of the run."""

    # ── generations ───────────────────────────────────────────────────────────────────────────────────────────────

    def generation(self, space: str) -> int:
        """As it was a few seconds ago."""
        return self._generations.get(space, 0)

    async def bump(self, space: str) -> int:
        """Of two that do so at once both see a new one, be it the same."""
        told = await self._store.value(GENERATIONS, space)
        self._generations[space] = max(self.generation(space), int(told or 0)) + 1
        await self._store.put_value(GENERATIONS, space, str(self._generations[space]).encode())
        return self._generations[space]

    async def look(self) -> None:
        """Reads generations and verdicts; a state that has lost a generation or a drift is told it again.

        Both are taken over at once. A verdict is written before the generation that it ends, and read after it: who
        knows a new generation knows whom not to ask for its vectors.
        """
        told = {space: int(number) for space, number in (await self._store.values(GENERATIONS)).items()}
        for space, number in self._generations.items():
            if number > told.get(space, 0):
                await self._store.put_value(GENERATIONS, space, str(number).encode())
        verdicts = {name: Verdict.read(verdict) for name, verdict in (await self._store.values(VERDICTS)).items()}
        for name, known in self.verdicts.items():
            if name not in verdicts and known.drift is not None:
                await self._store.put_value(VERDICTS, name, known.written(), VERDICT_SECONDS, only_if_absent=True)
                verdicts[name] = known
        self._generations = {
            space: max(number, self.generation(space)) for space, number in (self._generations | told).items()
        }
        self.verdicts = verdicts

    # ── references ────────────────────────────────────────────────────────────────────────────────────────────────

    async def reference(self, name: str) -> Reference | None:
        """The state's; one that the state has lost while this process knows it is put back."""
        known = self._references.get(name)
        told = await self._store.value(REFERENCES, name)
        if told is None and known is not None:
            await self._store.put_value(REFERENCES, name, known.written(), only_if_absent=True)
            GATEWAY.warning("the state had lost a space's reference, and has it again", extra={"fields": {"of": name}})
            return known
        if told is not None:
            self._references[name] = known = Reference.read(told)
        return known

    async def pin(self, name: str, reference: Reference, *, only_if_absent: bool = False) -> bool:
        return await self._store.put_value(REFERENCES, name, reference.written(), only_if_absent=only_if_absent)

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def held(self) -> frozenset[str]:
        """Names of runs that are not due: somebody is at them, or did them."""
        return frozenset(await self._store.values(RUNS))

    async def begin(self, run: str) -> bool:
        """Whether it is this process that runs."""
        return await self._store.put_value(RUNS, run, b"", RUN_SECONDS, only_if_absent=True)

    async def end(self, run: str, pause: float, verdict: Verdict | None = None) -> None:
        """The next run is due in `pause` seconds, 0 for at once."""
        if verdict is not None:
            await self._store.put_value(VERDICTS, run, verdict.written(), VERDICT_SECONDS)
            self.verdicts = {**self.verdicts, run: verdict}
        if pause:
            await self._store.put_value(RUNS, run, b"", pause)
        else:
            await self._store.drop_value(RUNS, run)
