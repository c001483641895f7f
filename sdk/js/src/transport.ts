/** Sends operations by `fetch`, again where that is safe. */
import { APITimeoutError, AurraError, UnexpectedAnswerError, objectIn, ofResponse, ofTransport } from "./errors.js";
import { type Fields, type Operation, type Prepared, prepare } from "./operation.js";
import { type Options, type WriteOptions, retriesOf, timeoutOf } from "./options.js";
import { millisecondsBeforeRetry } from "./retrying.js";
import { signature } from "./signing.js";

/** An answer together with the response it came in. */
export interface WithResponse<Answer> {
  readonly data: Answer;
  /** Status and headers; its body has been read. */
  readonly response: Response;
  /** What the service's log calls this request. */
  readonly requestId: string | undefined;
}

/** One client's options, and how it sends. */
export class Transport {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * The answer, after as many attempts as the options allow; every attempt has the same Idempotency-Key, and, where it
   * is signed, a signature of its own. Rejects with an AurraError, or with the reason of the caller's own signal.
   */
  async send<Answer>(
    operation: Operation<Answer>,
    fields: Fields,
    call: WriteOptions = {},
  ): Promise<WithResponse<Answer>> {
    const patience = {
      maxRetries: retriesOf(call.maxRetries, this.#options.maxRetries),
      backoff: this.#options.backoff,
      isRepeatable: operation.isRepeatable === true,
    };
    const timeout = timeoutOf(call.timeout, this.#options.timeout);
    const prepared = prepare(operation, fields, this.#options, call);
    for (let retries = 0; ; retries++) {
      call.signal?.throwIfAborted();
      try {
        const { response, text } = await this.#attempt(prepared, timeout, call.signal);
        return read(operation, response, text);
      } catch (error) {
        if (!(error instanceof AurraError)) throw error;
        const wait = millisecondsBeforeRetry(error, patience, retries);
        if (wait === undefined) throw error;
        await slept(wait, call.signal);
      }
    }
  }

  /** The response and its body. */
  async #attempt(
    prepared: Prepared,
    timeout: number | null,
    signal: AbortSignal | undefined,
  ): Promise<{ response: Response; text: string }> {
    const { method, url, headers, body } = prepared;
    await this.#authenticate(prepared);
    const ending = new AbortController();
    let isLate = false;
    const stop = () => ending.abort(signal?.reason);
    const timer = timeout === null ? undefined : setTimeout(() => ((isLate = true), ending.abort()), timeout);
    signal?.addEventListener("abort", stop);
    try {
      // What answers a write with a redirect would otherwise turn it into a read.
      const init: RequestInit = { method, headers, body, redirect: "manual", signal: ending.signal };
      const response = await this.#options.fetch(url.href, init);
      return { response, text: await response.text() };
    } catch (error) {
      signal?.throwIfAborted();
      if (isLate)
        throw new APITimeoutError(`${this.#options.baseUrl} did not answer within ${timeout} ms.`, { cause: error });
      throw ofTransport(error, this.#options.baseUrl);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  async #authenticate({ method, url, headers, body }: Prepared): Promise<void> {
    const { signingSecret, apiKey } = this.#options;
    if (signingSecret === null) return;
    const signed = await signature(signingSecret, apiKey, method, url.pathname + url.search, body ?? "");
    for (const [name, value] of Object.entries(signed)) headers.set(name, value);
  }
}

/** The answer; what a newer server says besides is kept. Throws the AurraError that the response is. */
function read<Answer>(operation: Operation<Answer>, response: Response, text: string): WithResponse<Answer> {
  if (response.type === "opaqueredirect") {
    throw new AurraError("The server at `baseUrl` answers with a redirect, which is not followed.");
  }
  if (!response.ok) throw ofResponse(response, text);
  const data = objectIn(text);
  const missing = data && operation.answers.find((name) => !(name in data));
  if (data === undefined || missing !== undefined) {
    const why = data === undefined ? "it is no JSON object" : `it has no \`${missing}\``;
    throw new UnexpectedAnswerError(`${response.status}, but not what ${operation.name} answers: ${why}.`, {
      status: response.status,
      headers: response.headers,
      body: text,
    });
  }
  return { data: data as Answer, response, requestId: response.headers.get("x-request-id") ?? undefined };
}

/** After so many milliseconds; rejects at once with the signal's reason. */
function slept(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      settle();
    };
    const stop = end(() => reject(signal?.reason));
    const timer = setTimeout(end(resolve), milliseconds);
    signal?.addEventListener("abort", stop);
  });
}
