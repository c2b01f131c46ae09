"""The queue of one channel and its controller, request by request or run by run.

Requests to the in-memory units are served in order; ordinary reads and writes may overtake each other (first ready,
first come), and the two kinds never share the queue. While only in-memory requests are there, nothing can come between
the commands of one instruction, and they are placed by arithmetic; otherwise the controller goes from one cycle in
which something can happen to the next.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from accelsim.spec.aim import AimController
from accelsim.timing.aim.banks import Banks
from accelsim.timing.aim.commands import ACT, PRE, PREA, RD, REFAB, REGISTERS, TMOD, WRA16, Rules

END: Final = -1
"""In place of a command: the request only waits until everything before it is done."""
NEVER: Final = 1 << 62


@dataclass(slots=True, eq=False)
class Request:
    """One access of a channel.

    Attributes:
        command: its last DRAM command, or `END`.
        bank: the bank; -1 for all.
        row: the row; -1 where no row is touched.
        plain: an ordinary read or write.
        answered: the sender waits for the result.
        arrived: the cycle in which an ordinary one entered its queue.
    """

    command: int
    bank: int = -1
    row: int = -1
    plain: bool = False
    answered: bool = False
    arrived: int = 0


class Controller:
    """One channel: queues, mode and banks. Cycles count from 1.

    Attributes:
        banks: rows and constraints.
        last: the cycle of the last command, or of the end of a program.
    """

    def __init__(
        self, rules: Rules, queues: AimController, *, exact: bool, peer: bool, keep: bool, since: int = 0
    ) -> None:
        """Starts with all rows closed.

        Args:
            rules: the constraints.
            queues: sizes of queues.
            exact: never place runs by arithmetic.
            peer: as the public simulator does it, any waiting write answers any read, and a program ends while an
                ordinary access still waits for the row that it has opened. Otherwise only a write to the same row
                answers, and the end waits.
            keep: keep a record of all commands.
            since: cycles from the beginning of a refresh interval to the start.
        """
        self.banks = Banks(rules, keep)
        self.last = 0
        self._queues, self._exact, self._peer = queues, exact, peer
        self._registers = False
        self._refresh_at = rules.refresh - since % rules.refresh if rules.refresh else NEVER
        self._refreshes = 0
        self._served = 0  # the cycle of the last answer
        self._written = 0  # the end of the last write
        self._runs: deque[tuple[int, int, int]] = deque()  # first cycle, cycles between two, count
        self._aim: deque[Request] = deque()
        self._reads: list[Request] = []
        self._writes: list[Request] = []
        self._active: list[Request] = []
        self._returning: deque[tuple[int, Request]] = deque()
        self._writing: list[int] = []
        self._write_mode = False
        self._changed = False  # the next cycle sees other queues than the last one

    def copy(self) -> Controller:
        """An equal channel with a future of its own."""
        other = Controller(
            self.banks.rules, self._queues, exact=self._exact, peer=self._peer,
            keep=self.banks.records is not None,
        )  # fmt: skip
        other.__dict__.update(self.__dict__)
        other.banks = self.banks.copy()
        for name in ("_runs", "_aim", "_returning"):
            setattr(other, name, getattr(self, name).copy())
        for name in ("_reads", "_writes", "_active", "_writing"):
            setattr(other, name, getattr(self, name)[:])
        return other

    @property
    def quiet(self) -> bool:
        """Whether nothing waits but what has its cycle already."""
        return not (self._aim or self._reads or self._writes or self._active or self._returning or self._refreshes)

    def accept(self, request: Request, count: int, clk: int) -> int:
        """Takes equal requests that are sent from cycle `clk` on.

        Returns:
            The cycle in which the last of them entered the queue; of one that is answered, the cycle of its answer.
        """
        if request.plain:
            if self._settled():
                self._write_mode |= clk > self.last + 1
                clk = max(clk, self.last + 1)
            return self._accept_stepwise(request, count, clk)
        if not self._exact:
            clk = self._until_plain_done(clk)
            if self._settled():
                return self._end(clk) if request.command == END else self._place(request, count, clk)
        return self._accept_stepwise(request, count, clk)

    # runs by arithmetic

    def _settled(self) -> bool:
        """Whether the queue is in the state in which runs can be placed, brought there if it is quiet."""
        if self._exact or not self.quiet:
            return False
        self._written = max([self._written, *self._writing])
        self._writing.clear()
        return True

    def _until_plain_done(self, clk: int) -> int:
        """The cycle from `clk` on in which ordinary requests have left the queue."""
        if self._reads or self._writes:
            self._step_to(clk - 1)
        while self._reads or self._writes:
            clk = max(clk, self._step() + 1)
        return clk

    def _place(self, request: Request, count: int, clk: int) -> int:
        command, bank, row, banks = request.command, request.bank, request.row, self.banks
        registers = command in REGISTERS
        at, left = max(clk, self.last + 1), count
        while left:
            step = banks.needed(command, bank, row)
            at = max(at, banks.ready(step, bank))
            if at >= self._refresh_at:
                at = max(clk, self._refresh())
            elif registers is not self._registers:
                self._registers = registers
                self.last = banks.issue(TMOD, -1, -1, at)
            elif step != command:
                self.last = banks.issue(step, bank, row, at)
            else:
                run = self._fit(command, at, left)
                left -= run
                self.last = banks.issue(command, bank, row, at, run)
                self._runs.append((at, banks.rules.gap[command], run))
            at = max(at, self.last + 1)
        done = self.last + banks.rules.latency[command]
        entered = self._entered(clk)
        if request.answered:
            self._served = max(done, self._served + 1)
            return self._served
        self._written = max(self._written, done)
        return entered

    def _fit(self, command: int, at: int, left: int) -> int:
        """How many commands of a run come before the next refresh."""
        if self._refresh_at == NEVER:
            return left
        return min(left, -((at - self._refresh_at) // self.banks.rules.gap[command]))

    def _refresh(self) -> int:
        """Does the refresh that is due; returns the first cycle after it."""
        banks, at = self.banks, max(self._refresh_at, self.last + 1)
        self._refresh_at += banks.rules.refresh
        while True:
            step = banks.needed(REFAB, -1, -1)
            at = max(at, banks.ready(step, -1))
            if self._registers:
                self._registers, step_ = False, TMOD
            else:
                step_ = step
            self.last = banks.issue(step_, -1, -1, at)
            at += 1
            if step_ == REFAB:
                return at

    def _entered(self, clk: int) -> int:
        """The cycle in which the last request placed found room in the queue."""
        runs = self._runs
        ahead = sum(run[2] for run in runs) - self._queues.queue  # requests that had to leave before
        while ahead > runs[0][2]:
            ahead -= runs.popleft()[2]
        first, gap, _ = runs[0]
        return clk if ahead <= 0 else max(clk, first + gap * (ahead - 1) + 1)

    def _end(self, clk: int) -> int:
        at = max(clk, self.last + 1)
        while at >= self._refresh_at:
            at = max(at, self._refresh())
        self.last = at
        self._runs.append((at, 1, 1))
        self._served = max(at, self._served, self._written) + 1
        return self._served

    # cycle by cycle, leaving out those in which nothing can happen

    def _accept_stepwise(self, request: Request, count: int, clk: int) -> int:
        self._step_to(clk - 1)
        self._changed = True
        for _ in range(count):
            while not self._enter(request, clk):
                clk = max(clk, self._step() + 1)
        if request.answered:
            while any(waiting is request for waiting in (*self._aim, *(r for _, r in self._returning))):
                clk = self._step()
        return clk

    def _enter(self, request: Request, clk: int) -> bool:
        room = self._queues.queue
        if not request.plain:
            if self._reads or self._writes or len(self._aim) >= room:
                return False
            self._aim.append(request)
            return True
        if self._aim:
            return False
        if request.command == RD and any(self._peer or self._same(request, write) for write in self._writes):
            self._returning.append((clk, request))
            return True
        queue = self._reads if request.command == RD else self._writes
        if len(queue) >= room:
            return False
        request.arrived = clk
        queue.append(request)
        return True

    @staticmethod
    def _same(request: Request, other: Request) -> bool:
        return (request.bank, request.row) == (other.bank, other.row)

    def _step_to(self, clk: int) -> None:
        """Goes on to the end of a cycle."""
        while (at := self._next()) <= clk:
            self._cycle(at)
        self.last = max(self.last, clk)

    def _step(self) -> int:
        """Goes on to the next cycle in which something may happen, and returns it."""
        at = self._next()
        self._cycle(at)
        return at

    def _next(self) -> int:
        """The next cycle in which something may happen; perhaps nothing does."""
        after, banks = self.last + 1, self.banks
        if self._changed:
            return after
        at = min(self._refresh_at, *self._writing, NEVER)
        if self._returning:
            ends = (end + 1 for end in (self._written, *self._writing) if end >= self.last)
            at = min(at, self._returning[0][0], *ends)
        if self._refreshes:
            at = min(at, banks.ready(banks.needed(REFAB, -1, -1), -1))
        for request in (*list(self._aim)[:1], *self._active, *self._reads, *self._writes):
            if request.command == END:
                return after
            at = min(at, banks.ready(banks.needed(request.command, request.bank, request.row), request.bank))
        return max(at, after)

    def _cycle(self, clk: int) -> None:
        self.last = clk
        if self._returning and self._returning[0][0] <= clk and self._served < clk:
            writes = self._writing or self._written >= clk or (self._active and not self._peer)
            if not (writes and self._returning[0][1].command == END):
                self._returning.popleft()
                self._served = clk
        self._writing = [end for end in self._writing if end > clk]
        while self._refresh_at <= clk:
            self._refreshes += 1
            self._refresh_at += self.banks.rules.refresh
        chosen = self._choose(clk)
        self._changed = chosen is not None
        if chosen is not None:
            self._serve(*chosen, clk)

    def _choose(self, clk: int) -> tuple[Request, int, list[Request] | deque[Request] | None] | None:
        """The request to serve, the command for it, and the queue that it stands in."""
        ready = self._best(self._active, clk)
        if ready is not None:
            return self._allowed(ready, self._active)
        if self._refreshes:
            step = self.banks.needed(REFAB, -1, -1)
            return (Request(REFAB), step, None) if self.banks.ready(step, -1) <= clk else None
        if self._aim:
            head = self._aim[0]
            if head.command == END:
                return head, END, self._aim
            step = self.banks.needed(head.command, head.bank, head.row)
            return self._allowed(head, self._aim) if self.banks.ready(step, head.bank) <= clk else None
        room = self._queues.queue - 1
        if not self._write_mode:
            self._write_mode = len(self._writes) > self._queues.write_high * room or not self._reads
        elif len(self._writes) < self._queues.write_low * room and self._reads:
            self._write_mode = False
        queue = self._writes if self._write_mode else self._reads
        ready = self._best(queue, clk)
        return self._allowed(ready, queue) if ready is not None else None

    def _best(self, queue: list[Request], clk: int) -> Request | None:
        """The oldest request whose next command is allowed."""
        banks = self.banks
        ready = [
            request for request in queue
            if banks.ready(banks.needed(request.command, request.bank, request.row), request.bank) <= clk
        ]  # fmt: skip
        return min(ready, key=lambda request: request.arrived, default=None)

    def _allowed(
        self, request: Request, queue: list[Request] | deque[Request]
    ) -> tuple[Request, int, list[Request] | deque[Request]] | None:
        """No row is closed that another request has just opened."""
        step = self.banks.needed(request.command, request.bank, request.row)
        if step in (PRE, PREA, WRA16) and any(other.bank == request.bank for other in self._active):
            return None
        return request, step, queue

    def _serve(self, request: Request, step: int, queue: list[Request] | deque[Request] | None, clk: int) -> None:
        banks = self.banks
        if request.command == END and queue is not None:
            self._returning.append((clk, request))
            _drop(queue, request)
            return
        registers = request.command in REGISTERS
        if registers is not self._registers:
            self._registers = registers
            banks.issue(TMOD, -1, -1, clk)
            return
        banks.issue(step, request.bank, request.row, clk)
        if queue is None:
            self._refreshes -= step == REFAB
        elif step == request.command:
            done = clk + banks.rules.latency[step]
            if request.answered or (step == RD and request.plain):
                self._returning.append((done, request))
            else:
                self._writing.append(done)
            _drop(queue, request)
        elif request.plain and step == ACT:
            _drop(queue, request)
            self._active.append(request)

    # folding

    def signature(self, clk: int, shift: int) -> tuple[object, ...] | None:
        """What decides about the future, seen from cycle `clk`; None while requests wait that have no cycle yet."""
        if self._exact or not self.quiet or self._writing:
            return None
        runs = [(first - clk, gap, count) for first, gap, count in self._runs if first + gap * count > clk]
        ends = [max(at + 1 - clk, 0) for at in (self.last, self._served, self._written)]
        return self.banks.signature(clk, shift), runs, ends, self._registers, self._write_mode

    def slack(self) -> int:
        """Cycles from the last command to the next refresh."""
        return self._refresh_at - self.last

    def advance(self, cycles: int, rows: int, counts: list[int], open_cycles: int) -> None:
        """Repeats what has happened `cycles` later; see `Banks.advance`."""
        self.banks.advance(cycles, rows, counts, open_cycles)
        self.last += cycles
        self._served += cycles
        self._written += cycles
        self._runs = deque((first + cycles, gap, count) for first, gap, count in self._runs)


def _drop(queue: list[Request] | deque[Request], request: Request) -> None:
    """Takes exactly this request out of its queue, not one that is equal to it."""
    for index, other in enumerate(queue):
        if other is request:
            del queue[index]
            return
