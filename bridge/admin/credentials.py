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
    """Make a credential; its secret is in this answer only."""
    new = administration.create_credential(
        asked.tenant,
        sent.label,
        rights=rights_of(sent.rights),
        root=sent.root,
        expires=sent.expires,
    )
    shown = CredentialMade(credential=CredentialOutput.of(new.credential), secret=new.secret)
    # Without a location: a credential is listed and revoked, and not asked for by itself.
    return Answer(201, shown.model_dump_json().encode(), tenant=asked.tenant)


def every(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """List a tenant's credentials."""
    credentials = map(CredentialOutput.of, administration.credentials(asked.tenant))
    return answer(CredentialsOutput(credentials=list(credentials)))


def revoke(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """Revoke a credential: nobody can sign in with it any more."""
    tenant, _, label = asked.credential.partition(".")
    if tenant != asked.tenant:
        administration.tenant(asked.tenant)  # which is what is missing, if it is
        raise NoSuchCredential
    administration.revoke_credential(asked.tenant, label)
    return Answer(204)
