import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { WIRE_VERSION } from '../../protocol/wire.js'
import { acceptedTokens } from './internal-token.js'

/** How a part proves that it knows INTERNAL_TOKEN, before another part sends it the token. The caller sends a nonce, and the
 * answer has an HMAC (RFC 2104, SHA-256) of it, with the token as the key. The HMAC covers the URL at which the part itself
 * says that it is reached: whoever relays the question to a part gets an answer for that part's URL, not for its own. */

const LABEL = 'live-comments internal proof 1'
/** 16 to 64 bytes in base64url. */
const NONCE = /^[A-Za-z0-9_-]{22,86}$/
const NONCE_BYTES = 32
/** Wire version, instance, and an HMAC for each token that the part accepts. */
const PROOF = /^([0-9]{1,9}) ([\x21-\x7e]{1,64}) ([0-9a-f]{64}(?:,[0-9a-f]{64}){0,15})$/

/** Who a part is, and where the others reach it. */
export interface Prover {
  readonly instance: string
  readonly url: string
}

export function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString('base64url')
}

/** The proof for a nonce, as it is sent; undefined if that is no nonce. @param tokens the value of INTERNAL_TOKEN */
export function printProof(tokens: string, { instance, url }: Prover, nonce: string): string | undefined {
  if (!NONCE.test(nonce)) return undefined
  const macs = acceptedTokens(tokens).map(token => mac(token, WIRE_VERSION, nonce, instance, url).toString('hex'))
  return `${WIRE_VERSION} ${instance} ${macs.join()}`
}

/** The instance that the proof is from; undefined if it does not prove that the part at `url` knows `token`. The wire version
 * may be another one. */
export function checkProof(token: string, url: string, nonce: string, proof: string): string | undefined {
  const [, wire, instance, macs] = PROOF.exec(proof) ?? []
  if (wire === undefined || instance === undefined || macs === undefined) return undefined
  const wanted = mac(token, Number(wire), nonce, instance, url)
  return macs.split(',').map(each => timingSafeEqual(Buffer.from(each, 'hex'), wanted)).includes(true) ? instance : undefined
}

/** JSON keeps the fields apart. Of a URL only the origin counts: nothing else decides who answers. */
function mac(token: string, wire: number, nonce: string, instance: string, url: string): Buffer {
  return createHmac('sha256', token).update(JSON.stringify([LABEL, wire, nonce, instance, new URL(url).origin])).digest()
}
