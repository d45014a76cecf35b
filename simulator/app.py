"""Puts the simulated cloud together."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator import (
    billing,
    capacity,
    capacity_exchanges,
    capacity_refunds,
    capacity_side_door,
    entra,
    graph,
    partner_center,
    relationships,
    role_assignments,
    service_requests,
    side_door,
    support,
    support_door,
    support_files,
)
from simulator.azure import AzureError, AzureGate, is_azure, traced
from simulator.capacity_orders import Orders
from simulator.faults import GRAPH_PATHS, Faults, Trouble
from simulator.gate import Gate
from simulator.seed import seed
from simulator.state import Cloud, Config
from simulator.support_routes import as_routed
from simulator.tokens import Signer
from simulator.wire import PartnerCenterError, instant


class Marked:
    """ASGI middleware: the headers by which Microsoft traces a call to Partner Center or to Azure."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        azure = scope["type"] == "http" and is_azure(scope["path"])
        if scope["type"] != "http" or not (azure or scope["path"].startswith("/v1/")):
            await self._app(scope, receive, send)
            return
        if azure and "/microsoft.capacity/" in scope["path"].lower():
            # Azure doesn't mind the case of a path; its own answers write this one in several.
            scope = {**scope, "path": scope["path"].lower()}
        elif azure:
            scope = {**scope, "path": as_routed(scope["path"])}
        given = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if azure:
                    headers.update(traced(given))
                    await send(message)
                    return
                for name in ("MS-RequestId", "MS-CorrelationId"):
                    headers[name] = given.get(name.lower()) or str(uuid.uuid4())
                headers["MS-CV"] = uuid.uuid4().hex[:16] + ".0"
                headers["MS-ServerId"] = "030011719"
            await send(message)

        await self._app(scope, receive, marked)


def create_app(config: Config) -> FastAPI:
    """The simulated cloud as one ASGI app. Seeds its state when that is new.

    Raises `sqlite3.Error` when the state file can't be used.
    """
    cloud = Cloud(config)
    seed(cloud)
    signer = Signer(cloud)
    gate = Gate(cloud, signer)
    faults, calls = Faults(), Counter[str]()

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        yield
        cloud.store.close()

    app = FastAPI(
        title="A simulated Microsoft cloud",
        version="1",
        summary="Entra ID, Partner Center, Graph, Azure, for tests and a demo; a side door plays people and Microsoft.",
        lifespan=closing,
        openapi_url="/_simulator/openapi.json",
        docs_url="/_simulator/docs",
        redoc_url=None,
    )
    app.add_middleware(Marked)
    app.add_middleware(Trouble, faults=faults, calls=calls)
    app.include_router(side_door.router(cloud, faults, calls))
    azure = AzureGate(cloud, signer)
    app.include_router(support_door.router(azure))
    app.include_router(support.router(azure))
    app.include_router(support_files.router(azure))
    orders = Orders(cloud)
    refunds = capacity_refunds.Refunds(orders)
    app.include_router(capacity_side_door.router(refunds))
    app.include_router(role_assignments.router(cloud, azure))
    app.include_router(capacity.router(orders, azure))
    app.include_router(capacity_refunds.router(refunds, azure))
    app.include_router(capacity_exchanges.router(capacity_exchanges.Exchanges(orders), azure))
    app.include_router(service_requests.router(cloud, gate))
    app.include_router(partner_center.router(cloud, gate))
    app.include_router(relationships.router(cloud, gate))
    app.include_router(billing.router(cloud, gate))
    app.include_router(graph.router(cloud, signer))
    app.include_router(entra.router(entra.Entra(cloud, signer)))

    @app.exception_handler(PartnerCenterError)
    async def in_microsofts_shape(_: Request, error: PartnerCenterError) -> Response:
        return error.response()

    @app.exception_handler(AzureError)
    async def in_azures_shape(_: Request, error: AzureError) -> Response:
        return error.response()

    @app.exception_handler(graph.GraphError)
    async def in_graphs_shape(request: Request, error: graph.GraphError) -> Response:
        return error.response(cloud.now(), request.headers.get("client-request-id", ""))

    @app.exception_handler(entra.EntraError)
    async def in_entras_shape(_: Request, error: entra.EntraError) -> Response:
        return error.response(instant(cloud.now(), zone="Z").replace("T", " "))

    @app.exception_handler(HTTPException)
    async def no_such_path(request: Request, error: HTTPException) -> Response:
        if is_azure(request.url.path):
            return AzureError(error.status_code, "NotFound", str(error.detail)).response()
        if request.url.path.startswith(GRAPH_PATHS):
            return await in_graphs_shape(request, graph.GraphError(error.status_code, "NotFound", str(error.detail)))
        if not request.url.path.startswith("/v1/"):
            return await http_exception_handler(request, error)
        answer = PartnerCenterError(error.status_code, str(error.status_code), str(error.detail)).response()
        answer.headers.update(error.headers or {})
        return answer

    return app
