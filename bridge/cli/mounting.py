"""How to mount the bridge, in the words of each client."""

from __future__ import annotations

from urllib.parse import urlsplit


def how_to_mount(url: str, username: str, password: str) -> str:
    """What ``demo`` prints; ``url`` is the WebDAV root."""
    parts = urlsplit(url)
    dav = f"{'davs' if parts.scheme == 'https' else 'dav'}://"
    secure = "" if parts.scheme == "https" else " (for http, untick Secure https://)"
    return f"""\
WebDAV URL   {url}
User name    {username}
Password     {password}

curl         curl -u {username}:{password} -T FILE {url}
             curl -u {username}:{password} -O {url}FILE
Nextcloud    Settings > Administration > External storage > WebDAV:
             URL {parts.netloc}{parts.path}{secure}, user name and password as above;
             for a server on this machine first:
             occ config:system:set allow_local_remote_servers --value=true --type=boolean
Finder       Go > Connect to Server (Cmd-K): {url}
Windows      net use * {url} /user:{username} {password}
             (plain http first needs BasicAuthLevel=2 in the WebClient service's registry key)
Cyberduck    Open Connection > WebDAV, or the address {dav}{username}@{parts.netloc}{parts.path}
davfs2       sudo mount -t davfs -o uid=$(id -u) {url} /mnt
             (Linux 6.16 and later: first "buf_size 256" in /etc/davfs2/davfs2.conf)
rclone       rclone lsf --webdav-url {url} --webdav-user {username} \\
             --webdav-pass "$(rclone obscure -- {password})" :webdav:
"""
