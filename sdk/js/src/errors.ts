/**
 * Every error a call can end with.
 *
 *     AurraError                        the base; itself for a status that has no class of its own, and for bad options
 *     ├── BadRequestError               400 the request says something that cannot be
 *     ├── AuthenticationError           401 no key, or one that is not accepted
 *     ├── PlanLimitError                402 writes are blocked by the plan
 *     ├── PermissionDeniedError         403 the key's scope does not allow it
 *     ├── NotFoundError                 404 nothing of that id is visible to this key
 *     ├── ConflictError                 409 the state of the thing forbids it
 *     ├── UnprocessableError            422 a field is missing or has the wrong type
 *     ├── RateLimitError                429
 *     ├── ServerError                   5xx
 *     ├── LLMProviderError              the model's provider failed, whatever the status
 *     ├── UnexpectedAnswerError         2xx, but not the JSON that the operation answers
 *     ├── WebhookVerificationError      what came to a webhook was not signed with its secret
 *     └── APIConnectionError            no answer
 *         └── APITimeoutError           no answer in time
 */
import type { Problem } from "./types.js";

/** Every code that the service gives an error. */
export type ErrorCode = Problem["code"];

/** What is known of a failure. */
export interface Failure {
  status?: number;
  headers?: Headers;
  /** The decoded answer, or its text where it is no JSON object. */
  body?: Record<string, unknown> | string;
  cause?: unknown;
}

/** A call failed. What the failure does not have is undefined. */
export class AurraError extends Error {
  static {
    this.prototype.name = "AurraError";
  }

  readonly status: number | undefined;
  /** Stable; the service lists all of them at `GET /`. */
  readonly code: ErrorCode | undefined;
  /** A sentence, or an object with a `message`. */
  readonly detail: string | Record<string, unknown> | undefined;
  /** The field that is wrong. */
  readonly param: string | undefined;
  /** What to do next. */
  readonly hint: string | undefined;
  /** Each field that is wrong, where there are several. */
  readonly errors: Record<string, unknown>[];
  /** What the service's log calls this request. */
  readonly requestId: string | undefined;
  /** Seconds, if the server said when to come again. */
  readonly retryAfter: number | undefined;
  /** The whole decoded answer, or its text where it is no JSON; not shown when the error is printed. */
  declare readonly body: Record<string, unknown> | string | undefined;
  /** Those of the answer; not shown when the error is printed. */
  declare readonly headers: Headers | undefined;

  constructor(message: string, failure: Failure = {}) {
    super(message, "cause" in failure ? { cause: failure.cause } : undefined);
    const problem = (typeof failure.body === "object" ? failure.body : {}) as Partial<Problem>;
    this.status = failure.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.param = problem.param ?? undefined;
    this.hint = problem.hint;
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id ?? failure.headers?.get("x-request-id") ?? undefined;
    this.retryAfter = secondsOf(failure.headers?.get("retry-after"));
    // An answer may hold what nobody wants in a log.
    Object.defineProperty(this, "body", { value: failure.body });
    Object.defineProperty(this, "headers", { value: failure.headers });
  }
}

/** 400: the request is understood, and says something that cannot be. */
export class BadRequestError extends AurraError {
  static {
    this.prototype.name = "BadRequestError";
  }
}

/** 401: no key, or a key that is not accepted. */
export class AuthenticationError extends AurraError {
  static {
    this.prototype.name = "AuthenticationError";
  }
}

/** 402: the plan blocks writes; `detail` carries the fields of `plan.status()`. */
export class PlanLimitError extends AurraError {
  static {
    this.prototype.name = "PlanLimitError";
  }
}

/** 403: the key lacks the scope that the message names. */
export class PermissionDeniedError extends AurraError {
  static {
    this.prototype.name = "PermissionDeniedError";
  }
}

/** 404: nothing of that id is visible to this key. */
export class NotFoundError extends AurraError {
  static {
    this.prototype.name = "NotFoundError";
  }
}

/** 409: what is stored forbids the change. */
export class ConflictError extends AurraError {
  static {
    this.prototype.name = "ConflictError";
  }
}

