/** What every page of a list has. */
export interface PageLike {
  has_more: boolean;
  next_cursor?: string;
}

/**
 * A list that is fetched page by page. `await` it for the first page; `for await` it for every
 * item of every page. Nothing is sent before one of these.
 */
export class Pages<Item, Page extends PageLike> implements PromiseLike<Page>, AsyncIterable<Item> {
  private readonly fetchPage: (cursor: string | undefined) => Promise<Page>;
  private readonly itemsOf: (page: Page) => readonly Item[];
  private first: Promise<Page> | undefined;

  constructor(
    fetchPage: (cursor: string | undefined) => Promise<Page>,
    itemsOf: (page: Page) => readonly Item[],
  ) {
    this.fetchPage = fetchPage;
    this.itemsOf = itemsOf;
  }

  // biome-ignore lint/suspicious/noThenProperty: to be awaited is what it is for
  then<A = Page, B = never>(
    onPage?: ((page: Page) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.firstPage().then(onPage, onError);
  }

  catch<B = never>(onError?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Page | B> {
    return this.firstPage().catch(onError);
  }

  finally(done?: (() => void) | null): Promise<Page> {
    return this.firstPage().finally(done);
  }

  /** The pages, each fetched when it is asked for. */
  async *pages(): AsyncGenerator<Page, void, undefined> {
    let page = await this.firstPage();
    yield page;
    while (page.has_more && page.next_cursor !== undefined) {
      page = await this.fetchPage(page.next_cursor);
      yield page;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, undefined> {
    for await (const page of this.pages()) yield* this.itemsOf(page);
  }

  /** The items of all pages, or the first `max` of them. */
  async toArray(max = Number.POSITIVE_INFINITY): Promise<Item[]> {
    const items: Item[] = [];
    if (max <= 0) return items;
    for await (const item of this) {
      items.push(item);
      if (items.length >= max) break;
    }
    return items;
  }

  private firstPage(): Promise<Page> {
    this.first ??= this.fetchPage(undefined);
    return this.first;
  }
}
