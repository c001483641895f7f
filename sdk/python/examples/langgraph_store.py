from datetime import UTC, datetime

from aurra_sdk import Aurra
from aurra_sdk.integrations.langgraph import AurraStore

store = AurraStore(Aurra())
store.put(("users", "kim"), "home", {"city": "Oslo"})
before = datetime.now(UTC)
store.put(("users", "kim"), "home", {"city": "Rome"})
print(store.search(("users",), query="where does Kim live?"), store.at(before).get(("users", "kim"), "home"))
