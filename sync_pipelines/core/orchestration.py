"""Syncs that people start: their life as a table, what they may ask for, and how far they are.

The states, the names of the settings and their limits are those of the sync orchestrator's guide. A sync that ended
with something left over may be resumed: once a person has settled its conflicts, or mended what failed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sync_pipelines.core.conflicts import MAX_RETRIES, MOST_RETRIES

MOST_ACTIVE = 5
"""Syncs of an organization that wait or work at the same time."""
REQUESTS_PER_MINUTE = 10
"""Requests of an organization about its syncs."""


class Status(StrEnum):
    """Where a sync stands."""

    DRAFT = "draft"
    """Stored, and carried out by nobody until somebody starts it."""
    QUEUED = "queued"
    """Waits for a worker."""
    PROCESSING = "processing"
    PAUSED = "paused"
    DONE = "done"
    """Nothing failed and nothing was skipped."""
    PARTIAL = "partial"
    """It came to its end, and something is left over."""
    FAILED = "failed"
    """It could not be carried out."""
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What can happen to a sync: asked for by people, or done by its worker."""

    START = "start"
    BEGIN = "begin"
    """A worker takes it up, or takes it over from one that is gone."""
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    FINISH = "finish"
    LEAVE_OVER = "leave_over"
    FAIL = "fail"


STEPS: dict[tuple[Status, Step], Status] = {
    (Status.DRAFT, Step.START): Status.QUEUED,
    (Status.DRAFT, Step.CANCEL): Status.CANCELLED,
    (Status.QUEUED, Step.BEGIN): Status.PROCESSING,
    (Status.QUEUED, Step.PAUSE): Status.PAUSED,
    (Status.QUEUED, Step.CANCEL): Status.CANCELLED,
    (Status.PROCESSING, Step.BEGIN): Status.PROCESSING,
    (Status.PROCESSING, Step.PAUSE): Status.PAUSED,
    (Status.PROCESSING, Step.CANCEL): Status.CANCELLED,
    (Status.PROCESSING, Step.FINISH): Status.DONE,
    (Status.PROCESSING, Step.LEAVE_OVER): Status.PARTIAL,
    (Status.PROCESSING, Step.FAIL): Status.FAILED,
    (Status.PAUSED, Step.RESUME): Status.QUEUED,
    (Status.PAUSED, Step.CANCEL): Status.CANCELLED,
    (Status.PARTIAL, Step.RESUME): Status.QUEUED,
    (Status.FAILED, Step.RESUME): Status.QUEUED,
}
"""(status, step) -> next status. Anything else cannot happen."""

ACTIVE = frozenset({Status.QUEUED, Status.PROCESSING})
"""What counts against the limit of an organization."""
OVER = frozenset({Status.DONE, Status.PARTIAL, Status.FAILED, Status.CANCELLED})


_ANYTIME = (Step.START, Step.RESUME, Step.CANCEL)


class IllegalStep(ValueError):
    """This cannot happen to a sync in this status."""


def take(status: Status, step: Step) -> Status:
    """Return the status after a step.

    Raises:
        IllegalStep: the table has no such entry; the message names the steps that there are.
    """
    try:
        return STEPS[status, step]
    except KeyError:
        possible = [known for before, known in STEPS if before is status and known in _ANYTIME]
        hint = f"; it can {' or '.join(possible)}" if possible else ""
        raise IllegalStep(f"a sync that is {status} cannot {step}{hint}") from None


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {Status.DRAFT}"]
    return "\n".join(lines + [f"    {one} --> {two}: {step}" for (one, step), two in STEPS.items() if one != two])


class Activity(StrEnum):
    """Milestones in the activity log."""

    SYNC_STARTED = "SYNC_STARTED"
    NO_ITEMS_TO_SYNC = "NO_ITEMS_TO_SYNC"
    BATCH_PROCESSED = "BATCH_PROCESSED"
    BATCH_ERROR = "BATCH_ERROR"
    SYNC_PAUSED = "SYNC_PAUSED"
    SYNC_RESUMED = "SYNC_RESUMED"
    SYNC_CANCELLED = "SYNC_CANCELLED"
    SYNC_ERROR = "SYNC_ERROR"
    SYNC_COMPLETED = "SYNC_COMPLETED"


class SyncSystem(StrEnum):
    """A system, in the order in which they are written to."""

    WOOCOMMERCE = "woocommerce"
    ODOO = "odoo"


