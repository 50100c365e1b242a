"""Tenants: made, listed, shown, suspended, resumed, limited, deleted."""

from __future__ import annotations

from bridge.admin.asked import Answer, Asked, answer, made
from bridge.admin.models import (
    GrantReplaced,
    GrantToUse,
    Nothing,
    Purge,
    QuotaToSet,
    TenantMade,
    TenantOutput,
    TenantShown,
    TenantsOutput,
    TenantToMake,
    UsedOutput,
)
from bridge.tenants.api import Administration, NoSuchTenant


def create(administration: Administration, _asked: Asked, sent: TenantToMake) -> Answer:
    """Make a tenant; what opens its vault without the bridge is in this answer only."""
    root, own = _grants(sent)
    new = administration.create_tenant(
        sent.id,
        bucket=sent.bucket,
        quota=sent.quota,
        partner=sent.partner,
        root_grant=root,
        own_grant=own,
    )
    shown = TenantMade(
        tenant=TenantOutput.of(new.tenant),
        recovery_identity=new.recovery_identity,
        fingerprint=new.fingerprint,
        recovery_grant=new.recovery_grant,
    )
    return made(shown, f"/tenants/{new.tenant.id}", new.tenant.id)


def replace_grant(administration: Administration, asked: Asked, sent: GrantToUse) -> Answer:
    """Replace a tenant's grant; the recovery grant cut from the new one is in this answer only."""
    root, own = _grants(sent)
    new = administration.replace_grant(asked.tenant, root_grant=root, own_grant=own)
    shown = GrantReplaced(
        tenant=TenantOutput.of(new.tenant),
        recovery_grant=new.recovery_grant,
        former_works=new.former_works,
    )
    return answer(shown)


def every(administration: Administration, _asked: Asked, _sent: Nothing) -> Answer:
    """List all tenants."""
    tenants = [TenantOutput.of(tenant) for tenant in administration.tenants()]
    return answer(TenantsOutput(tenants=tenants))


def show(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """Show a tenant and what it holds."""
    tenant = TenantOutput.of(administration.tenant(asked.tenant))
    used = UsedOutput.of(administration.used(asked.tenant))
    return answer(TenantShown(tenant=tenant, used=used))


def suspend(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """Suspend a tenant: nobody can sign in, nothing is lost."""
    return answer(TenantOutput.of(administration.suspend(asked.tenant)))


def resume(administration: Administration, asked: Asked, _sent: Nothing) -> Answer:
    """Resume a tenant: its credentials work again."""
    return answer(TenantOutput.of(administration.resume(asked.tenant)))


def set_quota(administration: Administration, asked: Asked, sent: QuotaToSet) -> Answer:
    """Limit what a tenant may hold."""
    return answer(TenantOutput.of(administration.set_quota(asked.tenant, sent.quota)))


def delete(administration: Administration, asked: Asked, sent: Purge) -> Answer:
    """Delete a tenant; while there is something left to do, it is shown as deleting."""
    administration.delete_tenant(asked.tenant, purge=sent.purge)
    try:
        administration.tenant(asked.tenant)
    except NoSuchTenant:
        return Answer(204)
    return Answer(202)


def _grants(sent: GrantToUse) -> tuple[str | None, str | None]:
    """The root grant and the tenant's own, of which one is there."""
    root, own = sent.root_grant, sent.own_grant
    return (
        None if root is None else root.get_secret_value(),
        None if own is None else own.get_secret_value(),
    )
