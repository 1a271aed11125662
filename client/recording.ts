import type { Comment, Comments } from './comments.js'
import { rest } from './waiting.js'

export interface RecordingOptions {
  /** When the recording begins, Unix ms: where it is at position 0. */
  readonly start: number
  /** Comments come so much later, ms; negative: sooner. For a recording whose beginning was cut, or that came late. */
  readonly offsetMs?: number
  /** How many comments of before the position are told at a seek, 0 to 200; 50 by default. */
  readonly recent?: number
}

export interface RecordingEvents {
  /** The position has come to this comment. */
  comment: [comment: Comment]
  /** The position has jumped: these are the comments just before it, in place of all that were told. */
  reset: [comments: readonly Comment[]]
  /** The comments could not be read; they are asked for again. */
  failed: [error: Error]
}

/** The part of a `<video>` or `<audio>` that is followed. */
export interface Media {
  /** s */
  readonly currentTime: number
  readonly playbackRate: number
  readonly paused: boolean
  readonly seeking: boolean
  /** Below 3 it waits for data. */
  readonly readyState: number
  addEventListener(name: string, listener: () => void): void
  removeEventListener(name: string, listener: () => void): void
}

const PAGE = 200
/** With fewer read ahead, more are read. */
const FEW_AHEAD = 100
/** After the last stored comment, and after a failure, it asks again, ms. */
const AGAIN_MS = 5_000
/** A position that is so far before where it was, or beyond where it should be, ms, has jumped. */
const BACK_MS = 250
const JUMP_MS = 1_500
/** The shortest wait between two looks, ms: a video may stand still without a word. */
const LOOK_MS = 10
const MEDIA_EVENTS = ['play', 'playing', 'pause', 'waiting', 'seeking', 'seeked', 'ratechange', 'timeupdate', 'loadeddata', 'ended']

/** The comments of a recorded video in step with it: each at the position at which it was written. It opens no stream. */
export class Recording {
  /** Of the recording, ms, when it was last set. */
  #position = 0
  /** When that was, by performance.now(). */
  #setAt = performance.now()
  #playing = false
  #speed = 1
  /** What is followed. */
  #media: Media | undefined
  #offsetMs: number
  /** The next comments, in their order. */
  #ahead: Comment[] = []
  /** What is read and waited for since the last seek. */
  #since = new AbortController()
  #reading = false
  /** The place behind `#ahead`: an id, or a time where there is none. */
  #place: { readonly after: string } | { readonly since: number }
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #comments: Pick<Comments, 'page'>
  readonly #start: number
  readonly #recent: number
  readonly #listeners: { [Name in keyof RecordingEvents]: Set<(...told: RecordingEvents[Name]) => void> } = { comment: new Set(), reset: new Set(), failed: new Set() }

  /** @param comments of the video; whoever only plays takes no listener there */
  constructor(comments: Pick<Comments, 'page'>, { start, offsetMs = 0, recent = 50 }: RecordingOptions) {
    this.#comments = comments
    this.#start = start
    this.#offsetMs = offsetMs
    this.#recent = recent
    this.#place = { since: this.#time }
  }

  /** @returns what takes the listener away again */
  on<Name extends keyof RecordingEvents>(name: Name, listener: (...told: RecordingEvents[Name]) => void): () => void {
    this.#listeners[name].add(listener)
    return () => this.#listeners[name].delete(listener)
  }

  /** Where the recording is, ms. */
  get position(): number {
    return this.#media ? this.#media.currentTime * 1_000 : this.#expected
  }

  get #expected(): number {
    return this.#position + (this.#playing ? (performance.now() - this.#setAt) * this.#speed : 0)
  }

  get offsetMs(): number {
    return this.#offsetMs
  }

  set offsetMs(offsetMs: number) {
    this.#offsetMs = offsetMs
    this.seek(this.position)
  }

  /** @param speed 1: as it was */
  play(speed = this.#speed): void {
    this.#set(this.position, true, speed)
  }

  pause(): void {
    this.#set(this.position, false, this.#speed)
  }

  /** Goes to a position, ms, and tells `reset`. */
  seek(position: number): void {
    this.#since.abort()
    const { signal } = (this.#since = new AbortController())
    this.#reading = true
    this.#ahead = []
    this.#set(position, this.#playing, this.#speed)
    const until = this.#time + 1
    this.#place = { since: until }
    void this.#retried(signal, async () => {
      const comments = this.#recent > 0 ? (await this.#comments.page({ until, size: this.#recent })).comments : []
      if (signal.aborted) return
      const last = comments.at(-1)
      if (last) this.#place = { after: last.id }
      this.#tell('reset', comments)
    })
  }

  /** Keeps in step with a `<video>` or `<audio>`, from where it is now.
   * @returns what ends it */
  follow(media: Media): () => void {
    this.#media = media
    let sought = true
    const sync = () => {
      const { position } = this
      sought ||= media.seeking || position < this.#position - BACK_MS || position > this.#expected + JUMP_MS
      if (media.seeking) return this.pause()
      if (sought) this.seek(position)
      sought = false
      this.#set(position, !media.paused && media.readyState >= 3, media.playbackRate)
    }
    for (const name of MEDIA_EVENTS) media.addEventListener(name, sync)
    sync()
    return () => {
      for (const name of MEDIA_EVENTS) media.removeEventListener(name, sync)
      this.pause()
      this.#media = undefined
    }
  }

  /** Ends it. */
  close(): void {
    this.pause()
    this.#since.abort()
  }

  /** The time of day that the position shows, Unix ms. */
  get #time(): number {
    return Math.floor(this.#start + this.position - this.#offsetMs)
  }

  #set(position: number, playing: boolean, speed: number): void {
    this.#position = position
    this.#setAt = performance.now()
    this.#playing = playing
    this.#speed = speed
    this.#step()
  }

  /** Tells what is due, reads ahead, and waits for what comes next. */
  #step(): void {
    clearTimeout(this.#timer)
    if (!this.#playing) return
    const time = this.#time
    while (this.#ahead[0] && this.#ahead[0].createdAt <= time) this.#tell('comment', this.#ahead.shift()!)
    if (this.#ahead.length < FEW_AHEAD && !this.#reading) this.#read()
    const next = this.#ahead[0]
    if (next) this.#timer = setTimeout(() => this.#step(), Math.min(Math.max((next.createdAt - time) / this.#speed, LOOK_MS), 1_000))
  }

  #read(): void {
    const { signal } = this.#since
    this.#reading = true
    void this.#retried(signal, async () => {
      const { comments, more } = await this.#comments.page({ ...this.#place, size: PAGE })
      if (signal.aborted) return
      this.#ahead.push(...comments)
      const last = comments.at(-1)
      if (last) this.#place = { after: last.id }
      this.#step() // while this still counts as reading
      if (!more) await rest(AGAIN_MS, signal) // the video may go on
    })
  }

  /** Reads until it has an answer. */
  async #retried(signal: AbortSignal, read: () => Promise<void>): Promise<void> {
    for (let done = false; !done && !signal.aborted; ) {
      try {
        await read()
        done = true
      } catch (error) {
        if (!signal.aborted) this.#tell('failed', error as Error)
        await rest(AGAIN_MS, signal)
      }
    }
    if (signal.aborted) return
    this.#reading = false
    this.#step()
  }

  #tell<Name extends keyof RecordingEvents>(name: Name, ...told: RecordingEvents[Name]): void {
    for (const listener of this.#listeners[name]) listener(...told)
  }
}
