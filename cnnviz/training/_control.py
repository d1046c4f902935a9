"""What other threads ask of a training: to stop, to pause, to go on. Private."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Control:
    """What other threads ask of the loop; it looks between two steps."""

    stop: bool = False
    paused: bool = False
    waiting: bool = False  # the loop has come to rest
    thread: int | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    idle: threading.Event = field(default_factory=threading.Event)

    def set(self, **wishes: bool) -> None:
        """Ask to stop or to pause; takes effect before the next step."""
        with self.changed:
            self.__dict__.update(wishes)
            self.changed.notify_all()

    def begin(self) -> None:
        """Forget what was asked of the last thread: a new one starts."""
        self.stop = self.paused = False
        self.idle.clear()

    def end(self, timeout: float | None = None) -> None:
        """Stop, and wait for the step that is being made."""
        self.set(stop=True)
        if threading.get_ident() != self.thread:
            self.idle.wait(timeout)

    def may_go_on(self) -> bool:
        """Wait while paused; False when asked to stop."""
        with self.changed:
            while self.paused and not self.stop:
                self.waiting = True
                self.changed.wait()
            self.waiting = False
            return not self.stop
