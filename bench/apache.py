"""Apache's part: its binary, and a configuration with mod_dav and nothing it can do without."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
from pathlib import Path

MODULES = Path(os.environ.get("APACHE_MODULES", "/usr/lib/apache2/modules"))
_LOADED = (
    *("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic"),
    *("dav", "dav_fs"),
)
_UNPRIVILEGED = "www-data"

_CONFIGURATION = """\
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
ServerRoot "{folder}"
PidFile "{folder}/pid"
ErrorLog /dev/stderr
LogLevel error
{modules}
{user}
ServerLimit 2
StartServers 2
ThreadLimit 256
ThreadsPerChild 256
MaxRequestWorkers 512
MinSpareThreads 1
MaxSpareThreads 512
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
EnableSendfile On
DocumentRoot "{folder}/data"
DavLockDB "{folder}/locks/db"
<Directory "{folder}/data">
    Dav On
    AllowOverride None
    AuthType Basic
    AuthName bench
    AuthBasicProvider file
    AuthUserFile "{folder}/passwd"
    Require valid-user
</Directory>
"""


def find_binary() -> str:
    """Where Apache is, or ``""`` when it or its mod_dav is missing."""
    found = shutil.which("apache2", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return found if found and (MODULES / "mod_dav.so").is_file() else ""


def write_password_file(path: Path, user: str, password: str) -> None:
    """An htpasswd file in the stored form that is cheapest to check, as is fair to a peer."""
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest())
    path.write_text(f"{user}:{{SHA}}{digest.decode()}\n")


def write_configuration(folder: Path, user: str, password: str) -> int:
    """Write ``folder/conf`` and what it names; returns the port it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    write_password_file(folder / "passwd", user, password)
    for name in ("data", "locks"):
        (folder / name).mkdir(exist_ok=True)
        if os.geteuid() == 0:  # Apache refuses to serve as root
            shutil.chown(folder / name, _UNPRIVILEGED, _UNPRIVILEGED)
    (folder / "conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            modules="\n".join(f"LoadModule {n}_module {MODULES}/mod_{n}.so" for n in _LOADED),
            user=f"User {_UNPRIVILEGED}\nGroup {_UNPRIVILEGED}" if os.geteuid() == 0 else "",
        )
    )
    return port
