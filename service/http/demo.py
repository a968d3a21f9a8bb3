"""A made-up company's help centre with the widget in it, on a port of its own: another origin, as at a customer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from indexer.errors import SettingsError
from indexer.metadata import Audience
from service.http.pages import WEB
from service.keys import Key, KeyKind, make_key

LANGUAGES = (("en", "English"), ("de", "Deutsch"), ("es", "Español"), ("fr", "Français"), ("ja", "日本語"))
_START_S = 10.0


def content_security_policy(service: str) -> str:
    """What the demo's pages allow: nothing but the widget, its questions, and the page's own style sheet and form."""
    return (
        f"default-src 'none'; script-src {service}; connect-src {service}; style-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types kb-help"
    )


def create_demo_app(service: str, key: str) -> Starlette:
    """The help centre's app.

    Args:
        service: address of the service, without a slash at the end.
        key: a publishable key for the origin that this app is served from.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = WEB / "demo"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("help_center.html")

    async def page(request: Request) -> Response:
        values = _choices(request.query_params)
        html = template.render(service=service, key=key, languages=LANGUAGES, **values)
        return HTMLResponse(html, headers={"Content-Security-Policy": content_security_policy(service)})

    async def style(_: Request) -> Response:
        return FileResponse(folder / "page.css", headers={"Cache-Control": "no-cache"})

    async def send_ticket(_: Request) -> Response:
        return RedirectResponse("/?sent=1#contact", 303)

    routes = [
        Route("/", page),
        Route("/page.css", style),
        Route("/tickets", send_ticket, methods=["POST"]),
    ]
    return Starlette(routes=routes)


def _choices(query: QueryParams) -> dict[str, Any]:
    lang = query.get("lang", "en")
    known = dict(LANGUAGES)
    return {
        "lang": lang if lang in known else "en",
        "dir": "rtl" if query.get("dir") == "rtl" else "ltr",
        "sent": "sent" in query,
    }


class Demo:
    """The help centre's place: a port, and a publishable key for it that is in no file.

    Attributes:
        address: where it is.
        key: what is stored of its key, for the service to honour.
    """

    def __init__(self, host: str, service_port: int) -> None:
        """Take the port after the service's, or any free one. Raises SettingsError if there is none."""
        self._listener = _listen(host, service_port + 1)
        port = self._listener.getsockname()[1]
        self.address = address_of(host, port)
        self._service = address_of(host, service_port)
        names = {self.address, f"http://127.0.0.1:{port}", f"http://localhost:{port}"}
        self.key: Key
        self.key, self._token = make_key("demo help centre", KeyKind.PUBLISHABLE, Audience.PUBLIC, sorted(names))

    def serving(self) -> contextlib.AbstractContextManager[None]:
        """Serve the help centre, in a thread, until the block ends."""
        return serving_in_thread(create_demo_app(self._service, self._token), self._listener)


@contextlib.contextmanager
def serving_in_thread(app: Starlette, listener: socket.socket) -> Iterator[None]:
    """Serve `app` on `listener`, in a thread, until the block ends; the listener is closed then."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        ends = time.monotonic() + _START_S
        while not server.started and thread.is_alive() and time.monotonic() < ends:
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(_START_S)
        listener.close()


def address_of(host: str, port: int) -> str:
    """The web address of a host and port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen(host: str, wanted: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (wanted, 0):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except (OSError, OverflowError):
            listener.close()
        else:
            return listener
    raise SettingsError(f"there is no free port on {host} for the demo help centre")
