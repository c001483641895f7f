/**
 * An HTTP server on a real socket that does what a test scripts.
 *
 *     server.script(problem(503, "unavailable"), answers(PLAN)); // the first two requests, one each
 */
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, beforeEach } from "node:test";

import { Aurra, type ClientOptions } from "aurra-sdk";

export const KEY = "aurra_live_canary7f3a91c4e8";
const AT = "2026-01-01T00:00:00.000000+00:00";
export const PLAN = {
  warnings: [],
  plan_tier: "starter",
  writes_used: 49,
  writes_limit: 50000,
  writes_remaining: 49951,
  in_grace_period: false,
  blocked: false,
  period_start: AT,
  period_end: "2026-02-01T00:00:00.000000+00:00",
  grace_ends_at: null,
};
export const RETRACTED = {
  warnings: [],
  status: "retracted",
  memory_id: "m1",
  transaction: { id: 1, at: AT },
  receipt: { opened: [], closed: [] },
  dry_run: false,
};

/** One request as it came in. */
export interface Received {
  method: string;
  target: string;
  path: string;
  query: URLSearchParams;
  headers: Record<string, string>;
  text: string;
  body: unknown;
}

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves until the file's tests end. `requests` are those of one test; one that the script lacks is reset. */
export class ScriptedServer {
  requests: Received[] = [];
  url = "";
  #script: Behaviour[] = [];
  #server = createServer((request, response) => void this.#serve(request, response));

  /** A server that listens. */
  static async started(): Promise<ScriptedServer> {
    const made = new ScriptedServer();
    await new Promise<void>((resolve) => made.#server.listen(0, "127.0.0.1", resolve));
    made.url = `http://127.0.0.1:${(made.#server.address() as AddressInfo).port}`;
    after(() => made.stop());
    beforeEach(() => {
      made.requests = [];
      made.#script = [];
    });
    return made;
  }

  /** The next requests get these, one each. */
  script(...behaviours: Behaviour[]): void {
    this.#script.push(...behaviours);
  }

  /** A client of it, with short waits. */
  client(options: ClientOptions = {}): Aurra {
    return new Aurra({ apiKey: KEY, baseUrl: this.url, backoff: 1, ...options });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const { pathname, searchParams } = new URL(request.url ?? "", this.url);
    this.requests.push({
      method: request.method ?? "",
      target: request.url ?? "",
      path: pathname,
      query: searchParams,
      headers: request.headers as Record<string, string>,
      text,
      body: text ? JSON.parse(text) : undefined,
    });
    (this.#script.shift() ?? resets())(request, response);
  }
}

/** These bytes. */
export function sends(status: number, body: string, headers: Record<string, string> = {}): Behaviour {
  return (_, response) => response.writeHead(status, { connection: "close", ...headers }).end(body);
}

/** 200 with this JSON. */
export function answers(body: object, headers: Record<string, string> = {}): Behaviour {
  return sends(200, JSON.stringify(body), { "content-type": "application/json", ...headers });
}

/** An error as the service writes it. */
export function problem(
  status: number,
  code: string,
  headers: Record<string, string> = {},
  members: object = {},
): Behaviour {
  const document = {
    status,
    detail: "It failed.",
    code,
    param: null,
    errors: [],
    request_id: "r-1",
    hint: "Try something else.",
    ...members,
  };
  return sends(status, JSON.stringify(document), { "content-type": "application/problem+json", ...headers });
}

/** RST instead of an answer. */
export function resets(): Behaviour {
  return (request) => request.socket.resetAndDestroy();
}

/** A beginning of an answer, and then RST. */
export function breaksOff(): Behaviour {
  return (request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write('{"warnings"', () => request.socket.resetAndDestroy());
  };
}

/** No answer until the client hangs up. */
export function hangs(): Behaviour {
  return () => undefined;
}
