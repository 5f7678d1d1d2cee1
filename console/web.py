"""The same console in a browser, through textual-serve (the optional extra ``web-console``)."""

from __future__ import annotations

import importlib
import shlex
import sys

from console.settings import Shelf
from console.words import Words


def serve(url: str, host: str = "127.0.0.1", port: int = 8701) -> int:
    """Serves until interrupted. It listens on this computer only: whoever reaches the page sits at
    the operator's desk."""
    try:
        server = importlib.import_module("textual_serve.server")
    except ImportError:
        sys.stderr.write(Words(Shelf().load().language)("web.missing") + "\n")
        return 2
    command = [sys.executable, "-m", "navbat", "console", *(["--url", url] if url else [])]
    server.Server(shlex.join(command), host=host, port=port, title="navbat").serve()
    return 0
