"""`/widget/kb-help.js`: the one script that a help centre embeds."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.http.caching import is_current
from service.http.widget_script import widget_script

router = APIRouter(include_in_schema=False)

SCRIPT_PATH = "/widget/kb-help.js"
_MAX_AGE_S = 600


@router.get(SCRIPT_PATH)
def script(request: Request) -> Response:
    """The script, for pages of any origin: it holds no secret, and the key in the page decides what it may ask."""
    made = widget_script()
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Cache-Control": f"public, max-age={_MAX_AGE_S}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": made.etag,
        "Vary": "Accept-Encoding",
    }
    if is_current(made.etag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(made.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type="text/javascript")
    return Response(made.text, headers=headers, media_type="text/javascript")
