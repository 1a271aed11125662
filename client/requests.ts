/** An answer that a retry would not change. */
export class Refusal extends Error {
  /** @param code the server's, such as `FORBIDDEN`; they are stable
   * @param status of HTTP, 0 where the client itself refused */
  constructor(readonly code: string, message: string, readonly status = 0) {
    super(message)
    this.name = 'Refusal'
  }
}

/** Something that may go better later. */
export class Failure extends Error {
  /** @param afterMs when the server wants to be asked again, if it said so */
  constructor(message: string, readonly afterMs?: number) {
    super(message)
    this.name = 'Failure'
  }
}

/** Gives the viewer's token. It is asked before the first request, and again when the server refuses the last one. It
 * may take as long as signing in takes; nothing is sent meanwhile. */
export type TokenSource = () => string | undefined | Promise<string | undefined>

export interface RequestsOptions {
  readonly token?: TokenSource | undefined
  readonly fetch?: typeof fetch | undefined
}

/** Requests that carry the token, which is renewed once where it is refused. */
export class Requests {
  #token: Promise<string | undefined> | undefined

  constructor(readonly options: RequestsOptions) {}

  /** The token to use now, the same for all until it is refused. */
  async token(): Promise<string | undefined> {
    const token = (this.#token ??= (async () => this.options.token?.())())
    try {
      return await token
    } catch (error) {
      this.#forget(token)
      throw error
    }
  }

  /** @returns the answer, if it is a 2xx
   * @throws Refusal, Failure, and what `fetch` and `token` throw */
  async ask(url: string, init: RequestInit & { readonly headers?: Record<string, string> }): Promise<Response> {
    const fetch = this.options.fetch ?? globalThis.fetch
    for (let renewed = !this.options.token; ; renewed = true) {
      const token = await this.token()
      const used = this.#token
      const response = await fetch(url, { ...init, headers: { ...init.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) } })
      if (response.ok) return response
      const { status } = response
      const answer = (await response.json().catch(() => undefined)) as { readonly error?: { readonly code: string; readonly message: string } } | undefined
      const { code = 'UNKNOWN', message = `the server answered ${status}` } = answer?.error ?? {}
      if (status === 401 && !renewed) this.#forget(used)
      else if (status >= 500 || status === 429 || status === 408) throw new Failure(message, Number(response.headers.get('retry-after')) * 1000 || undefined)
      else throw new Refusal(code, message, status)
    }
  }

  #forget(token: Promise<string | undefined> | undefined): void {
    if (this.#token === token) this.#token = undefined
  }
}
