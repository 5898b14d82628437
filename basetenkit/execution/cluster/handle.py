"""The controlling side of one stage on a Dask worker."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ...transport.clock import mono
from ..processes import protocol
from ..processes.handle import Member, OnMessage
from . import stage
from .connecting import Machine

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger(__name__)
END_WITHIN_S = 5.0


class StageHandle(Member):
    """A stage of a machine: one pinned Dask task. `name`: another for each try, so that nothing is ever begun twice;
    `heard_ns`: when it last said something; `offset_ns`, `bound_ns`: its monotonic clock less ours, and how far that may be off."""

    def __init__(self, part: int, name: str, up: str, machine: Machine, client: Client, on_message: OnMessage) -> None:
        super().__init__(part, on_message)
        self.name, self.machine, self._client = name, machine, client
        self.heard_ns, self.offset_ns, self.bound_ns = mono(), 0, 0
        self._orders: asyncio.Queue[bytes] = asyncio.Queue()
        self._sending = asyncio.ensure_future(self._send())
        self.task: Future = client.submit(
            stage.run_stage,
            name,
            up,
            key=name,
            workers=[machine.address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        self._watching = asyncio.ensure_future(self._watch())

    def send(self, word: str, **content: object) -> None:
        if self.lost is None:
            self._orders.put_nowait(protocol.encode_order(word, **content)[0])

    def send_bytes(self, encoded: bytes) -> None:
        """An order that is the same for all."""
        if self._orders.empty():
            self._orders.put_nowait(encoded)

    async def _send(self) -> None:
        """Orders go one after the other, directly to the worker: so they are never in a task, a key or a log."""
        while True:
            order = await self._orders.get()
            try:
                await self._client.run(stage.deliver, self.name, order, workers=[self.machine.address])
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                self.lose(f"its Dask worker cannot be reached: {str(error) or repr(error)}")
                return

    async def _watch(self) -> None:
        """Waits for the task's end, which is the stage's."""
        try:
            how = await self.task.result()
        except asyncio.CancelledError:
            if not self._closing:
                self.lose("its Dask task was cancelled")
            raise
        except Exception as error:  # of Dask: its text names the task, never its arguments
            how = f"its Dask worker was lost ({type(error).__name__})"
        self.lose(how)

    def take(self, parts: list[bytes]) -> None:
        """A message that came from the stage."""
        self.heard_ns = mono()
        if self.lost is None:
            self._take(*protocol.read_report(parts))

    def lose(self, why: str) -> None:
        """Marks it as lost."""
        if self.lost is None and not self._closing:
            self.lost = self._why or why
            log.warning("stage %d on %s was lost: %s", self.part + 1, self.machine.address, self.lost)
        self._changed.set()

    def kill(self, why: str) -> None:
        self._why = self._why or why
        self._orders.put_nowait(stage.KILL)
        self.lose(why)

    async def end(self) -> None:
        self._closing = True
        self._orders.put_nowait(stage.END)
        if self.lost is None:
            await asyncio.wait([self._watching], timeout=END_WITHIN_S)
        for task in (self._watching, self._sending):
            task.cancel()
        await asyncio.gather(self._watching, self._sending, return_exceptions=True)
        if not self.task.done():
            await self.task.cancel()
        self.task.release()
