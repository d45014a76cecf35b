"""A request of a person to a workflow: an Update that is refused before it is accepted, where the rules say so."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from temporalio import workflow

from domain.claims import Answer, Event
from domain.messages import Command


class ChecksRequests(Protocol):
    """A workflow that can say whether a request is allowed; it raises an ApplicationError where it isn't."""

    def check(self, event: Event, command: Command) -> None:
        """Raise where the request may not be done now."""


W = TypeVar("W", bound=ChecksRequests)
C = TypeVar("C", bound=Command)


def asked(
    event: Event, description: str
) -> Callable[[Callable[[W, C], Awaitable[Answer]]], Callable[[W, C], Awaitable[Answer]]]:
    """Make the method an Update named like the event, with a validator that asks the workflow's `check`."""

    def decorate(handler: Callable[[W, C], Awaitable[Answer]]) -> Callable[[W, C], Awaitable[Answer]]:
        def check(self: W, command: C) -> None:
            self.check(event, command)

        # The SDK wants a validator to have exactly the handler's parameters.
        check.__signature__ = inspect.signature(handler)  # type: ignore[attr-defined]  # functions may carry one
        update = workflow.update(name=event.value, description=description)(handler)
        update.validator(check)
        return handler

    return decorate
