/** The client. */
import { type ClientOptions, type Options, readOptions } from "./options.js";
import { Resources } from "./resources.js";
import { Transport } from "./transport.js";

/**
 * A client of one Aurra service, with one key. Every operation is a method: `client.memories.add({...})`.
 *
 * ```js
 * const client = new Aurra();
 * await client.memories.add({ content: "Kim lives in Oslo", subject: "kim", attribute: "city" });
 * const found = await client.memories.query("Where does Kim live?");
 * console.log(found.answer);
 * ```
 */
export class Aurra extends Resources {
  readonly #options: Options;

  /** Throws AurraError where there is no key, or an option cannot be used. */
  constructor(options: ClientOptions = {}) {
    const decided = readOptions(options);
    super(new Transport(decided));
    this.#options = decided;
  }

  /** Where the service is, without a slash at the end. */
  get baseUrl(): string {
    return this.#options.baseUrl;
  }

  /** The tenant of calls that name none; null is the default tenant. */
  get tenantId(): string | null {
    return this.#options.tenantId;
  }

  /**
   * A client like this one but for what is given.
   *
   * ```js
   * const client = new Aurra();
   * const plan = await client.withOptions({ timeout: 5_000, maxRetries: 0 }).plan.status();
   * console.log(plan.writes_remaining);
   * ```
   */
  withOptions(options: ClientOptions): Aurra {
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    return new Aurra({ ...this.#options, ...given });
  }
}
