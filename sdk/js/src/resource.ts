/** What `client.memories`, `client.settings` and the others have in common. */
import type { AnyOperation, Fields, Operation } from "./operation.js";
import type { WriteOptions } from "./options.js";
import type { Transport, WithResponse } from "./transport.js";

/**
 * A call that is under way: a promise of its answer.
 *
 *     const page = await client.memories.list();
 *     const { data, response, requestId } = await client.memories.list().withResponse();
 */
export class Call<Answer> implements Promise<Answer> {
  readonly [Symbol.toStringTag] = "Call";
  readonly #sent: Promise<WithResponse<Answer>>;

  constructor(sent: Promise<WithResponse<Answer>>) {
    this.#sent = sent;
  }

  /** The answer together with the response it came in, whose body has been read. */
  withResponse(): Promise<WithResponse<Answer>> {
    return this.#sent;
  }

  then<Fulfilled = Answer, Rejected = never>(
    onfulfilled?: ((answer: Answer) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onrejected?: ((reason: any) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#sent.then(({ data }) => data).then(onfulfilled, onrejected);
  }

  catch<Rejected = never>(
    onrejected?: ((reason: any) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Answer | Rejected> {
    return this.then(null, onrejected);
  }

  finally(onfinally?: (() => void) | null): Promise<Answer> {
    return this.then().finally(onfinally);
  }
}

interface Page {
  readonly next_cursor: string | null;
}

type ItemOf<List> = List extends readonly (infer Item)[] ? Item : never;

/** The operations of one noun. */
export class Resource {
  readonly #transport: Transport;

  /** @internal */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** @internal */
  protected _call<Answer>(operation: Operation<Answer>, given: readonly unknown[]): Call<Answer> {
    const [fields, options] = argumentsOf(operation, given);
    return new Call(this.#transport.send(operation, fields, options));
  }

  /** @internal */
  protected async *_iterate<Answer extends Page, Items extends keyof Answer>(
    operation: Operation<Answer>,
    items: Items,
    given: readonly unknown[],
  ): AsyncGenerator<ItemOf<Answer[Items]>, void, undefined> {
    const [fields, options] = argumentsOf(operation, given);
    for (let cursor = fields["cursor"]; ;) {
      const { data } = await this.#transport.send(operation, { ...fields, cursor }, options);
      yield* data[items] as ItemOf<Answer[Items]>[];
      if (data.next_cursor == null) return;
      cursor = data.next_cursor;
    }
  }
}

/**
 * What was given, by name, and the options: `(id, fields?, options?)`, the required ones by position, or
 * `(fields, options?)` with all in one object.
 */
function argumentsOf(operation: AnyOperation, given: readonly unknown[]): [Fields, WriteOptions | undefined] {
  const names = operation.positional;
  if (names.length === 0 || isFields(given[0])) return [given[0] ?? {}, given[1]] as [Fields, WriteOptions | undefined];
  const byPosition = Object.fromEntries(names.map((name, place) => [name, given[place]]));
  const rest = given[names.length] as Fields | undefined;
  return [{ ...rest, ...byPosition }, given[names.length + 1] as WriteOptions | undefined];
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
