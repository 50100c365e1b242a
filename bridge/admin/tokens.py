"""Tokens of this API: made, listed, revoked."""

from __future__ import annotations

from bridge.admin.asked import Answer, Asked, answer
from bridge.admin.models import Nothing, TokenMade, TokenOutput, TokensOutput, TokenToMake
from bridge.tenants.api import Administration


def create(administration: Administration, _asked: Asked, sent: TokenToMake) -> Answer:
    """Make one; its text is in this answer only."""
    made = administration.create_token(sent.label, tenant_id=sent.tenant, expires=sent.expires)
    shown = TokenMade(token=TokenOutput.of(made.token), text=made.text)
    return answer(shown, 201, location=f"/tokens/{made.token.id}")


def every(administration: Administration, _asked: Asked, _sent: Nothing) -> Answer:
    """All."""
    return answer(TokensOutput(tokens=list(map(TokenOutput.of, administration.tokens()))))


def revoke(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """Let nobody come in with it any more."""
    administration.revoke_token(asked.token)
    return Answer(204)
