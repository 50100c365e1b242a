"""A tenant's credentials: made, listed, revoked."""

from __future__ import annotations

from bridge.admin.asked import Answer, Asked, answer
from bridge.admin.models import (
    CredentialMade,
    CredentialOutput,
    CredentialsOutput,
    CredentialToMake,
    Nothing,
)
from bridge.admin.values import rights_of
from bridge.tenants.api import Administration, NoSuchCredential


def create(administration: Administration, asked: Asked, sent: CredentialToMake) -> Answer:
    """Make one; its secret is in this answer only."""
    made = administration.create_credential(
        asked.tenant,
        sent.label,
        rights=rights_of(sent.rights),
        root=sent.root,
        expires=sent.expires,
    )
    shown = CredentialMade(credential=CredentialOutput.of(made.credential), secret=made.secret)
    place = f"/tenants/{asked.tenant}/credentials/{made.credential.name}"
    return answer(shown, 201, location=place)


def every(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """All of the tenant."""
    credentials = map(CredentialOutput.of, administration.credentials(asked.tenant))
    return answer(CredentialsOutput(credentials=list(credentials)))


def revoke(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """Let nobody sign in with it any more."""
    tenant, _, label = asked.credential.partition(".")
    if tenant != asked.tenant:
        administration.tenant(asked.tenant)  # which is what is missing, if it is
        raise NoSuchCredential
    administration.revoke_credential(asked.tenant, label)
    return Answer(204)
