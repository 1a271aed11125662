import { readFileSync } from 'node:fs'

/** Who we are to ZooKeeper, by its `digest` scheme: each is `user:password`. There are several while they are being changed:
 * we show all of them, and what we make is open to each. */
export type Credentials = readonly string[]

/** The form of ZOOKEEPER_AUTH, in words. */
export const CREDENTIALS_RULE = 'must be USER:PASSWORD[,USER:PASSWORD...], without spaces'

/** @throws Error with the rule, and nothing of the text */
export function parseCredentials(text: string): Credentials {
  const all = text.split(',')
  if (!all.every(each => /^[^:\s\p{Cc}]+:[^\s\p{Cc}]+$/u.test(each))) throw new Error(CREDENTIALS_RULE)
  return all
}

/** Reads them from a file. @throws Error with the reason why it cannot be read, or the rule that its text breaks */
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
