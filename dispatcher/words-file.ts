import { readFileSync, statSync } from 'node:fs'
import { WordList } from './words.js'

const LOOK_MS = 1_000

/** @throws Error that says why the file cannot be used, and nothing of what is in it */
export function readWords(path: string): WordList {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (cause) {
    throw new Error(`cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause })
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Error('is not UTF-8', { cause })
  }
  return new WordList(text)
}

/** Reads the file now, and again whenever it has changed, also where another was put in its place. While it cannot be used,
 * the words that were read last count. @param onTrouble told once of each state of the file that cannot be used
 * @returns stops it */
export function watchWords(path: string, onWords: (words: WordList) => void, onTrouble: (error: Error) => void): () => void {
  let seen: string | undefined
  const look = () => {
    const state = stateOf(path) // before it is read: what changes meanwhile is seen at the next look
    if (state === seen) return
    seen = state
    try {
      onWords(readWords(path))
    } catch (error) {
      onTrouble(error as Error)
    }
  }
  look()
  const timer = setInterval(look, LOOK_MS).unref()
  return () => clearInterval(timer)
}

function stateOf(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}
