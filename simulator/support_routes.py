"""Where Microsoft.Support's paths are: each on a subscription, and once more without one."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response

from simulator.support_catalogue import PROVIDER

Handler = Callable[..., Awaitable[Response]]
PREFIXES = (f"/subscriptions/{{subscription_id}}{PROVIDER}", PROVIDER)


def both(routes: APIRouter, method: str, path: str) -> Callable[[Handler], Handler]:
    """Puts a handler at a path on a subscription, and at the same path without one."""

    def register(handler: Handler) -> Handler:
        for prefix in PREFIXES:
            routes.add_api_route(prefix + path, handler, methods=[method])
        return handler

    return register
