"""Where Microsoft.Support's paths are: each on a subscription, and once more without one; in any case."""

import re
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response

from simulator.support_catalogue import PROVIDER

Handler = Callable[..., Awaitable[Response]]
PATH = re.compile(rf"(?:/subscriptions/([^/]+))?{PROVIDER}((?:/[^/]*)*)", re.IGNORECASE)
WORDS = {
    word.lower(): word
    for word in (
        "services",
        "problemClassifications",
        "supportTickets",
        "communications",
        "chatTranscripts",
        "checkNameAvailability",
        "operationsStatus",
        "operationResults",
        "fileWorkspaces",
        "files",
        "upload",
    )
}
PREFIXES = (f"/subscriptions/{{subscription_id}}{PROVIDER}", PROVIDER)


def as_routed(path: str) -> str:
    """A path as it is written here: Azure doesn't mind the case of its words. Names, every second part, keep theirs."""
    found = PATH.fullmatch(path)
    if found is None:
        return path
    parts = found[2].split("/")
    parts[1::2] = [WORDS.get(each.lower(), each) for each in parts[1::2]]
    return (f"/subscriptions/{found[1]}" if found[1] else "") + PROVIDER + "/".join(parts)


def both(routes: APIRouter, method: str, path: str) -> Callable[[Handler], Handler]:
    """Puts a handler at a path on a subscription, and at the same path without one."""

    def register(handler: Handler) -> Handler:
        for prefix in PREFIXES:
            routes.add_api_route(prefix + path, handler, methods=[method])
        return handler

    return register
