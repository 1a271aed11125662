import type { Buffer } from 'node:buffer'
import { dirname } from 'node:path'
import type { Random } from '../support/random.js'

/** One call of a process, as recorder.c wrote it down, or an acknowledgement that somebody was given. */
export interface Entry {
  readonly kind: 'directory' | 'create' | 'write' | 'truncate' | 'begin' | 'end' | 'unlink' | 'mkdir' | 'acknowledged'
  readonly thread: number
  /** Its inode; 0 where there is none. */
  readonly file: bigint
  /** Of a write; the new size of a truncation. */
  readonly offset: number
  /** What was written, a path, or what was acknowledged. */
  readonly data: Buffer
}

const KINDS: Readonly<Record<string, Entry['kind']>> = { D: 'directory', C: 'create', W: 'write', T: 'truncate', B: 'begin', E: 'end', U: 'unlink', M: 'mkdir', A: 'acknowledged' }
const HEAD_BYTES = 32

/** Reads a journal. A record that is cut short, since its process was killed, is the last. */
export function entriesOf(journal: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at + HEAD_BYTES <= journal.length; ) {
    const kind = KINDS[String.fromCharCode(journal.readUInt32LE(at))]
    if (!kind) throw new Error(`no record at byte ${at} of the journal`)
    const end = at + HEAD_BYTES + Number(journal.readBigUInt64LE(at + 24))
    if (end > journal.length) break
    entries.push({ kind, thread: journal.readUInt32LE(at + 4), file: journal.readBigUInt64LE(at + 8), offset: Number(journal.readBigUInt64LE(at + 16)), data: journal.subarray(at + HEAD_BYTES, end) })
    at = end
  }
  return entries
}

/** The record of an acknowledgement. */
export function acknowledgement(data: Buffer): Buffer[] {
  const head = new Uint8Array(HEAD_BYTES)
  const fields = new DataView(head.buffer)
  fields.setUint32(0, 'A'.charCodeAt(0), true)
  fields.setBigUint64(24, BigInt(data.length), true)
  return [head as Buffer, data]
}

/** What becomes, in a power cut, of that which no fsync has covered. */
export interface Fate {
  readonly name: string
  /** Whether the next piece is on the disk. */
  readonly keeps: () => boolean
  /** Bytes that a disk writes at once. */
  readonly sector: number
  /** The part of a sector that is written, where it is torn. */
  readonly torn: (from: number, to: number) => readonly [number, number]
}

const whole = (from: number, to: number) => [from, to] as const
export const NOTHING: Fate = { name: 'nothing', keeps: () => false, sector: 512, torn: whole }
export const EVERYTHING: Fate = { name: 'everything', keeps: () => true, sector: 512, torn: whole }

/** Some of it, in whatever order: sectors of a disk or pages of memory, and now and then a part of one. */
export function some(random: Random): Fate {
  const share = random.pick([0.1, 0.5, 0.9])
  const sector = random.pick([512, 4096])
  const tears = random.pick([0, 0.1])
  return {
    name: `${share} of the sectors of ${sector} bytes, ${tears} of them torn`,
    keeps: () => random.chance(share),
    sector,
    torn: (from, to) => {
      if (!random.chance(tears)) return [from, to]
      const middle = random.whole(from, to)
      return random.chance(0.5) ? [from, middle] : [middle, to]
    },
  }
}

interface Change {
  /** Its place in the journal. */
  readonly n: number
  readonly size: number
  readonly offset: number
  /** Undefined for a truncation. */
  readonly data: Buffer | undefined
}

/** Bytes of a file; beyond its size they are zeros. */
class Content {
  size = 0
  bytes = new Uint8Array(4096)

  copy(): Content {
    const copy = new Content()
    copy.size = this.size
    copy.bytes = this.bytes.slice()
    return copy
  }

  reserve(size: number): void {
    if (size <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(size, 2 * this.bytes.length))
    larger.set(this.bytes)
    this.bytes = larger
  }

  /** @returns the first and the last byte, exclusive, that it has changed */
  apply({ size, offset, data }: Change): readonly [number, number] {
    if (data) {
      this.reserve(offset + data.length)
      this.bytes.set(data, offset)
      this.size = Math.max(this.size, offset + data.length)
      return [offset, offset + data.length]
    }
    this.reserve(size)
    const before = this.size
    this.bytes.fill(0, size)
    this.size = size
    return [size, Math.max(size, before)]
  }
}

