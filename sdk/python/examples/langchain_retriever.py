from aurra_sdk import Aurra
from aurra_sdk.integrations.langchain import AurraChatMessageHistory, AurraRetriever

client = Aurra()
client.memories.add(content="Kim lives in Oslo", subject="kim", attribute="city")
for document in AurraRetriever(client=client, k=1).invoke("Where does Kim live?"):
    print(document.page_content, document.metadata["valid_from"])
history = AurraChatMessageHistory(client, "chat-7")
history.add_user_message("Hello!")
print(history.messages)
