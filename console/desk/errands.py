"""What is asked of the desk, and what it answers."""

from __future__ import annotations

from collections.abc import Callable

from console.desk.part import Part
from console.shell import shell, work
from crm.kernel.errors import Refused, Unavailable
from router.wire import protocol as wire


class Errands(Part):
    """Commands and reads over the link; a refusal is told on the screen."""

    def command(
        self,
        frame: wire.CommandFrame,
        done: Callable[[wire.Done], None] | None = None,
        refused: Callable[[str], None] | None = None,
    ) -> None:
        """Sends a command and says why when it is refused; ``refused`` is told why too. The answer may
        come much later: the link repeats the command after a reconnect."""
        link = shell(self.desk).link
        words = shell(self.desk).words
        if link is None:
            return
        try:
            future = link.send(frame)
        except Unavailable:
            why = words("refused.too_many_unsent")
            self.desk.toast(why, "error")
            if refused is not None:
                refused(why)
            return

        async def wait() -> None:
            answer = await future
            if answer.code:
                why = self.desk.explain(answer.code, answer.params)
                self.desk.toast(why, "warning")
                if answer.code == "maybe_done":
                    self._doubtful(frame)
                elif refused is not None:
                    refused(why)
            elif done is not None:
                done(answer)

        work(self.desk, wait, group="commands")

    def _doubtful(self, command: wire.CommandFrame) -> None:
        """What may have been said already does not go back to where Enter would say it again."""
        self.desk.keeper.coming.discard(getattr(command, "session", ""))
        echo = shell(self.desk).picture.echoes.get(command.id)
        if echo is not None:
            echo.unknown = True
            self.desk.thread.sync()

    async def ask(self, frame: wire.Request, expect: type[wire.Frame]) -> wire.Frame | None:
        """A read; None, and a message on the screen, when there is no answer."""
        link = shell(self.desk).link
        if link is None:
            return None
        try:
            return await link.request(frame, expect)
        except Refused as error:
            self.desk.toast(self.desk.explain(error.code, error.params), "warning")
        except Unavailable:
            self.desk.toast(shell(self.desk).words("refused.unavailable"), "warning")
        return None
