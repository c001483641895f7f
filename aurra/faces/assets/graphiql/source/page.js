import React from "react";
import { createRoot } from "react-dom/client";
import { GraphiQL } from "graphiql";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import "graphiql/style.css";
import "./page.css";

const here = new URL("/graphql", window.location.href);
const there = new URL(here);
there.protocol = here.protocol === "https:" ? "wss:" : "ws:";

const fetcher = createGraphiQLFetcher({ url: here.href, subscriptionUrl: there.href });

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

createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: first,
    defaultHeaders: JSON.stringify({ Authorization: "Bearer aurra_live_" }, null, 2),
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false,
    showPersistHeadersSettings: false,
  }),
);
