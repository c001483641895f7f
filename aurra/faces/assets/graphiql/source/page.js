import React from "react";
import { createRoot } from "react-dom/client";
import { GraphiQL } from "graphiql";
import { buildClientSchema } from "graphql";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import "graphiql/style.css";
import "./page.css";

const here = new URL("/graphql", window.location.href);
const there = new URL(here);
there.protocol = here.protocol === "https:" ? "wss:" : "ws:";

const root = document.getElementById("graphiql");
const ask = createGraphiQLFetcher({ url: here.href, subscriptionUrl: there.href });
const noKey = { errors: [{ message: "Put your key into Headers, below: aurra_live_…" }] };

// Without a key nothing is sent: the service counts who fails to name one.
const fetcher = (parameters, options) =>
  /aurra_(live|test)_\w{8}/.test(JSON.stringify(options?.headers ?? {})) ? ask(parameters, options) : noKey;

const first = `# The key goes into Headers, below. Ctrl-Enter asks.
{
  memoriesCollection(first: 10, orderBy: [{ created_at: DescNullsLast }]) {
    totalCount
    edges {
      node {
        decision
        valid_from
        valid_to
        about { subject external_id }
        openedBy { id at verb }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
`;

fetch(root.dataset.schema)
  .then((response) => response.json())
  .then((schema) =>
    createRoot(root).render(
      React.createElement(GraphiQL, {
        fetcher,
        schema: buildClientSchema(schema),
        defaultQuery: first,
        defaultHeaders: JSON.stringify({ Authorization: "Bearer aurra_live_" }, null, 2),
        defaultEditorToolsVisibility: "headers",
        shouldPersistHeaders: false,
        showPersistHeadersSettings: false,
      }),
    ),
  );
