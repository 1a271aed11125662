import { createHash, timingSafeEqual } from 'node:crypto'

/** INTERNAL_TOKEN, the secret shared by the parts: one token or, while it is being changed, several separated by commas.
 * The first is sent, any of them is accepted. */

/** @param tokens the value of INTERNAL_TOKEN */
export function acceptedTokens(tokens: string): string[] {
  return tokens.split(',')
}

/** @param tokens the value of INTERNAL_TOKEN */
export function sentToken(tokens: string): string {
  return acceptedTokens(tokens)[0]!
}

/** Tells whether an `Authorization` header carries one of `tokens`, in constant time. */
export function takesToken(tokens: string): (authorization: string) => boolean {
  const taken = acceptedTokens(tokens).map(token => digest(`Bearer ${token}`))
  return authorization => {
    const given = digest(authorization)
    return taken.map(each => timingSafeEqual(each, given)).includes(true)
  }
}

/** Digests have one length, which the comparison needs and which does not reveal the token's. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
