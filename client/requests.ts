/** An answer that a retry would not change. */
export class Refusal extends Error {
  /** The server's, such as `FORBIDDEN`; they are stable. */
  readonly code: string
  /** Of HTTP; 0 where the client itself refuses. */
  readonly status: number

  constructor(code: string, message: string, status = 0) {
    super(message)
    this.code = code
    this.status = status
  }
}

/** Something that may go better later. */
export class Failure extends Error {
  /** When the server wants to be asked again, ms, if it said so. */
  readonly afterMs: number | undefined
  /** The server's, such as `SLOW_MODE`, if it answered. */
  readonly code: string | undefined

  constructor(message: string, afterMs?: number, code?: string) {
    super(message)
    this.afterMs = afterMs
    this.code = code
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
  readonly options: RequestsOptions
  #token: Promise<string | undefined> | undefined

  constructor(options: RequestsOptions) {
    this.options = options
  }

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

  /** @param sent is called each time when the request leaves: before, it may wait for a token
   * @returns the answer, if it is a 2xx
   * @throws Refusal, Failure, and what `fetch` and `token` throw */
  async ask(url: string, init: RequestInit & { readonly headers?: Record<string, string> }, sent: () => void): Promise<Response> {
    const fetch = this.options.fetch ?? globalThis.fetch
    for (let renewed = !this.options.token; ; ) {
      const token = await this.token()
      const used = this.#token
      sent()
      const response = await fetch(url, { ...init, headers: { ...init.headers, ...(token && { authorization: `Bearer ${token}` }) } })
      const { ok, status, headers } = response
      if (ok) return response
      const answer = (await response.json().catch(() => {})) as { readonly error?: { readonly code: string; readonly message: string } } | undefined
      const { code = 'UNKNOWN', message = `answered ${status}` } = answer?.error ?? {}
      if (status >= 500 || status === 429) throw new Failure(message, Number(headers.get('retry-after')) * 1000 || undefined, code)
      // Another request may have renewed it meanwhile, and that one may be refused too.
      const isNewest = this.#token === used
      if (status === 401) this.#forget(used)
      if (status !== 401 || renewed) throw new Refusal(code, message, status)
      renewed = isNewest
    }
  }

  #forget(token: Promise<string | undefined> | undefined): void {
    if (this.#token === token) this.#token = undefined
  }
}
