"""The explorer from Python: a page for fitted models, or for a fit as it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra
from ..estimator import Autoencoder
from .scene import Models, Scene

if TYPE_CHECKING:
    from .learning import Learning
    from .server import Server


def explore(
    models: Models,
    X: Any,
    y: Any = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    block: bool = True,
    **scene: Any,
) -> Server:
    """Show a model, or two beside each other, on a page in the browser.

    Parameters
    ----------
    models, X, y
        As for `Scene`.
    host, port
        Where to listen: by default where this machine alone can ask. Beyond it, the address holds
        a token without which nothing is answered. The first port that is free from 8790 on is
        taken where none is given.
    browser
        Whether to open the page in a browser.
    block
        Whether to go on only when Ctrl-C ends it; otherwise at once.
    scene
        Further keywords of `Scene`.

    Returns
    -------
    Server
        With the address of the page, ``url``, and ``stop()``.

    Raises
    ------
    MissingExtra
        If what the extra "explore" installs is missing.
    """
    require_extra()
    server = serve(Scene(models, X, y, **scene), host, port, browser=browser)
    if block:
        print(server.url, flush=True)
        server.wait()
    return server


def watch_fit(
    model: Autoencoder,
    X: Any,
    shown: Any = None,
    y: Any = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    **more: Any,
) -> Server:
    """Fit an autoencoder while a page shows its map as it forms.

    Parameters
    ----------
    model
        What to fit.
    X
        What to train it on.
    shown, y
        The rows to show, best others than X, and what is known of each.
    host, port, browser
        As for `explore`.
    more
        Further keywords of `Scene`, and as ``fit`` a dictionary of those of `Autoencoder.fit`.

    Returns
    -------
    Server
        Once the model is fitted; it goes on showing it until its ``stop()``.

    Raises
    ------
    MissingExtra
        If what the extra "explore" installs is missing.
    """
    require_extra()
    from .learning import Learning

    learning = Learning(model, X, shown, y, **more)
    server = serve(learning.scene, host, port, browser=browser, learning=learning)
    try:
        learning.run()
    except BaseException:
        server.stop()
        raise
    return server


def serve(
    scene: Scene,
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    browser: bool = False,
    fragment: str = "",
    learning: Learning | None = None,
) -> Server:
    """Begin to serve a scene, in a thread.

    Parameters
    ----------
    scene
        What to show.
    host, port, browser
        As for `explore`.
    fragment
        What the browser finds behind the address: the state in which the page begins.
    learning
        The fit that is watched, where there is one.

    Raises
    ------
    MissingExtra
        If what the extra "explore" installs is missing.
    """
    require_extra()
    from .server import Server

    server = Server(scene, host, port, learning=learning)
    server.start()
    if browser:
        import webbrowser

        webbrowser.open(server.url + fragment)
    return server


def require_extra() -> None:
    """Raise `MissingExtra` unless what serves the page is installed."""
    try:
        import starlette
        import uvicorn
    except ImportError:
        raise MissingExtra(
            "the explorer needs starlette and uvicorn, which are not installed: "
            "pip install 'latente[explore]'"
        ) from None
    assert starlette is not None
    assert uvicorn is not None
