import { createHash, timingSafeEqual } from 'node:crypto'

/** INTERNAL_TOKEN, the secret of the parts: one token or, while it is being changed, several parted by commas. The
 * first is sent, any of them is taken. */

/** @param tokens as INTERNAL_TOKEN has it */
export function sentToken(tokens: string): string {
  return tokens.split(',', 1)[0]!
}

/** Whether an `Authorization` header bears one of `tokens`. Takes the same time whatever the header is, and whichever of
 * them it bears. */
export function takesToken(tokens: string): (authorization: string) => boolean {
  const taken = tokens.split(',').map(token => digest(`Bearer ${token}`))
  return authorization => {
    const given = digest(authorization)
    return taken.map(each => timingSafeEqual(each, given)).includes(true)
  }
}

/** All of one length, which the comparison needs and which tells nothing of the token's. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
