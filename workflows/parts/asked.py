"""A request of a person to a workflow: an Update that is refused before it is accepted, where the rules say so, and
what the person is told when the work behind it failed."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.failures import MICROSOFT_UNAVAILABLE
from domain.claims import Answer, Event
from domain.messages import Command


class ChecksRequests(Protocol):
    """A workflow that can say whether a request is allowed; it raises an ApplicationError where it isn't."""

    lock: asyncio.Lock
    """Held while a transition is made."""

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
            # While a transition is being recorded the record may be ahead of the workflow, and what people see is the
            # record: the handler checks, once it's its turn.
            if not self.lock.locked():
                self.check(event, command)

        # The SDK wants a validator to have exactly the handler's parameters.
        check.__signature__ = inspect.signature(handler)  # type: ignore[attr-defined]  # functions may carry one
        update = workflow.update(name=event.value, description=description)(handler)
        update.validator(check)
        return handler

    return decorate


def again(error: ApplicationError) -> ApplicationError:
    """The same failure for somebody else: an exception is raised once."""
    return ApplicationError(error.message, *error.details, type=error.type, non_retryable=True)


def answerable(error: ActivityError) -> ApplicationError:
    """What a person is told when the work behind their request failed. The claim is as it was."""
    if isinstance(error.cause, ApplicationError) and error.cause.non_retryable:
        return again(error.cause)
    return ApplicationError(
        "Microsoft or our own store didn't answer in time. The claim is as it was; send it again with a new key: a "
        "note that reached Microsoft all the same isn't written twice.",
        type=MICROSOFT_UNAVAILABLE,
        non_retryable=True,
    )
