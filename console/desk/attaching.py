"""Files of a conversation: attaching one by its path, and opening what somebody sent."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from console.desk.part import Part
from console.files import download, open_outside, upload
from console.screens.dialogs import Choice, FileScreen, PickScreen
from console.shell import shell, work
from console.text.paint import media_label
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.records import Media
from crm.kernel.text import one_line

if TYPE_CHECKING:
    from console.desk.screen import MainScreen


class Attaching(Part):
    """Uploads wait beside the composer of their session, whichever session is open meanwhile."""

    def __init__(self, desk: MainScreen) -> None:
        super().__init__(desk)
        self.attached: dict[str, list[Media]] = {}
        """Session -> what was uploaded for it and goes with its next reply."""
        self.uploading: dict[str, list[str]] = {}
        """Session -> names of the files that are on their way to the desk."""
        self._folder: Path | None = None
        """Private, and gone with the console: customers' files do not stay on this computer."""

    @property
    def files(self) -> list[Media]:
        """What goes with the next reply in the open session."""
        return self.attached.get(self.desk.session, [])

    def clean_up(self) -> None:
        """The console ends."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # -------------------------------------------------------------- attaching

    def do_attach(self) -> None:
        """For the conversation that is pointed at, which opens: one sees where the file waits."""
        view = self.desk.target()
        if view is None:
            return
        session = view.id
        if session != self.desk.session:
            self.desk.reading.open_session(session, focus=False)

        def chosen(path: str | None) -> None:
            if path is not None:
                work(self.desk, partial(self._upload, session, Path(path)), group="upload")

        self.desk.keeper.about(FileScreen(shell(self.desk).words("action.attach")), session, chosen)

    async def _upload(self, session: str, path: Path) -> bool:
        """Puts a file beside the composer of its session; False, and a word why, when that fails."""
        app, name = shell(self.desk), one_line(path.name, 60)
        if app.link is None:
            return False
        waiting = self.uploading.setdefault(session, [])
        waiting.append(name)
        self.desk.places.lay_out()
        try:
            media = await upload(app.link, path)
            self.attached.setdefault(session, []).append(media)
            return True
        except Refused as error:
            self.desk.toast(self.desk.explain(error.code, error.params), "error")
        except (Unavailable, OSError):
            self.desk.toast(app.words("files.failed", name=name), "error")
        finally:
            waiting.remove(name)
            self.desk.places.lay_out()
        return False

    def do_cancel_files(self) -> None:
        self.attached.pop(self.desk.session, None)
        self.desk.reply.quoting = ""
        self.desk.places.lay_out()

    async def attach_text(self, session: str, text: str) -> bool:
        """Attaches a text as a file; False, and a word why, when that fails."""
        try:
            folder = Path(tempfile.mkdtemp(dir=self._private()))
            path = (folder / shell(self.desk).words("long.name")).with_suffix(".txt")
            await asyncio.to_thread(path.write_text, text, "utf-8")
        except OSError:
            self.desk.toast(shell(self.desk).words("files.failed", name=".txt"), "error")
            return False
        return await self._upload(session, path)

    def _private(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="navbat-"))
        return self._folder

    # -------------------------------------------------------------- opening

    def do_open_file(self) -> None:
        """Opens what the selected message (or the newest one with a file) brought; asks which when
        there are several."""
        files = self.desk.thread.files()
        words = shell(self.desk).words
        if len(files) == 1:
            self._open_file(files[0])
            return
        choices = [Choice(str(n), media_label(words, media)) for n, media in enumerate(files)]

        def picked(number: str | None) -> None:
            if number is not None:
                self._open_file(files[int(number)])

        self.desk.app.push_screen(PickScreen(words("action.open_file"), choices, typing=False), picked)

    def _open_file(self, media: Media) -> None:
        words = shell(self.desk).words
        if media.error:
            self.desk.toast(words("opening.error", reason=one_line(media.error, 120)), "warning")
        elif not media.key:
            self.desk.toast(words("opening.coming"))
        else:
            work(self.desk, partial(self._show_file, media), group="open_file")

    async def _show_file(self, media: Media) -> None:
        app = shell(self.desk)
        if app.link is None:
            return
        try:
            path = await download(app.link, media, self._private())
        except Refused as error:
            self.desk.toast(self.desk.explain(error.code, error.params), "warning")
        except (Unavailable, OSError):
            self.desk.toast(app.words("opening.failed"), "error")
        else:
            if app.is_web:
                app.deliver_binary(path)
            elif await open_outside(path):
                self.desk.toast(app.words("opening.opened", name=path.name))
            else:
                self.desk.notify(app.words("opening.saved", path=str(path)), markup=False, timeout=15)
