"""What hosts read first: who gives out tokens for this service (RFC 9728), and how (RFC 8414)."""

from typing import Any

from litestar import Request

from aurra import oauth
from aurra.context import Service
from aurra.faces import origins
from aurra.faces.oauth.telling import Told

AnyRequest = Request[Any, Any, Any]


async def resource(service: Service, request: AnyRequest) -> Told:
    """This service, or its /mcp where that is asked about; its tokens come from itself."""
    origin = origins.of(service, request)
    path = "/mcp" if request.scope["path"].rstrip("/").endswith("/mcp") else ""
    return Told(
        {
            "resource": f"{origin}{path}",
            "authorization_servers": [origin],
            "scopes_supported": list(oauth.GRANTABLE),
            "bearer_methods_supported": ["header"],
            "resource_name": "Aurra",
        }
    )


async def server(service: Service, request: AnyRequest) -> Told:
    """Where consent is asked for and tokens are had. The issuer is the origin, wherever this is read."""
    origin = origins.of(service, request)
    return Told(
        {
            "issuer": origin,
            "authorization_endpoint": f"{origin}/oauth/authorize",
            "token_endpoint": f"{origin}/oauth/token",
            "registration_endpoint": f"{origin}/oauth/register",
            "revocation_endpoint": f"{origin}/oauth/revoke",
            "scopes_supported": list(oauth.GRANTABLE),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
    )
