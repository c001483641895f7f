"""What of `client.webhooks` is no operation of the service: reading what it delivers."""

from collections.abc import Mapping

from aurra_sdk import webhooks
from aurra_sdk._async.resource import AsyncResource


class AsyncHooks(AsyncResource):
    """The receiver's side of webhooks."""

    def unwrap(
        self, payload: bytes | str, headers: Mapping[str, str], *, secret: str | None = None
    ) -> webhooks.WebhookEvent:
        """The event that a delivery carries, once its signature is known to be good. Asks nobody, so there is no await.

        ```python
        event = client.webhooks.unwrap(payload, headers, secret=secret)
        print(event.type, event.data)
        ```

        Args:
            payload: The body as it was received; not decoded, not encoded anew.
            headers: Of the request; `webhook-id`, `webhook-timestamp` and `webhook-signature` are read.
            secret: Of the endpoint, `whsec_…`; else AURRA_WEBHOOK_SECRET.

        Raises:
            WebhookSignatureError: It is not signed with the secret, or was signed more than five minutes ago.
        """
        return webhooks.unwrap(payload, headers, secret=secret)
