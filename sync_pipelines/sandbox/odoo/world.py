"""The state of one Odoo database in memory, and what staff, time and accidents do to it."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sync_pipelines.sandbox.clock import Clock
from sync_pipelines.sandbox.odoo import dates
from sync_pipelines.sandbox.odoo.access import ApiKey, User
from sync_pipelines.sandbox.odoo.calling import OPEN, READS
from sync_pipelines.sandbox.odoo.environment import Env
from sync_pipelines.sandbox.odoo.external_ids import ExternalIds, ModelData
from sync_pipelines.sandbox.odoo.records import Model
from sync_pipelines.sandbox.odoo.registry import MODELS
from sync_pipelines.sandbox.odoo.slow import Held, SlowWrite
from sync_pipelines.sandbox.odoo.stock import set_on_hand
from sync_pipelines.sandbox.odoo.tables import Journal
from sync_pipelines.sandbox.request_log import LoggedRequest

ROBOT = 1
"""Id of the user who does what nobody else is named for."""


@dataclass(slots=True)
class _Strike:
    call: re.Pattern[str]
    left: int


class OdooWorld:
    """One database. Change it by its methods, from any thread; each of them is a transaction.

    Arguments:
        clock: its time.
        database: name of the database.

    Attributes:
        models: by technical name; their ``table.rows`` may be looked at.
        users: by id.
        databases: all that the server has. With more than one, requests must name theirs.
        external_ids: look-ups of external ids.
        compares_whole_seconds: as Odoo 19 does in domains; older versions compare microseconds.
        latency_seconds: passes before each answer.
        requests: every request received, in order.
        calls: model and method of every call that was carried out, in order.
    """

    def __init__(self, clock: Clock | None = None, database: str = "shop") -> None:
        self.clock = clock or Clock()
        self.databases = [database]
        self.models: dict[str, Model] = {model.name: model() for model in MODELS}
        self.users: dict[int, User] = {ROBOT: User(ROBOT, "__system__", "OdooBot", 2, groups={"admin"}, active=False)}
        data = self.models["ir.model.data"]
        assert isinstance(data, ModelData)
        self.external_ids = ExternalIds(data)
        self.compares_whole_seconds = True
        self.latency_seconds = 0.0
        self.requests: list[LoggedRequest] = []
        self.calls: list[tuple[str, str]] = []
        self._held: list[Held] = []
        self._strikes: list[_Strike] = []
        self._hooks: list[tuple[re.Pattern[str], Callable[[], object]]] = []
        self._names: Counter[str] = Counter()
        self._lock = threading.RLock()

    @property
    def guard(self) -> threading.RLock:
        """Held while a call is answered; hold it to do several things at once."""
        return self._lock

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Those of :attr:`calls` that may have changed something."""
        return [call for call in self.calls if call[1] not in READS and call[1] not in OPEN]

    @property
    def languages(self) -> Mapping[str, bool]:
        """Whether languages are installed, by code."""
        return {row["code"]: row["active"] for row in self.models["res.lang"].table.rows.values()}

    # Transactions.

    @contextlib.contextmanager
    def transaction(self, user: User | None = None, context: Mapping[str, Any] | None = None) -> Iterator[Env]:
        """Do something all or nothing. Without a user rights are not asked for."""
        with self._lock:
            env = self.env(Journal(), user, context)
            try:
                yield env
            except BaseException:
                env.journal.undo()
                raise

    def env(self, journal: Journal, user: User | None = None, context: Mapping[str, Any] | None = None) -> Env:
        """Return the environment of a transaction that begins now."""
        now = dates.stored(self.clock.now())
        return Env(self, user or self.users[ROBOT], now, journal, dict(context or {}), is_superuser=user is None)

    def begin_slow_write(self) -> SlowWrite:
        """Begin a transaction that stays open until it is told to end. What it writes carries the time of this call,
        and is seen by nobody before its commit: by then it lies behind every cursor that moved on meanwhile."""
        return SlowWrite(self)

    def hold(self, call: str) -> Held:
        """Keep the transaction of the next HTTP call open.

        Arguments:
            call: regular expression searched for in ``model.method``, e.g. ``res.partner.create``.
        """
        held = Held(re.compile(call))
        self._held.append(held)
        return held

    def held(self, call: str) -> Held | None:
        """Return who holds this call, once."""
        found = next((held for held in self._held if held.call.search(call)), None)
        if found is not None:
            self._held.remove(found)
        return found

    def serialization_failures(self, times: int = 1, call: str = "") -> None:
        """Let the next calls that match ``model.method`` fail as after five tries in vain. Nothing of them is kept;
        ``load`` tells it as a message with HTTP status 200."""
        self._strikes.append(_Strike(re.compile(call), times))

    def strikes(self, model: str, method: str) -> bool:
        """Whether a serialization failure hits this call; counts it."""
        for strike in self._strikes:
            if strike.left and strike.call.search(f"{model}.{method}"):
                strike.left -= 1
                return True
        return False

    def after(self, call: str, action: Callable[[], object]) -> None:
        """Do something once, right after the next call that matches ``model.method`` was answered."""
        self._hooks.append((re.compile(call), action))

    def answered(self, model: str, method: str) -> None:
        """Do what was to happen after this call."""
        for hook in [hook for hook in self._hooks if hook[0].search(f"{model}.{method}")]:
            self._hooks.remove(hook)
            hook[1]()

    # What staff do.

    def create(self, model: str, **values: Any) -> int:
        """Create a record and return its id."""
        with self.transaction() as env:
            return env[model].create(env, [values])[0]

    def write(self, model: str, record: int, **values: Any) -> None:
        """Change a record; even without values its ``write_date`` moves."""
        with self.transaction() as env:
            env[model].write(env, [record], values)

    def unlink(self, model: str, *records: int) -> None:
        """Remove records for good."""
        with self.transaction() as env:
            env[model].unlink(env, list(records))

    def call(self, model: str, method: str, *records: int, **arguments: Any) -> Any:
        """Press a button, e.g. ``call("sale.order", "action_confirm", 7)``."""
        with self.transaction() as env:
            return getattr(env[model], method)(env, list(records), **arguments)

    def read(self, model: str, record: int, *fields: str) -> dict[str, Any]:
        """Return a record as the API tells it."""
        with self.transaction() as env:
            return env[model].read(env, [record], list(fields))[0]

    def find(self, model: str, *domain: Any) -> list[int]:
        """Return ids by a domain, archived records too, by ascending id."""
        with self.transaction(context={"active_test": False}) as env:
            return env[model].search(env, list(domain), order="id")

    def rows(self, model: str) -> list[dict[str, Any]]:
        """Return all records, archived ones too, with the fields that are kept."""
        with self.transaction(context={"active_test": False}) as env:
            names = [name for name, field in env[model].fields.items() if field.is_column]
            return env[model].search_read(env, [], names, order="id")

    def set_stock(self, product: int, quantity: float) -> None:
        """Count and apply the stock of a variant; its ``write_date`` does not move."""
        with self.transaction() as env:
            set_on_hand(env, product, quantity)

    # Users.

    def add_user(self, login: str, name: str, *groups: str, password: str = "") -> User:
        """Add somebody who may log in, with a partner of the same name.

        Arguments:
            groups: see :class:`sync_pipelines.sandbox.odoo.access.User`.
        """
        with self.transaction() as env:
            email = login if "@" in login else False
            partner = env["res.partner"].create(env, [{"name": name, "email": email}])[0]
            users = env["res.users"]
            row = users.create(env, [{"login": login, "name": name, "partner_id": partner}])[0]
            return self.known_user(row, login, name, partner, password, *groups)

    def known_user(self, row: int, login: str, name: str, partner: int, password: str, *groups: str) -> User:
        """Let the user of a row in ``res.users`` log in."""
        user = self.users[row] = User(row, login, name, partner, password, set(groups))
        return user

    def add_key(self, user: User, key: str = "", *, expires_at: float | None = None) -> str:
        """Give a user an API key: 40 hexadecimal digits unless it is told."""
        made = ApiKey(key or secrets.token_hex(20), expires_at)
        user.keys.append(made)
        return made.key

    def revoke(self, key: str) -> None:
        """Take a key away."""
        for user in self.users.values():
            user.keys = [one for one in user.keys if one.key != key]

    def user_of(self, key: str) -> User | None:
        """Return whose valid key this is."""
        now = self.clock.now()
        for user in self.users.values():
            for one in user.keys:
                if one.key == key and user.active and (one.expires_at is None or now < one.expires_at):
                    return user
        return None

    def opens(self, user: User, secret: str) -> bool:
        """Whether a password, or a key in its place, is right."""
        return user.active and bool(secret) and (secret == user.password or self.user_of(secret) is user)

    def next_name(self, prefix: str) -> str:
        """Return the next number of a sequence; numbers of transactions that failed are lost."""
        self._names[prefix] += 1
        return f"{prefix}{self._names[prefix]:05d}"

    def is_used(self, product: int) -> bool:
        """Whether a variant may no longer be removed."""
        return any(self.models[name].table.having("product_id", product) for name in ("stock.move", "sale.order.line"))
