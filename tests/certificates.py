"""Certificates of a cluster that exists in tests only, and of a stranger. They are valid for a hundred years."""

from pathlib import Path

from gitbatch.project.cluster import TlsTable

CA = """\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR2gAwIBAgIUJNhv2XQUE9fzFqijwWIQs78zLG4wCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFdGVzdHMwIBcNMjYxMTI4MDE0ODEyWhgPMjEyNjExMDQwMTQ4
MTJaMBAxDjAMBgNVBAMMBXRlc3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
VEmh6jkL6Bv7D9AkMvPD43kU0nhAZa9bgk3hdI1fmBBAZEz1Fi9pwwSy5aXOAQBx
Vje42jFj/cO09Wpha25IXKNTMFEwHQYDVR0OBBYEFPF8Qu2LFINepI6tz7Icqhtc
ks+ZMB8GA1UdIwQYMBaAFPF8Qu2LFINepI6tz7Icqhtcks+ZMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgCG/v4AF0JeIRTvOH2k+jG6XNTDFx1mHB
PmDBrQaHtrwCIQDAnIihGbhYDEDsVW7ElVO7wGyQtUCixo0LrVzF2PDUIw==
-----END CERTIFICATE-----
"""
NODE = """\
-----BEGIN CERTIFICATE-----
MIIBGzCBwgIUIZEi5Zfvw4x03jUIBV+SNmoNZvowCgYIKoZIzj0EAwIwEDEOMAwG
A1UEAwwFdGVzdHMwIBcNMjYxMTI4MDE0ODEyWhgPMjEyNjExMDQwMTQ4MTJaMA8x
DTALBgNVBAMMBG5vZGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARtvzksX24z
osTgnTPN+WEV7BSvEZzKXSsFvwA7ppcfZZW7ckJ0kjwnKlnAXGNAjnaK18QHPIAO
X+jeJKIGptA/MAoGCCqGSM49BAMCA0gAMEUCIGvJBeF5zaWZRpDU56HPUA/KE0vA
WLX/fN+kEHJKb2anAiEAlrGb4oGXaYVY665i58jBAv7nMLgVu6FQNQf2Y+5ofhs=
-----END CERTIFICATE-----
"""
NODE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0U3HtruHXjDEOXlh
1mwF8DA5nVNkLXhe0fn8BW5LM+2hRANCAARtvzksX24zosTgnTPN+WEV7BSvEZzK
XSsFvwA7ppcfZZW7ckJ0kjwnKlnAXGNAjnaK18QHPIAOX+jeJKIGptA/
-----END PRIVATE KEY-----
"""
STRANGER = """\
-----BEGIN CERTIFICATE-----
MIIBfjCCASOgAwIBAgIUZv4OgQq5b+Szo9Jo/E/fF0SsO0kwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIc3RyYW5nZXIwIBcNMjYxMTI4MDE0ODEyWhgPMjEyNjExMDQw
MTQ4MTJaMBMxETAPBgNVBAMMCHN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEQPSNMWGQpYuIDEKd+z+r3ZE9MqqtR4xkIFyMu8/O6CjFgZm9Wimr0ZTT
Rscrdl6XARryB4rVjbWbkmj3cb4vHaNTMFEwHQYDVR0OBBYEFMaMhjrv3Ylzli5e
e653YVtpG3AZMB8GA1UdIwQYMBaAFMaMhjrv3Ylzli5ee653YVtpG3AZMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAJbJt+/FvYM43hhFOxZr+I+P
g6KQFA1z8Kl9Fk/1EOMxAiEAgHgDLDLKZxTUq4Nwq7YuEu+CORdAtwZFhibU+D3n
7tc=
-----END CERTIFICATE-----
"""
STRANGER_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeUfGb/75x37YJaur
IfRvO58MO2i49OP4yWtkA5Fyv9uhRANCAARA9I0xYZCli4gMQp37P6vdkT0yqq1H
jGQgXIy7z87oKMWBmb1aKavRlNNGxyt2XpcBGvIHitWNtZuSaPdxvi8d
-----END PRIVATE KEY-----
"""


def write_certificates(folder: Path) -> TlsTable:
    """Write the files of a cluster: its authority, and the certificate and key of every machine of it."""
    return _write(folder, NODE, NODE_KEY)


def write_stranger(folder: Path) -> TlsTable:
    """Write the files of one who knows the cluster's authority, and has a certificate that it has not signed."""
    return _write(folder, STRANGER, STRANGER_KEY)


def _write(folder: Path, cert: str, key: str) -> TlsTable:
    folder.mkdir(exist_ok=True)
    files = {"ca.pem": CA, "cert.pem": cert, "key.pem": key}
    for name, text in files.items():
        (folder / name).write_text(text)
    return TlsTable(*(str(folder / name) for name in files))
