"""Tokens of the admin API, as the state database keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select

from bridge.state.api import Rows, Transaction
from bridge.state.schema import tokens
from bridge.tenants.api import NoSuchToken, Token
from bridge.tenants.credential_rows import Digest
from bridge.tenants.tenant_rows import the_tenant


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token and what is kept of its secret."""

    token: Token
    digest: Digest


_COLUMNS = tuple(tokens.c[name] for name in (
    "id", "label", "tenant", "created", "expires", "salt", "digest",
))  # fmt: skip

_THIS = tokens.c.id == bindparam("token")
_ALL = select(*_COLUMNS).order_by(tokens.c.created, tokens.c.id)
_ONE = select(*_COLUMNS).where(_THIS)
_ADD = tokens.insert().values({column.name: bindparam(column.name) for column in _COLUMNS})
_DROP = delete(tokens).where(_THIS)


class TokenRows:
    """The tokens of all. Raises StateError besides what each method names."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def all(self) -> list[TokenRow]:
        """By their creation."""
        return [_token(row) for row in self._rows.ask(_ALL)]

    def find(self, token_id: str) -> TokenRow | None:
        """The token with this id, if there is one."""
        found = self._rows.ask(_ONE, token=token_id)
        return _token(found[0]) if found else None

    def add(self, row: TokenRow) -> None:
        """Raises NoSuchTenant."""
        token = row.token

        def add(transaction: Transaction) -> None:
            if token.tenant is not None:
                the_tenant(transaction, token.tenant)
            transaction.execute(
                _ADD,
                id=token.id,
                label=token.label,
                tenant=token.tenant,
                created=token.created,
                expires=token.expires,
                salt=row.digest.salt,
                digest=row.digest.digest,
            )

        self._rows.write(add)

    def drop(self, token_id: str) -> None:
        """Raises NoSuchToken."""
        changed = self._rows.write(lambda it: it.execute(_DROP, token=token_id).changed)
        if not changed:
            raise NoSuchToken(f"there is no token {token_id}")


def _token(row: Sequence[Any]) -> TokenRow:
    name, label, tenant, created, expires, salt, digest = row
    return TokenRow(Token(name, label, tenant, created, expires), Digest(salt, digest))
