import { InvalidArgumentError } from 'commander'
import { checkVideoId } from '../protocol/comment.js'
import { MAX_SLOW_MODE_SECONDS } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import { checkHeldId } from '../protocol/held.js'
import { parseCursor } from '../protocol/id.js'
import { MAX_RECENT } from '../protocol/limits.js'
import { isClusterName, isNodeId, MAX_EXPECTED } from '../protocol/nodes.js'
import { parseConnectString } from '../registry/zookeeper/connect-string.js'
import { parseReplication } from './init-store.js'
import { number } from './table.js'

/** Options that several commands have. */
export const gatewayOption = ['--gateway <URL>', 'the gateway\'s URL (else --data, ./data; only for reading: http://127.0.0.1:8080)', httpUrl] as const
export const personOption = ['--token <TOKEN>', 'a person\'s token, where identity is on; other users of this machine can see it here'] as const
export const personFileOption = ['--token-file <FILE>', 'file with that token (else LIVE_COMMENTS_TOKEN, ./data/author-token)'] as const
export const storeOption = ['--store <FILE>', 'the store\'s file, on the dispatchers\' machine (else --data, STORE_URL, ./data)'] as const
export const tokenOption = ['--token <TOKEN>', 'the internal token (else INTERNAL_TOKEN, ./data/internal-token)'] as const

/* Each of these reads an argument, and throws InvalidArgumentError with the rule in words. */

export function connectString(text: string): string {
  try {
    parseConnectString(text)
    return text
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

function httpUrl(text: string): string {
  if (!/^https?:\/\/[^/]/.test(text) || !URL.canParse(text)) throw new InvalidArgumentError('It must be an http or https URL.')
  return text
}

export function positive(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0, of at most nine digits.')
  return Number(text)
}

export function descriptors(text: string): number {
  if (!/^[0-9]{4,8}$/.test(text) || Number(text) < 1_000) throw new InvalidArgumentError('It must be a whole number from 1,000 on.')
  return Number(text)
}

export function amount(text: string): number {
  if (!/^[0-9]{1,9}(\.[0-9]{1,6})?$/.test(text)) throw new InvalidArgumentError('It must be a number, 0 or more, of at most nine digits and six behind the point.')
  return Number(text)
}

export function clusterNameInPeers(text: string): string {
  if (!isClusterName(text)) throw new InvalidArgumentError('It must be 1 to 32 of a-z 0-9 -.')
  return text
}

export function count(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > MAX_EXPECTED) throw new InvalidArgumentError(`It must be a whole number from 0 to ${number(MAX_EXPECTED)}.`)
  return Number(text)
}

/** Where a video is placed without anybody's wish. */
export const AUTO = 'auto'

export function edgesOrAuto(text: string): number | typeof AUTO {
  if (text === AUTO) return AUTO
  if (!/^[1-9][0-9]{0,4}$/.test(text) || Number(text) > MAX_EXPECTED) throw new InvalidArgumentError(`It must be a whole number from 1 to ${number(MAX_EXPECTED)}, or ${AUTO}.`)
  return Number(text)
}

export function recent(text: string): number {
  if (!/^[0-9]{1,3}$/.test(text) || Number(text) > MAX_RECENT) throw new InvalidArgumentError(`It must be a whole number from 0 to ${MAX_RECENT}.`)
  return Number(text)
}

export function slowMode(text: string): number {
  if (!/^[0-9]{1,4}$/.test(text) || Number(text) > MAX_SLOW_MODE_SECONDS) throw new InvalidArgumentError(`It must be a whole number from 0 to ${number(MAX_SLOW_MODE_SECONDS)}.`)
  return Number(text)
}

export function commentId(text: string): number {
  const id = parseCursor(text)
  if (!id) throw new InvalidArgumentError('It must be a comment\'s id.')
  return id
}

export function cursor(text: string): string {
  if (parseCursor(text) === undefined) throw new InvalidArgumentError('It must be a comment\'s id, or 0.')
  return text
}

export function heldId(text: string): string {
  try {
    return checkHeldId(text)
  } catch {
    throw new InvalidArgumentError('It must be a held comment\'s id.')
  }
}

export function nodeId(text: string): string {
  if (!isNodeId(text)) throw new InvalidArgumentError('An id is 1 to 64 of A-Z a-z 0-9 _ -')
  return text
}

export function replication(text: string): ReadonlyMap<string, number> {
  try {
    return parseReplication(text)
  } catch (error) {
    throw new InvalidArgumentError(`It ${(error as Error).message}.`)
  }
}

export function clusterName(text: string): string {
  if (!/^[\x20-\x7e]{1,64}$/.test(text) || text.trim() !== text) throw new InvalidArgumentError('A name is 1 to 64 visible ASCII characters, and blanks between them.')
  return text
}

export function videoId(text: string): string {
  try {
    return checkVideoId(text)
  } catch (error) {
    throw error instanceof LiveError ? new InvalidArgumentError(error.message) : error
  }
}
