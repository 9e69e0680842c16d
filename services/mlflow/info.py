"""What the server states of itself, without a key."""

from __future__ import annotations

from starlette.responses import JSONResponse, PlainTextResponse, Response

API_VERSION = "3.17.2"
"""The release of MLflow whose registry API this is."""


def health() -> Response:
    return PlainTextResponse("OK")


def version() -> Response:
    return PlainTextResponse(API_VERSION)


def server_info() -> Response:
    """Return what clients may use. Files are uploaded in one request each, of any size."""
    return JSONResponse(
        {
            "store_type": None,
            "workspaces_enabled": True,
            "trace_archival_enabled": False,
            "multipart_uploads_enabled": False,
            "multipart_downloads_enabled": False,
            "features_enabled": {},
        }
    )
