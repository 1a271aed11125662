/** The part of `EventSource` that the client uses. */
export interface EventSourceLike {
  onopen: (() => void) | null
  onerror: (() => void) | null
  addEventListener(name: string, listener: (event: { readonly data: string; readonly lastEventId: string }) => void): void
  close(): void
}

/** Whatever says `online`, `offline` or `visibilitychange`. */
interface Source {
  addEventListener?(name: string, listener: () => void): void
  removeEventListener?(name: string, listener: () => void): void
}

/** What the client uses of its surroundings besides `fetch` and timers. Browsers have all of it, Node, Deno, Bun and
 * React Native some of it. Typed here, so that the client compiles with the types of any of them. */
export interface Surroundings extends Source {
  readonly EventSource?: new (url: string) => EventSourceLike
  readonly document?: Source & { readonly hidden: boolean }
  readonly navigator?: { readonly onLine?: boolean }
}

export const here = globalThis as unknown as Surroundings

export const isHidden = (): boolean => !!here.document?.hidden
export const isOffline = (): boolean => here.navigator?.onLine === false
