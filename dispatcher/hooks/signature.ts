import { createHash, createHmac } from 'node:crypto'

/** A secret that dispatchers and the receiver share. */
export type HookSecret = Buffer

const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/
const [MIN_SECRET_BYTES, MAX_SECRET_BYTES] = [24, 64]
const SECRET_RULE = `must be whsec_ and ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} random bytes in base64; several, comma-separated, while it is changed`
const ID_DIGITS = 32

/** @throws Error with the rule, which repeats nothing of the text */
export function parseSecrets(text: string): HookSecret[] {
  return text.split(',').map(part => {
    const [, base64] = SECRET.exec(part.trim()) ?? []
    const secret = Buffer.from(base64 ?? '', 'base64')
    if (secret.length < MIN_SECRET_BYTES || secret.length > MAX_SECRET_BYTES) throw new Error(SECRET_RULE)
    return secret
  })
}

/** The headers by which a receiver knows who sends a body, and that nobody has changed it: https://github.com/standard-webhooks/standard-webhooks.
 * The same body has the same id, whoever sends it and however often.
 * @param secrets each signs @param wallMs Unix ms */
export function signed(body: string, secrets: readonly HookSecret[], wallMs: number): Record<string, string> {
  const id = `msg_${createHash('sha256').update(body).digest('hex').slice(0, ID_DIGITS)}`
  const timestamp = String(Math.floor(wallMs / 1000))
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': secrets.map(secret => signatureOf(id, timestamp, body, secret)).join(' ') }
}

/** @param timestamp Unix seconds, as it is sent */
export function signatureOf(id: string, timestamp: string, body: string, secret: HookSecret): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}
