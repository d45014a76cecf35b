"""The API as an ASGI app: its routes, its errors, and what it opens when it starts and closes when it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from runtime.settings import Settings, required
from starter.api import actions, claims, credits, evidence, health, openapi, problems
from starter.api.desk import opened_desk
from starter.api.log import Requests
from starter.api.metrics import Metrics

NEEDED = ("auth_issuer", "auth_audience", "auth_jwks_url", "partner_tenant_id", "client_id", "client_secret")
"""The optional settings that the API can't do without."""


def create_app(settings: Settings) -> FastAPI:
    """The API for these settings. Its state has `desk` while it runs.

    Raises SettingsError, which names a variable that isn't set.
    """
    for name in NEEDED:
        required(settings, name)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened_desk(settings, metrics) as desk:
            app.state.desk = desk
            yield

    app = FastAPI(
        title="claimdesk",
        version="1",
        description="Credit claims of a Microsoft CSP partner, from the incident to the line on the invoice. Every "
        "error is a problem document (RFC 9457); docs/api.md tells the rest.",
        lifespan=lifespan,
        # FastAPI's own pages load their script from elsewhere, and this machine may be shut off.
        docs_url=None,
        redoc_url=None,
        # An address with a slash too many is none; sent elsewhere, a client would have to repeat what it asked.
        redirect_slashes=False,
    )
    problems.install(app)
    app.add_middleware(Requests, settings=settings, metrics=metrics)
    for room in (claims, actions, evidence, credits, health):
        app.include_router(room.router)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        return HTMLResponse(openapi.page(app.openapi()), headers={"Content-Security-Policy": policy})

    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app
