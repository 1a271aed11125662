import { PeerError } from './peer-error.js'
import { checkProof, newNonce } from './proof.js'

/** INTERNAL_PROOF: `require` trusts only a peer that has proven itself; `prefer` also one that offers no proof, as the former
 * version does. A wrong proof is never trusted. */
export type ProofRule = 'require' | 'prefer'

export interface ProvenPeersOptions {
  /** The token that calls carry. */
  readonly token: string
  readonly rule: ProofRule
  /** The proof that the peer gives for the nonce; undefined if it offers none. Rejects with a PeerError. */
  readonly ask: (origin: string, nonce: string) => Promise<string | undefined>
  /** Optional hook: a peer offered no proof (`none`), or a wrong one. */
  readonly onUnproven?: ((origin: string, proof: 'none' | 'wrong') => void) | undefined
}

/** The peers that may be sent our token. Each is asked for a proof once, before anything else is sent, and again when the
 * registry shows another instance at its URL, or after the last connection to it has ended: while one is open, the process
 * that gave the proof lives, and nobody else can listen at its port. */
export class ProvenPeers {
  readonly #options: ProvenPeersOptions
  /** The trusted origins, each with the instances that its proof holds for: its own, and those that the registry showed there
   * since. A call that names an instance finds out for itself whether that one is there. */
  readonly #trusted = new Map<string, Set<string>>()
  readonly #asking = new Map<string, Promise<void>>()
  /** Number of open connections to each origin. */
  readonly #connections = new Map<string, number>()

  constructor(options: ProvenPeersOptions) {
    this.#options = options
  }

  /** Undefined if the peer may be sent the token now, otherwise resolves when it may, or rejects with a PeerError.
   * @param instance the one that the registry shows there; undefined: any */
  prove(origin: string, instance: string | undefined): Promise<void> | undefined {
    const instances = this.#trusted.get(origin)
    if (instances && (instance === undefined || instances.has(instance))) return undefined
    return this.#proved(origin, instance)
  }

  /** A connection to it was opened. */
  connected(origin: string): void {
    this.#connections.set(origin, (this.#connections.get(origin) ?? 0) + 1)
  }

  /** A connection to it has ended. */
  disconnected(origin: string): void {
    const left = (this.#connections.get(origin) ?? 0) - 1
    if (left > 0) return void this.#connections.set(origin, left)
    this.#connections.delete(origin)
    this.#trusted.delete(origin)
  }

  async #proved(origin: string, instance: string | undefined): Promise<void> {
    let asking = this.#asking.get(origin)
    if (!asking) {
      asking = this.#ask(origin).finally(() => this.#asking.delete(origin))
      this.#asking.set(origin, asking)
    }
    await asking
    if (instance !== undefined) this.#trusted.get(origin)?.add(instance)
  }

  /** @throws PeerError */
  async #ask(origin: string): Promise<void> {
    const { token, rule, ask, onUnproven } = this.#options
    this.#trusted.delete(origin)
    const nonce = newNonce()
    const proof = await ask(origin, nonce)
    const instance = proof === undefined ? undefined : checkProof(token, origin, nonce, proof)
    if (instance === undefined) {
      onUnproven?.(origin, proof === undefined ? 'none' : 'wrong')
      // As far as its answer can be believed, it would refuse our token.
      if (proof !== undefined) throw new PeerError('unproven', `${origin} does not prove that it has our internal token`, { status: 401 })
      if (rule === 'require') throw new PeerError('unproven', `${origin} offers no proof that it has our internal token`)
    }
    if (this.#connections.has(origin)) this.#trusted.set(origin, new Set(instance === undefined ? [] : [instance]))
  }
}
