"""Files of a conversation: attaching one by its path, and opening what somebody sent."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from functools import partial
from pathlib import Path

from console.files import download, open_outside, upload
from console.paint import media_label
from console.screens.dialogs import Choice, FileScreen, PickScreen
from console.screens.reading import ReadingScreen
from console.shell import shell, work
from crm.kernel.errors import Refused, Unavailable
from crm.kernel.records import Media
from crm.kernel.text import one_line


class Attaching(ReadingScreen):
    """Uploads wait beside the composer of their session, whichever session is open meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._folder: Path | None = None
        """Private, and gone with the console: customers' files do not stay on this computer."""

    def on_unmount(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # -------------------------------------------------------------- attaching

    def do_attach(self) -> None:
        """For the conversation that is pointed at, which opens: one sees where the file waits."""
        view = self.target()
        if view is None:
            return
        session = view.id
        if session != self.session:
            self.open_session(session, focus=False)

        def chosen(path: str | None) -> None:
            if path is not None:
                work(self, partial(self._upload, session, Path(path)), group="upload")

        self.about(FileScreen(shell(self).words("action.attach")), session, chosen)

    async def _upload(self, session: str, path: Path) -> bool:
        """Puts a file beside the composer of its session; False, and a word why, when that fails."""
        app, name = shell(self), one_line(path.name, 60)
        if app.link is None:
            return False
        waiting = self.uploading.setdefault(session, [])
        waiting.append(name)
        self.lay_out()
        try:
            media = await upload(app.link, path)
            self.attached.setdefault(session, []).append(media)
            return True
        except Refused as error:
            self.toast(self.explain(error.code, error.params), "error")
        except (Unavailable, OSError):
            self.toast(app.words("files.failed", name=name), "error")
        finally:
            waiting.remove(name)
            self.lay_out()
        return False

    def do_cancel_files(self) -> None:
        self.attached.pop(self.session, None)
        self.reply.quoting = ""
        self.lay_out()

    async def attach_text(self, session: str, text: str) -> bool:
        """Attaches a text as a file; False, and a word why, when that fails."""
        try:
            folder = Path(tempfile.mkdtemp(dir=self._private()))
            path = (folder / shell(self).words("long.name")).with_suffix(".txt")
            await asyncio.to_thread(path.write_text, text, "utf-8")
        except OSError:
            self.toast(shell(self).words("files.failed", name=".txt"), "error")
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
        files = self.thread.files()
        words = shell(self).words
        if len(files) == 1:
            self._open_file(files[0])
            return
        choices = [Choice(str(n), media_label(words, media)) for n, media in enumerate(files)]

        def picked(number: str | None) -> None:
            if number is not None:
                self._open_file(files[int(number)])

        self.app.push_screen(PickScreen(words("action.open_file"), choices, typing=False), picked)

    def _open_file(self, media: Media) -> None:
        words = shell(self).words
        if media.error:
            self.toast(words("opening.error", reason=one_line(media.error, 120)), "warning")
        elif not media.key:
            self.toast(words("opening.coming"))
        else:
            work(self, partial(self._show_file, media), group="open_file")

    async def _show_file(self, media: Media) -> None:
        app = shell(self)
        if app.link is None:
            return
        try:
            path = await download(app.link, media, self._private())
        except Refused as error:
            self.toast(self.explain(error.code, error.params), "warning")
        except (Unavailable, OSError):
            self.toast(app.words("opening.failed"), "error")
        else:
            if app.is_web:
                app.deliver_binary(path)
            elif await open_outside(path):
                self.toast(app.words("opening.opened", name=path.name))
            else:
                self.notify(app.words("opening.saved", path=str(path)), markup=False, timeout=15)