/** 422: a field is missing or has the wrong type. */
export class UnprocessableError extends AurraError {
  static {
    this.prototype.name = "UnprocessableError";
  }
}

/** 429: too many requests; `retryAfter` says when to come again. */
export class RateLimitError extends AurraError {
  static {
    this.prototype.name = "RateLimitError";
  }
}

/** 5xx: the service, or something it depends on, failed. */
export class ServerError extends AurraError {
  static {
    this.prototype.name = "ServerError";
  }
}

/** The model's provider failed (5xx), or refused the caller's own key or model (400). */
export class LLMProviderError extends AurraError {
  static {
    this.prototype.name = "LLMProviderError";
  }

  /** Which one. */
  get provider(): string | undefined {
    return typeof this.detail === "object" ? (this.detail["provider"] as string | undefined) : undefined;
  }
}

/** The status says success, the body is not what the operation answers: is there something else at `baseUrl`? */
export class UnexpectedAnswerError extends AurraError {
  static {
    this.prototype.name = "UnexpectedAnswerError";
  }
}

/** What came to a webhook was not signed with its secret, or not lately. */
export class WebhookVerificationError extends AurraError {
  static {
    this.prototype.name = "WebhookVerificationError";
  }
}

/** No answer arrived. `wasSent` is false where the request cannot have reached the server, as far as `fetch` tells. */
export class APIConnectionError extends AurraError {
  static {
    this.prototype.name = "APIConnectionError";
  }

  readonly wasSent: boolean;

  constructor(message: string, { wasSent = true, cause }: { wasSent?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.wasSent = wasSent;
  }
}

/** No answer arrived in time. */
export class APITimeoutError extends APIConnectionError {
  static {
    this.prototype.name = "APITimeoutError";
  }
}

const BY_STATUS: Record<number, typeof AurraError> = {
  400: BadRequestError,
  401: AuthenticationError,
  402: PlanLimitError,
  403: PermissionDeniedError,
  404: NotFoundError,
  409: ConflictError,
  422: UnprocessableError,
  429: RateLimitError,
};

/** The error that a response without success is; `text` is its body. */
export function ofResponse(response: Response, text: string): AurraError {
  const { status, headers } = response;
  const body = objectIn(text);
  const problem: Record<string, unknown> = body ?? {};
  const said = problem["detail"] as string | Record<string, unknown> | undefined;
  const isProvider = typeof said === "object" && said?.["error"] === "llm_provider_error";
  const Kind = isProvider ? LLMProviderError : (BY_STATUS[status] ?? (status >= 500 ? ServerError : AurraError));
  const requestId = problem["request_id"] ?? headers.get("x-request-id");
  const facts = [`${status} ${problem["code"] ?? response.statusText}`.trimEnd()];
  if (requestId) facts.push(`request ${requestId}`);
  const sentence = (typeof said === "object" ? said?.["message"] : said) || "The server said no more.";
  return new Kind(`${sentence} (${facts.join("; ")})`, { status, headers, body: body ?? text });
}

/** The codes of runtimes that say so when no connection was made. */
const NOT_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "ConnectionRefused",
]);

/** The error that a request without a response is; `error` is what `fetch` threw. */
export function ofTransport(error: unknown, baseUrl: string): APIConnectionError {
  const known = error as
    { code?: unknown; message?: unknown; cause?: { code?: unknown; message?: unknown } } | undefined;
  const code = known?.cause?.code ?? known?.code;
  const said = [known?.message, known?.cause?.message || known?.cause?.code].filter(Boolean).join(": ");
  // Deno has no code for it.
  const wasSent = !NOT_SENT.has(code as string) && !said.includes("client error (Connect)");
  return new APIConnectionError(`${baseUrl} cannot be reached, or broke off (${said}).`, { wasSent, cause: error });
}

/** The JSON object that the text is, if it is one. */
export function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Seconds from now; the header holds seconds or a date. */
function secondsOf(text: string | null | undefined): number | undefined {
  if (text == null) return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  // `Date.parse` makes a date of nearly anything.
  const at = /^[A-Z][a-z]{2}, .* GMT$/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, (at - Date.now()) / 1000);
}
