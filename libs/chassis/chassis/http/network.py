"""The client network of a request, which limits count."""

from ipaddress import ip_address, ip_network

from starlette.requests import HTTPConnection


def client_network(request: HTTPConnection) -> str:
    """Return the client's IPv4 address, or its IPv6 /64, which providers assign to one customer. Empty if unknown.

    The gateway names the client in `X-Forwarded-For`. uvicorn accepts it only from addresses in `FORWARDED_ALLOW_IPS`.
    """
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:  # a Unix socket or a test client
        return host
    if address.version == 4:
        return host
    return str(address.ipv4_mapped or ip_network((int(address), 64), strict=False))
