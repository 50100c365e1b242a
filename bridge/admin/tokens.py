"""Tokens of this API: made, listed, revoked."""

from __future__ import annotations

from bridge.admin.asked import Answer, Asked, answer, made
from bridge.admin.models import Nothing, TokenMade, TokenOutput, TokensOutput, TokenToMake
from bridge.tenants.api import Administration


def create(administration: Administration, _asked: Asked, sent: TokenToMake) -> Answer:
    """Make a token; its text is in this answer only."""
    new = administration.create_token(sent.label, tenant_id=sent.tenant, expires=sent.expires)
    shown = TokenMade(token=TokenOutput.of(new.token), text=new.text)
    return made(shown, f"/tokens/{new.token.id}", sent.tenant or "")


def every(administration: Administration, _asked: Asked, _sent: Nothing) -> Answer:
    """List all tokens."""
    return answer(TokensOutput(tokens=list(map(TokenOutput.of, administration.tokens()))))


def revoke(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """Revoke a token: nobody can come in with it any more."""
    administration.revoke_token(asked.token)
    return Answer(204)
