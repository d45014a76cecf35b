"""A credit claim, from the incident to the line on the invoice: one workflow, which may run for months.

What may happen when is in `domain/claims.py`, what it does in `domain/lifecycle.py` and `domain/settlement.py`. This
file says in which order it is asked, done and recorded.
"""

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from activities.azure_tickets import (
    AzureTickets,
    FileAzureTicket,
    FollowAzureReply,
    ReplyToAzureTicket,
    azure_subscription,
)
from activities.credits import AllocateLine, Credits, MatchClaim, ReleaseLine
from activities.customers import Customers, TriageRequest
from activities.evidence import CheckDocument, Evidence
from activities.failures import DUPLICATE_CLAIM, refused
from activities.records import ClaimRecording, RecordClaim
from activities.tickets import LookUpTicket, ReplyToTicket, Tickets
from domain import lifecycle, settlement
from domain.claims import Answer, Claim, Event, Status, next_timer, refusal
from domain.lifecycle import Change
from domain.messages import (
    AllocateCredit,
    Assign,
    AttachEvidence,
    CheckAgain,
    Command,
    CreditNews,
    Dispute,
    FileAsException,
    FileTicket,
    Opened,
    RecordDecision,
    RecordFiling,
    ReleaseCredit,
    Reopen,
    Reply,
    RevokeEvidence,
    TicketNews,
    Withdraw,
    WriteOff,
)
from domain.model import Frozen, Refused
from domain.page import page
from domain.policy import Category
from domain.roles import Actor
from domain.tickets import TicketLookup
from domain.triage import Route
from workflows.parts.asked import again, answerable, asked
from workflows.parts.options import FILE, MATCH, READ, RECORD, RETRY_TROUBLE_AFTER, SEND, WITHIN_UPDATE
from workflows.parts.visibility import attribute_updates


class ClaimStart(Frozen):
    """A claim as it was just opened (version 0), as the records have it (reopened), or as the last run left it."""

    claim: Claim