class SyncEntity(StrEnum):
    """Kinds of records, in the order in which they are synchronized: an order needs its customer and its products."""

    CUSTOMERS = "customers"
    PRODUCTS = "products"
    INVENTORY = "inventory"
    ORDERS = "orders"
    PAYMENTS = "payments"


class ConflictStrategy(StrEnum):
    """What a sync does about conflicts that no owner of a field decides."""

    AUTO_RETRY = "auto-retry"
    """As in the decision table: some are looked at again, after growing waits."""
    MANUAL = "manual"
    """They wait for a person at once."""
    SKIP = "skip"
    """They wait as well, and whatever is wrong counts as skipped, not as failed."""


class _Strict(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)


class SyncConfig(_Strict):
    """How a sync goes about it. Names, defaults and limits are those of the guide.

    Attributes:
        batchSize: changes after which progress is noted and a pause is made.
        maxRetries: how often a record is tried again that failed for something that passes.
        rateLimit: changes a minute, over all syncs of the organization.
        interBatchDelayMs: pause between two batches; half of it between two systems.
    """

    # The names are those of the request, so that what is refused is called by the name that the caller knows.
    conflictStrategy: Annotated[ConflictStrategy, Field(strict=False)] = ConflictStrategy.AUTO_RETRY
    batchSize: int = Field(default=50, ge=1, le=200)
    maxRetries: int = Field(default=MAX_RETRIES, ge=0, le=MOST_RETRIES)
    rateLimit: int = Field(default=10, ge=1, le=50)
    interBatchDelayMs: int = Field(default=2000, ge=0, le=3_600_000)


class StartRequest(_Strict):
    """What is asked for when a sync is started.

    Attributes:
        shop: connection; may be left out by an organization that has one.
        idempotencyKey: a repeated request with the same key is answered with the sync that the first one started.
        draft: store the sync only; it is queued by a start or a resume that names it.
    """

    action: Literal["start"] = "start"
    systems: tuple[Annotated[SyncSystem, Field(strict=False)], ...] = Field(min_length=1, strict=False)
    entityTypes: tuple[Annotated[SyncEntity, Field(strict=False)], ...] = Field(min_length=1, strict=False)
    syncConfig: SyncConfig = SyncConfig()
    shop: str | None = None
    idempotencyKey: str | None = Field(default=None, min_length=1, max_length=200)
    draft: bool = False

    @field_validator("systems")
    @classmethod
    def _in_order_of_systems(cls, given: tuple[SyncSystem, ...]) -> tuple[SyncSystem, ...]:
        return tuple(one for one in SyncSystem if one in given)

    @field_validator("entityTypes")
    @classmethod
    def _in_order_of_entities(cls, given: tuple[SyncEntity, ...]) -> tuple[SyncEntity, ...]:
        return tuple(one for one in SyncEntity if one in given)


def in_words(error: ValidationError) -> str:
    """Return what is wrong with a request, in one line and without the values: they may be secret."""
    return "; ".join(f"{_place(one['loc']) or 'body'}: {one['msg']}" for one in error.errors(include_url=False))


def _place(where: Iterable[Any]) -> str:
    return ".".join(str(part) for part in where)


@dataclass(frozen=True, slots=True)
class Counts:
    """The records that a sync has to do with. ``total`` is the sum of the others.

    Attributes:
        processed: the system was told, and shows it.
        failed: it was tried in vain, or cannot be tried.
        skipped: left as it is: a person has to decide, or it moved while it was written.
        pending: not tried yet, or to be tried again.
    """

    processed: int = 0
    failed: int = 0
    skipped: int = 0
    pending: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.processed + self.failed + self.skipped + self.pending

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.processed + other.processed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.pending + other.pending,
        )

    @property
    def ends_with(self) -> Step:
        """How a sync ends that comes to its end with these: done only if nothing failed and nothing was skipped."""
        return Step.LEAVE_OVER if self.failed or self.skipped or self.pending else Step.FINISH


def percent_complete(processed: int, total: int) -> int:
    """Return ``round(100 * processed / total)``, halves rounded up; 0 of 0 is 0."""
    return (200 * processed + total) // (2 * total) if total else 0


def remaining_ms(counts: Counts, worked_seconds: float) -> int | None:
    """Estimate the time until nothing is pending: as long for each as it took for each of the processed.

    Returns ``None`` when nothing was processed yet: there is nothing to go by.
    """
    if not counts.pending:
        return 0
    return round(1000 * worked_seconds / counts.processed * counts.pending) if counts.processed else None
