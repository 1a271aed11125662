import { readFileSync } from 'node:fs'

/** Who we are to ZooKeeper, by its `digest` scheme: `user:password`. Several while they are being changed: all are shown,
 * and what we make is open to each of them. */
export type Credentials = readonly string[]

/** What ZOOKEEPER_AUTH takes. */
export const CREDENTIALS_RULE = 'must be USER:PASSWORD[,USER:PASSWORD...], without spaces'

/** @throws Error that says the rule, and nothing of the text */
export function parseCredentials(text: string): Credentials {
  const all = text.split(',')
  if (!all.every(each => /^[^:\s\p{Cc}]+:[^\s\p{Cc}]+$/u.test(each))) throw new Error(CREDENTIALS_RULE)
  return all
}

/** @throws Error that says why the file cannot be read, or the rule that it breaks */
export function readCredentials(path: string): Credentials {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Error(`cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
  try {
    return parseCredentials(text.trim())
  } catch (cause) {
    throw new Error(`the file ${(cause as Error).message}`, { cause })
  }
}
