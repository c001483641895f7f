/** Client library for Aurra: `Aurra`, the errors a call can end with, and the types of what goes in and comes out. */
export { Aurra } from "./client.js";
export {
  APIConnectionError,
  APITimeoutError,
  AurraError,
  AuthenticationError,
  BadRequestError,
  ConflictError,
  LLMProviderError,
  NotFoundError,
  PermissionDeniedError,
  PlanLimitError,
  RateLimitError,
  ServerError,
  UnexpectedAnswerError,
  UnprocessableError,
  WebhookVerificationError,
  type ErrorCode,
} from "./errors.js";
export type { CallOptions, ClientOptions, WriteOptions } from "./options.js";
export type { Call } from "./resource.js";
export type { WithResponse } from "./transport.js";
export type * from "./types.js";
export { VERSION } from "./version.js";
export { webhooks, type WebhookEvent, type WebhookHeaders } from "./webhooks.js";
