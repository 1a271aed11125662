import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Test } from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import type { Stored } from '../../../dispatcher/store/store.js'
import type { Draft } from '../../../protocol/comment.js'
import { memoryFolder } from '../../support/folder.js'
import type { Random } from '../../support/random.js'

export const PAGE_BYTES = 4096
const HEADER_BYTES = 100
const NOW = Date.UTC(2026, 5, 1)

/** A store's files, as a dispatcher that was killed left them: some comments are in the database, the newest in its log. */
export interface Files {
  readonly database: Buffer
  readonly log: Buffer
  /** What was stored, by video. */
  readonly stored: ReadonlyMap<string, readonly Stored[]>
  readonly drafts: readonly Draft[]
}

/** Comments of all lengths in 10 videos. */
export function killed(t: Test): Files {
  const path = join(memoryFolder(t), 'comments.db')
  const store = new SqliteDatabase(path, 0)
  const stored = new Map<string, Stored[]>()
  const drafts: Draft[] = []
  const append = (rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      const group = Array.from({ length: 10 }, (_, v): Draft => ({ videoId: `video-${v}`, authorId: `author-${v}-${i % 3}`, content: `${drafts.length + v} ${'text '.repeat((17 * (drafts.length + v)) % 190)}`.trim(), key: `key-${drafts.length + v}` }))
      for (const outcome of store.append(group, NOW + drafts.length)) {
        if (outcome.kind !== 'created') throw new Error(outcome.kind)
        const { comment, prev } = outcome
        stored.set(comment.videoId, [...(stored.get(comment.videoId) ?? []), { comment, prev }])
      }
      drafts.push(...group)
    }
  }
  append(25)
  const other = new Database(path)
  other.pragma('wal_checkpoint(TRUNCATE)')
  other.close()
  append(5)
  const files = { database: readFileSync(path), log: readFileSync(`${path}-wal`), stored, drafts }
  store.close()
  return files
}

/** @returns the path of the database */
export function laidOut(folder: string, { database, log }: Pick<Files, 'database' | 'log'>): string {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const path = join(folder, 'comments.db')
  writeFileSync(path, database)
  if (log.length > 0) writeFileSync(`${path}-wal`, log)
  return path
}

export interface Damage {
  readonly name: string
  readonly apply: (bytes: Buffer, random: Random) => Buffer
}

/** Flips `count` bits between two bytes of a copy. */
export function flipped(bytes: Buffer, random: Random, count: number, from = 0, to = bytes.length): Buffer {
  const copy = Buffer.from(bytes)
  for (let i = 0; i < count; i++) copy[from + random.below(to - from)]! ^= 1 << random.below(8)
  return copy
}

const page = (bytes: Buffer, random: Random) => PAGE_BYTES * random.below(Math.max(1, Math.floor(bytes.length / PAGE_BYTES)))

/** What disks, cables and people do to a file. */
export const DAMAGES: readonly Damage[] = [
  { name: 'one flipped bit', apply: (bytes, random) => flipped(bytes, random, 1) },
  { name: 'flipped bits', apply: (bytes, random) => flipped(bytes, random, random.pick([8, 64, 1_000])) },
  { name: 'a flipped bit of the header', apply: (bytes, random) => flipped(bytes, random, 1, 0, HEADER_BYTES) },
  {
    name: 'flipped bits at the head of a page',
    apply: (bytes, random) => {
      const at = page(bytes, random)
      return flipped(bytes, random, random.whole(1, 8), at, Math.min(bytes.length, at + 64))
    },
  },
  { name: 'cut short', apply: (bytes, random) => bytes.subarray(0, random.below(bytes.length)) },
  { name: 'cut short between two pages', apply: (bytes, random) => bytes.subarray(0, page(bytes, random)) },
  {
    name: 'a page of zeros',
    apply: (bytes, random) => {
      const at = page(bytes, random)
      return Buffer.from(bytes).fill(0, at, at + PAGE_BYTES)
    },
  },
  {
    name: "another page in a page's place",
    apply: (bytes, random) => {
      const copy = Buffer.from(bytes)
      bytes.copy(copy, page(bytes, random), ...((from: number) => [from, from + PAGE_BYTES] as const)(page(bytes, random)))
      return copy
    },
  },
  {
    name: 'a sector of rubbish',
    apply: (bytes, random) => {
      const at = 512 * random.below(Math.ceil(bytes.length / 512))
      return flipped(bytes, random, 2_000, at, Math.min(bytes.length, at + 512))
    },
  },
]