class DiskFile {
  readonly #kept = new Content()
  #pending: Change[] = []

  constructor(bytes?: Uint8Array) {
    if (bytes) this.#kept.apply({ n: 0, size: 0, offset: 0, data: bytes as Buffer })
  }

  change(change: Change): void {
    this.#pending.push(change)
  }

  /** All up to `n` is on the disk. */
  sync(n: number): void {
    for (const change of this.#pending) if (change.n <= n) this.#kept.apply(change)
    this.#pending = this.#pending.filter(change => change.n > n)
  }

  /** What a disk of that fate holds: of each sector, what it was after any of the writes since the last fsync. */
  left({ keeps, sector, torn }: Fate): Uint8Array {
    const seen = this.#kept.copy()
    const left = this.#kept.copy()
    for (const change of this.#pending) {
      const [first, end] = seen.apply(change)
      left.reserve(seen.bytes.length)
      for (let from = first - (first % sector); from < end; from += sector) {
        if (!keeps()) continue
        const [torn0, torn1] = torn(from, from + sector)
        left.bytes.set(seen.bytes.subarray(torn0, torn1), torn0)
      }
      if (seen.size !== left.size && keeps()) left.size = seen.size
    }
    return left.bytes.slice(0, left.size)
  }
}

/** What a path leads to. */
type Found = DiskFile | 'folder' | undefined

interface Naming {
  readonly n: number
  readonly path: string
  readonly found: Found
}

/** The files of a folder as a disk holds them that keeps no more than it must: what was written before an fsync of the file
 * that has ended, and names that were given before such an fsync of their folder. It keeps of the rest what it likes. */
export class Disk {
  readonly #folder: string
  readonly #files = new Map<bigint, DiskFile>()
  readonly #folders = new Map<bigint, string>()
  readonly #names = new Map<string, Found>()
  #naming: Naming[] = []
  /** By thread: the place in the journal where its fsync began. */
  readonly #begun = new Map<number, number>()
  #n = 0

  /** @param folder as POWER_FOLDER: it is there before the journal begins */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** A file that was there, and on the disk, before the journal began. */
  had(path: string, inode: bigint, bytes: Uint8Array): void {
    const file = new DiskFile(bytes)
    this.#files.set(inode, file)
    this.#names.set(path, file)
  }

  happened({ kind, thread, file, offset, data }: Entry): void {
    const n = ++this.#n
    switch (kind) {
      case 'directory':
        this.#folders.set(file, data.toString())
        return
      case 'create': {
        const made = new DiskFile()
        this.#files.set(file, made)
        this.#naming.push({ n, path: data.toString(), found: made })
        return
      }
      case 'write':
        return this.#file(file).change({ n, size: 0, offset, data })
      case 'truncate':
        return this.#file(file).change({ n, size: offset, offset: 0, data: undefined })
      case 'begin':
        this.#begun.set(thread, n)
        return
      case 'end':
        return this.#synced(file, this.#begun.get(thread)!)
      case 'unlink':
        this.#naming.push({ n, path: data.toString(), found: undefined })
        return
      case 'mkdir':
        this.#naming.push({ n, path: data.toString(), found: 'folder' })
        return
      case 'acknowledged':
        return
    }
  }

  /** The files that are found after a power cut, by path. */
  left(fate: Fate): Map<string, Uint8Array> {
    const names = new Map(this.#names)
    for (const { path, found } of this.#naming) if (fate.keeps()) names.set(path, found)
    const isThere = (folder: string): boolean => folder === this.#folder || (names.get(folder) === 'folder' && isThere(dirname(folder)))
    const left = new Map<string, Uint8Array>()
    for (const [path, found] of names) if (found instanceof DiskFile && isThere(dirname(path))) left.set(path, found.left(fate))
    return left
  }

  #synced(inode: bigint, n: number): void {
    const folder = this.#folders.get(inode)
    if (folder === undefined) return this.#file(inode).sync(n)
    const isKept = (naming: Naming) => naming.n <= n && dirname(naming.path) === folder
    for (const naming of this.#naming) if (isKept(naming)) this.#names.set(naming.path, naming.found)
    this.#naming = this.#naming.filter(naming => !isKept(naming))
  }

  #file(inode: bigint): DiskFile {
    const file = this.#files.get(inode)
    if (!file) throw new Error(`inode ${inode} was never made`)
    return file
  }
}