@workflow.defn(name="CreditClaim")
class CreditClaimWorkflow:
    """Carries one claim. Its id is the claim's."""

    @workflow.init
    def __init__(self, start: ClaimStart) -> None:
        self.claim = start.claim
        self.lock = asyncio.Lock()
        self.news: list[TicketNews] = []
        self.lines_unseen = True
        self.not_opened: ApplicationError | None = None
        workflow.set_current_details(page(self.claim))

    @workflow.run
    async def run(self, start: ClaimStart) -> Status:
        """Until the claim is closed."""
        try:
            if self.claim.version == 0 and not await self._open():
                return self.claim.status
            while not await self._is_over():
                if workflow.cancellation_reason() is not None:
                    # What is awaited may end as it would have without the cancellation, which is then seen here only.
                    raise asyncio.CancelledError
                await self._continue_as_new_if_suggested()
                await self._step()
        except (asyncio.CancelledError, ActivityError) as error:
            if workflow.cancellation_reason() is None:
                raise
            await self._cancelled()
            raise asyncio.CancelledError from error
        return self.claim.status

    # What happens by itself

    async def _open(self) -> bool:
        try:
            async with self.lock:
                await self._apply(lifecycle.opened(self.claim), actor=self.claim.opened_by)
        except ActivityError as error:
            if not isinstance(error.cause, ApplicationError) or error.cause.type != DUPLICATE_CLAIM:
                raise
            self.not_opened = error.cause
            await workflow.wait_condition(workflow.all_handlers_finished)
            return False
        return True

    async def _until_opened(self) -> None:
        await workflow.wait_condition(lambda: self.claim.version > 0 or self.not_opened is not None)
        if self.not_opened is not None:
            raise again(self.not_opened)

    async def _is_over(self) -> bool:
        # A handler that is still running may be the one that reopens the claim.
        if self.claim.status.is_closed:
            await workflow.wait_condition(workflow.all_handlers_finished)
        return self.claim.status.is_closed

    async def _continue_as_new_if_suggested(self) -> None:
        if not workflow.info().is_continue_as_new_suggested():
            return
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self.news:
            workflow.continue_as_new(ClaimStart(claim=self.claim))

    async def _step(self) -> None:
        try:
            if self.claim.status is Status.TRIAGING:
                await self._triage()
            elif self.news:
                # Where Microsoft doesn't answer, the next sweep says it again.
                with contextlib.suppress(ActivityError):
                    await self._read_ticket(self.news.pop(0))
            elif self.claim.status is Status.AWAITING_CREDIT and self.lines_unseen:
                await self._match()
            elif self.claim.is_to_be_sent:
                await self._file()
            elif self.claim.is_reply_under_way:
                await self._follow_reply()
            else:
                await self._wait()
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await self._wait_out(error)

    async def _triage(self) -> None:
        since = self.claim.status_since
        request = TriageRequest(claim=self.claim, now=workflow.now())
        handle = workflow.start_activity_method(
            Customers.triage, request, summary="Ask Microsoft, decide the route", **READ
        )
        # Whoever withdraws the claim must not have to wait until Microsoft answers.
        await workflow.wait_condition(lambda: handle.done() or self.claim.status is not Status.TRIAGING)
        if await _called_back(handle):
            return
        found = await handle
        async with self.lock:
            if self.claim.status is Status.TRIAGING and self.claim.status_since == since:
                await self._apply(lifecycle.triaged(self.claim, found))

    async def _read_ticket(self, news: TicketNews) -> None:
        filing = self.claim.filing
        if filing is None or filing.number != news.ticket_number:
            return
        if filing.ticket and filing.ticket.fingerprint == news.fingerprint:
            return
        found = await self._look_up(filing.number)
        async with self.lock:
            if self.claim.filing and self.claim.filing.number == news.ticket_number:
                await self._apply_if_any(lifecycle.ticket_seen(self.claim, found, workflow.now()))

    async def _file(self) -> None:
        """Claimdesk files the ticket in Azure: on record before it is sent, then sent and looked for until it is clear
        what came of it, or until somebody decides otherwise."""
        async with self.lock:
            if self.claim.is_to_be_sent and self.claim.filing is None:
                await self._apply(lifecycle.sent(self.claim, workflow.now()))
        claim = self.claim
        if not claim.is_to_be_sent:
            return
        request = FileAzureTicket(claim=claim, workspace=f"files-{workflow.uuid4().hex}")
        handle = workflow.start_activity_method(AzureTickets.file, request, summary="File the ticket in Azure", **FILE)
        if not await self._meanwhile(handle, lambda: self._is_sending(claim)):
            return
        found = await handle
        async with self.lock:
            if self._is_sending(claim):
                if found.refused:
                    await self._apply(lifecycle.refused_ticket(self.claim, found.refused))
                else:
                    ticket = TicketLookup(ticket=found.ticket)
                    await self._apply_if_any(lifecycle.ticket_seen(self.claim, ticket, workflow.now()))

    def _is_sending(self, claim: Claim) -> bool:
        return self.claim.is_to_be_sent and self.claim.filing == claim.filing

    async def _follow_reply(self) -> None:
        """Azure accepted our reply; whether it took it is told later."""
        under_way, where = self.claim.reply_under_way, azure_subscription(self.claim)
        assert under_way is not None, "else there is nothing to follow"
        assert where is not None, "only a reply in Azure is under way"
        follow = FollowAzureReply(where=where, under_way=under_way)
        handle = workflow.start_activity_method(
            AzureTickets.follow_reply, follow, summary="See whether Azure took our reply", **FILE
        )
        if not await self._meanwhile(handle, lambda: self._is_following(under_way)):
            return
        outcome = await handle
        async with self.lock:
            if self._is_following(under_way):
                await self._apply(lifecycle.reply_taken(self.claim, outcome.refused))

    def _is_following(self, under_way: str) -> bool:
        return self.claim.is_reply_under_way and self.claim.reply_under_way == under_way

    async def _meanwhile(self, work: workflow.ActivityHandle[Any], goes_on: Callable[[], bool]) -> bool:
        """What else happens to the claim while work of minutes is done. False where that made the work pointless: it is
        called back, and nobody waits for it any more."""
        while not work.done() and goes_on():
            if self.news:
                with contextlib.suppress(ActivityError):
                    await self._read_ticket(self.news.pop(0))
            else:
                await self._wait(work.done)
        return not await _called_back(work)

    async def _look_up(self, number: str) -> TicketLookup:
        look_up = LookUpTicket(
            number=number,
            customer_id=self.claim.opening.customer_id,
            is_azure=self.claim.route is Route.AZURE_TICKET,
            azure=azure_subscription(self.claim),
            others=self.claim.other_azure_subscriptions,
        )
        return await workflow.execute_activity_method(
            Tickets.look_up, look_up, summary="Read the ticket back", **WITHIN_UPDATE
        )

    async def _match(self) -> None:
        self.lines_unseen = False
        async with self.lock:
            # Under the lock: a person's allocation in between would be undone by an older answer.
            if self.claim.status is Status.AWAITING_CREDIT:
                found = await workflow.execute_activity_method(
                    Credits.match, MatchClaim(claim=self.claim), summary="Look for the credit line", **MATCH
                )
                await self._apply_if_any(settlement.matched(self.claim, found))

    async def _wait(self, is_done: Callable[[], bool] = lambda: False) -> None:
        """Until something happens to the claim, by itself or by somebody, or `is_done`."""
        seen = self.claim.version
        timer = next_timer(self.claim)

        def something_happened() -> bool:
            return self.claim.version != seen or bool(self.news) or self._has_lines_to_see() or is_done()

        if timer is None:
            await workflow.wait_condition(something_happened)
            return
        remaining = timer.at - workflow.now()
        if remaining.total_seconds() > 0:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(something_happened, timeout=remaining, timeout_summary=timer.summary)
                return
        async with self.lock:
            if next_timer(self.claim) == timer:
                await self._apply(lifecycle.timed(self.claim, timer))

    def _has_lines_to_see(self) -> bool:
        return self.claim.status is Status.AWAITING_CREDIT and self.lines_unseen

    async def _wait_out(self, error: ActivityError) -> None:
        """Work that keeps failing is shown to the operators and tried again later, or once something happens."""
        self.lines_unseen = True
        cause = error.cause if isinstance(error.cause, FailureError) else error
        workflow.set_current_details(f"{page(self.claim)}\n\n**Stuck** {cause.message}")
        workflow.logger.warning("work failed, tried again later: %s", error.activity_type)
        seen, heard = self.claim.version, len(self.news)
        timer = next_timer(self.claim)
        # Time goes on: a deadline that passes meanwhile isn't put off.
        pause = min(RETRY_TROUBLE_AFTER, max(timer.at - workflow.now(), timedelta())) if timer else RETRY_TROUBLE_AFTER
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self.claim.version != seen or len(self.news) != heard,
                timeout=pause,
                timeout_summary=f"Try {error.activity_type} again",
            )
        workflow.set_current_details(page(self.claim))

    async def _cancelled(self) -> None:
        # An operator cancelled the run in Temporal: the record must not go on saying that the claim is open.
        text = "Cancelled by an operator in Temporal."
        async with self.lock:
            if self.claim.version == 0:
                self.not_opened = ApplicationError(text, type="cancelled", non_retryable=True)
            elif not self.claim.status.is_closed:
                await self._apply(Change(Event.WITHDRAW, Status.WITHDRAWN, text, {"closing_reason": text}))
        await workflow.wait_condition(workflow.all_handlers_finished)

    # How anything happens

    async def _apply(
        self, change: Change, command: Command | None = None, update_id: str = "", actor: Actor | None = None
    ) -> None:
        """Make the change, recorded before anybody can see it. The caller holds the lock."""
        actor = command.actor if command else actor
        after, entry = lifecycle.apply(self.claim, change, workflow.now(), actor)
        if command:
            after = lifecycle.remember(after, update_id, command.request_hash, change.result)
        await workflow.execute_activity_method(
            ClaimRecording.record_claim,
            RecordClaim(claim=after, entry=entry),
            summary=f"Record {change.event}",
            **RECORD,
        )
        before, self.claim = self.claim, after
        if after.status is Status.AWAITING_CREDIT and before.status is not Status.AWAITING_CREDIT:
            self.lines_unseen = True
        if updates := attribute_updates(before, after):
            workflow.upsert_search_attributes(updates)
        workflow.set_current_details(page(after))

    async def _apply_if_any(self, change: Change | None) -> None:
        if change:
            await self._apply(change)

    def check(self, event: Event, command: Command) -> None:
        """Raise where the table, a guard or the role doesn't allow the request, unless it was answered before."""
        if self._answered() is None and (why := refusal(self.claim, event, command.actor)):
            raise refused(why)

    def _answered(self) -> Answer | None:
        # Temporal knows a repeated id within one run only; the claim, across them.
        update = workflow.current_update_info()
        return self.claim.answers.get(update.id) if update else None

    async def _act(self, event: Event, command: Command, work: Callable[[], Change | Awaitable[Change]]) -> Answer:
        """One request of a person: once, in turn, checked again when its turn comes."""
        update = workflow.current_update_info()
        assert update is not None, "only updates call this"
        await self._until_opened()
        async with self.lock:
            if known := self._answered():
                return known
            self.check(event, command)
            try:
                made = work()
                change = await made if inspect.isawaitable(made) else made
                await self._apply(change, command, update.id)
            except Refused as error:
                raise refused(error.refusal) from error
            except ActivityError as error:
                # An allocation may have been made all the same: matching reads what is.
                self.lines_unseen = True
                raise answerable(error) from error
        return self.claim.answers[update.id]

    # What people ask

    @workflow.update(description="Is the claim recorded? Answers once it is.")
    async def opened(self, question: Opened) -> Answer:
        """The answer to whoever opened the claim."""
        await self._until_opened()
        claim = self.claim
        return Answer(claim_id=claim.id, version=claim.version, status=claim.status, request_hash=claim.request_hash)

    @asked(Event.ATTACH_EVIDENCE, "Attach a document that is in the blob store; it is checked before it counts.")
    async def attach_evidence(self, command: AttachEvidence) -> Answer:
        return await self._act(Event.ATTACH_EVIDENCE, command, lambda: self._attach(command))

    async def _attach(self, command: AttachEvidence) -> Change:
        if why := lifecycle.document_refusal(self.claim, command.document, command.at_most):
            raise Refused(why)
        is_outage = self.claim.opening.category is Category.SERVICE_OUTAGE
        domains = self.claim.customer_domains if is_outage else ()
        await workflow.execute_activity_method(
            Evidence.check_document,
            CheckDocument(document=command.document, tenant_domains=domains),
            summary=f"Check the {command.document.kind}",
            **WITHIN_UPDATE,
        )
        return lifecycle.attached(self.claim, command.document)

    @asked(Event.REVOKE_EVIDENCE, "Take a document off the checklist; its content is kept.")
    async def revoke_evidence(self, command: RevokeEvidence) -> Answer:
        return await self._act(Event.REVOKE_EVIDENCE, command, lambda: lifecycle.revoked(self.claim, command))

    @asked(Event.RECORD_FILING, "Record the number of the ticket filed in the portal, or correct it; it is read back.")
    async def record_filing(self, command: RecordFiling) -> Answer:
        async def work() -> Change:
            found = await self._look_up(command.ticket_number)
            return lifecycle.filed(self.claim, command, found, workflow.now())

        return await self._act(Event.RECORD_FILING, command, work)

    @asked(Event.FILE_TICKET, "Have claimdesk file the ticket in Azure, or try again what Microsoft refused.")
    async def file_ticket(self, command: FileTicket) -> Answer:
        return await self._act(Event.FILE_TICKET, command, lambda: lifecycle.to_be_sent(self.claim, command))

    @asked(Event.REPLY, "Answer Microsoft's question with a note on the ticket.")
    async def reply(self, command: Reply) -> Answer:
        async def work() -> Change:
            assert self.claim.filing is not None, "a question came on a ticket"
            number, where = self.claim.filing.number, azure_subscription(self.claim)
            if where is not None:
                message = ReplyToAzureTicket(
                    where=where, number=number, text=command.text, key=lifecycle.reply_key(self.claim)
                )
                sent = await workflow.execute_activity_method(
                    AzureTickets.reply, message, summary="Write the message on the ticket", **SEND
                )
                return lifecycle.replied(self.claim, command, sent.ticket, sent.under_way)
            note = ReplyToTicket(number=number, text=command.text, customer_id=self.claim.opening.customer_id)
            ticket = await workflow.execute_activity_method(
                Tickets.reply, note, summary="Add the note to the ticket", **SEND
            )
            return lifecycle.replied(self.claim, command, ticket)

        return await self._act(Event.REPLY, command, work)

    @asked(Event.RECORD_DECISION, "Record Microsoft's decision: approved, approved in part, denied.")
    async def record_decision(self, command: RecordDecision) -> Answer:
        return await self._act(
            Event.RECORD_DECISION, command, lambda: settlement.decided(self.claim, command, workflow.now())
        )

    @asked(Event.ALLOCATE_CREDIT, "Give the claim an invoice line, or an amount of it.")
    async def allocate_credit(self, command: AllocateCredit) -> Answer:
        async def work() -> Change:
            line = AllocateLine(
                claim=self.claim,
                line_id=command.line_id,
                amount=command.amount,
                allocation_id=f"alloc-{workflow.uuid4().hex[:16]}",
            )
            allocation = await workflow.execute_activity_method(
                Credits.allocate, line, summary="Allocate the line", **WITHIN_UPDATE
            )
            return settlement.allocated(self.claim, allocation)

        return await self._act(Event.ALLOCATE_CREDIT, command, work)

    @asked(Event.RELEASE_CREDIT, "Take an allocation back; another claim can have the line.")
    async def release_credit(self, command: ReleaseCredit) -> Answer:
        async def work() -> Change:
            change = settlement.released(self.claim, command)
            release = ReleaseLine(claim_id=self.claim.id, allocation_id=command.allocation_id)
            await workflow.execute_activity_method(
                Credits.release, release, summary="Take the line back", **WITHIN_UPDATE
            )
            return change

        return await self._act(Event.RELEASE_CREDIT, command, work)

    @asked(Event.WRITE_OFF, "Stop waiting for the rest of the money.")
    async def write_off(self, command: WriteOff) -> Answer:
        return await self._act(Event.WRITE_OFF, command, lambda: settlement.written_off(self.claim, command))

    @asked(Event.DISPUTE, "Take a credit that didn't come, or came wrong, back to Microsoft.")
    async def dispute(self, command: Dispute) -> Answer:
        return await self._act(Event.DISPUTE, command, lambda: settlement.disputed(self.claim, command))

    @asked(Event.ASSIGN, "Give the claim to a colleague, or to nobody.")
    async def assign(self, command: Assign) -> Answer:
        return await self._act(Event.ASSIGN, command, lambda: lifecycle.assigned(self.claim, command))

    @asked(Event.WITHDRAW, "End the claim.")
    async def withdraw(self, command: Withdraw) -> Answer:
        return await self._act(Event.WITHDRAW, command, lambda: lifecycle.withdrawn(self.claim, command))

    @asked(Event.REOPEN, "Take a closed claim up again.")
    async def reopen(self, command: Reopen) -> Answer:
        return await self._act(Event.REOPEN, command, lambda: lifecycle.reopened(self.claim, command))

    @asked(Event.FILE_AS_EXCEPTION, "File although no rule grants it, or although the deadline has passed.")
    async def file_as_exception(self, command: FileAsException) -> Answer:
        return await self._act(Event.FILE_AS_EXCEPTION, command, lambda: lifecycle.excepted(self.claim, command))

    @asked(Event.CHECK_AGAIN, "Ask Microsoft again how the subscription stands.")
    async def check_again(self, command: CheckAgain) -> Answer:
        return await self._act(Event.CHECK_AGAIN, command, lambda: lifecycle.checked_again(self.claim, command))

    # What the sweeps say

    @workflow.signal(description="A sweep saw the claim's ticket change.")
    def ticket_changed(self, news: TicketNews) -> None:
        """Read in its turn; repeats are dropped then."""
        self.news.append(news)

    @workflow.signal(description="A sweep saw invoice lines, or an invoice without one.")
    def credits_changed(self, news: CreditNews) -> None:
        """Looked at in its turn."""
        self.lines_unseen = True


async def _called_back(work: workflow.ActivityHandle[Any]) -> bool:
    """Whether something else happened before the work was done; then nobody waits for it any more."""
    if work.done():
        return False
    work.cancel()
    with contextlib.suppress(ActivityError):
        await work
    return True
