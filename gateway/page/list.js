// A window onto all comments. It follows the newest until the reader scrolls up; then what is new is held aside, and
// the window moves through the history. Its rows are never many.

import { commentRow, date, dayOf, gapRow } from './row.js'
import { words } from './words.js'

/** Comments that are read at a time. */
const PAGE = 100
/** Rows while following. */
const KEEP = 200
/** Rows while reading back, and the most comments held aside. */
const MOST = 400
/** Pixels from the end that count as the end. */
const NEAR = 48
/** Deleted comments that are remembered: a page of history that is on its way may still have one. */
const MOST_GONE = 1_000
/** With fewer aside, a reader who comes to the end follows again. */
const FEW = 20

// An item is a comment {id, comment, mine} or a gap {id, from}: what lies in (from, id] is missing.
// Ids are below 2^53, so exact as numbers, and ascend in the order of the comments.
export const commentItem = (comment, mine = false) => ({ id: Number(comment.id), comment, mine })
export const gapItem = ({ from, to }) => ({ id: Number(to), from: Number(from) })

export class List {
  following = true
  /** New comments that the reader has not come to. */
  unseen = 0
  /** What is before the rows: `more`, `none`, `loading` or `failed`. */
  older = 'none'
  /** In the page, ascending. */
  #rows = []
  /** Newer than the rows, ascending: the newest, while the reader is elsewhere. */
  #aside = []
  /** Whether what is aside goes on right after the rows; else history has what lies between. */
  #joined = true
  /** The newest that has ever been a row. */
  #shownTo = 0
  #missedFrom = Infinity
  #top = 0
  #loading = false
  #gone = new Set()
  #scroll
  #list
  #comments
  #dress
  #changed

  /** @param dress is given each new row's item */
  constructor(scroll, list, comments, dress, changed) {
    this.#scroll = scroll
    this.#list = list
    this.#comments = comments
    this.#dress = dress
    this.#changed = changed
    scroll.addEventListener('scroll', () => this.#scrolled())
    scroll.addEventListener('unfold', () => this.#unfolded())
    new ResizeObserver(() => this.following && this.toEnd()).observe(scroll)
  }

  get length() {
    return this.#rows.length
  }

  /** Whether a gap lies before the rows. */
  get missed() {
    return this.#rows[0]?.id > this.#missedFrom
  }

  /** Takes what came, in any order; what is here already stays as it is. */
  add(items) {
    if (this.following) this.#follow(items)
    else for (const item of items) this.#hold(item)
    this.#changed()
  }

  /** Takes away a comment that was deleted. */
  remove(id) {
    this.#gone.add(id)
    for (const oldest of this.#gone) if (this.#gone.size > MOST_GONE) this.#gone.delete(oldest)
    const is = item => item.comment && item.id === id
    const aside = this.#aside.findIndex(is)
    if (aside >= 0) this.#aside.splice(aside, 1)
    if (aside >= 0 && id > this.#shownTo) this.unseen--
    const at = this.#rows.findIndex(is)
    if (at >= 0) {
      const [{ node }] = this.#rows.splice(at, 1)
      const { scrollTop } = this.#scroll
      this.#still(this.#rows.find(({ node }) => node.offsetTop + node.offsetHeight > scrollTop), () => {
        if (node.contains(document.activeElement)) this.#scroll.focus({ preventScroll: true })
        node.remove()
        this.#date(at)
      })
    }
    this.#changed()
  }

  /** Asks whether all that is here is still there: a gap can have hidden deletions. */
  check() {
    this.#comments.check([...this.#rows, ...this.#aside].flatMap(({ comment }) => comment?.id ?? []))
  }

  /** What may be done with a comment has changed. */
  dress() {
    for (const item of this.#rows) if (item.comment) this.#dress(item)
  }

  /** To the newest comment, and on with it from there. */
  jump() {
    if (!this.#joined) this.#clear()
    this.#joined = this.following = true
    this.#follow(this.#aside.splice(0))
    this.unseen = 0
    this.#changed()
  }

  toEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight
    this.#top = this.#scroll.scrollTop
  }

  /** Puts a page of what is before the first row in front of it. */
  back() {
    const first = this.#rows[0]
    return this.#load(async () => {
      this.older = 'loading'
      this.#changed()
      const { comments, more } = await this.#read({ before: String(first?.id ?? Number.MAX_SAFE_INTEGER) })
      this.older = more || this.#rows[0] !== first ? 'more' : 'none'
      if (this.#rows[0] !== first) return
      this.#still(first, () => {
        for (const comment of comments) this.#insert(commentItem(comment))
        if (!this.following) this.#trimEnd()
      })
    }, () => (this.older = 'failed'))
  }

  /** Puts what comes after the last row behind it. */
  #forth() {
    if (this.#joined) return this.#append(this.#aside.splice(0, PAGE))
    const last = this.#rows.at(-1)
    return this.#load(async () => {
      const { comments, more } = await this.#read({ after: String(last.id) })
      if (this.#joined || this.#rows.at(-1) !== last) return
      const items = comments.map(comment => commentItem(comment))
      const until = this.#aside[0]?.id ?? Infinity
      this.#joined = this.#aside.length === 0 ? !more : items.some(({ id }) => id >= until)
      this.#append(items.filter(({ id }) => id < until))
    }, () => {})
  }

  /** Loads a page of what a gap left out, from where it begins; the reader is left there. */
  #fill(gap) {
    const button = gap.node.firstElementChild
    return this.#load(async () => {
      button.textContent = words.loadingMissed
      const { comments, more } = await this.#read({ after: String(gap.from) })
      if (!this.#rows.includes(gap)) return
      const missed = comments.filter(({ id }) => Number(id) <= gap.id)
      gap.from = Number(missed.at(-1)?.id ?? gap.id)
      button.textContent = words.moreMissed
      if (!more || gap.from === gap.id || missed.length < comments.length) {
        const at = this.#rows.indexOf(gap)
        gap.node.remove()
        this.#rows.splice(at, 1)
        this.#date(at)
        this.#scroll.focus({ preventScroll: true })
      }
      this.following = false
      for (const comment of missed) this.#insert(commentItem(comment))
      this.#trimEnd()
    }, () => (button.textContent = words.noMissed))
  }

  #read(next) {
    return this.#comments.page({ ...next, size: PAGE })
  }

  /** One read at a time. */
  async #load(read, failed) {
    if (this.#loading) return
    this.#loading = true
    try {
      await read()
    } catch {
      failed()
    }
    this.#loading = false
    this.#changed()
  }

  /** Pixels below what is seen. */
  get #left() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll
    return scrollHeight - scrollTop - clientHeight
  }

  /** A row has grown. A reader who now has something below goes on from here, and not with the newest. */
  #unfolded() {
    if (this.#left > 1) this.following = false
    this.#changed()
  }

  #scrolled() {
    const { scrollTop, clientHeight } = this.#scroll
    const up = scrollTop < this.#top
    const left = this.#left
    this.#top = scrollTop
    if (left < 2 || (left < NEAR && !up)) {
      if (this.#joined && this.#aside.length < FEW) return this.jump()
    } else if (up) this.following = false
    if (!this.following) {
      if (!up && left < clientHeight) this.#forth()
      if (scrollTop < clientHeight && this.older === 'more') this.back()
    }
    this.#changed()
  }

  #follow(items) {
    // What would leave at once never becomes a row.
    if (items.length > KEEP) {
      this.#clear()
      this.#drop(items.splice(0, items.length - KEEP))
    }
    for (const item of items) this.#insert(item)
    this.#trimStart(KEEP)
    this.toEnd()
  }

  #hold(item) {
    const last = this.#rows.at(-1)
    if (!last || item.id <= last.id) return this.#still(last, () => this.#insert(item))
    const at = place(this.#aside, item)
    if (at < 0) return
    this.#aside.splice(at, 0, item)
    if (item.id > this.#shownTo) this.unseen++
    this.#bound()
  }

  #append(items) {
    this.#still(this.#rows.at(-1), () => {
      for (const item of items) this.#insert(item)
      this.#trimStart(MOST)
    })
  }

  /** Makes the item a row in its place, if it is none. */
  #insert(item) {
    const at = place(this.#rows, item)
    if (at < 0 || (item.comment && this.#gone.has(item.id))) return
    item.node = item.comment ? commentRow(item.comment, item.mine) : gapRow(() => this.#fill(item))
    this.#list.insertBefore(item.node, this.#rows[at]?.node ?? null)
    this.#rows.splice(at, 0, item)
    if (item.comment) this.#dress(item)
    this.#date(at)
    this.#date(at + 1)
    if (item.id <= this.#shownTo) return
    this.#shownTo = item.id
    if (this.unseen > 0) this.unseen--
  }

  /** A row says its day if it is the first or the one before it has another. */
  #date(at) {
    const { comment, node } = this.#rows[at] ?? {}
    if (!comment) return
    let before = at - 1
    while (before >= 0 && !this.#rows[before].comment) before--
    date(node, comment, before < 0 || dayOf(comment) !== dayOf(this.#rows[before].comment))
  }

  #clear() {
    this.#drop(this.#rows.splice(0))
  }

  /** A gap that would come first goes too: reading back covers it. */
  #trimStart(most) {
    let count = this.#rows.length - most
    if (count <= 0) return
    while (this.#rows[count].comment === undefined && count < this.#rows.length - 1) count++
    this.#drop(this.#rows.splice(0, count))
    this.#date(0)
  }

  /** These are read back from history. */
  #drop(items) {
    for (const { from, node } of items) {
      if (node?.contains(document.activeElement)) this.#scroll.focus({ preventScroll: true })
      node?.remove()
      this.#missedFrom = from ?? this.#missedFrom
      this.older = 'more'
    }
  }

  #trimEnd() {
    const cut = this.#rows.splice(MOST)
    for (const { node } of cut) node.remove()
    this.#aside.unshift(...cut)
    this.#bound()
  }

  #bound() {
    if (this.#aside.length <= MOST) return
    this.#aside.splice(0, this.#aside.length - MOST)
    this.#joined = false
  }

  /** Changes the rows and leaves this one where the reader sees it. */
  #still(row, change) {
    const end = () => row.node.offsetTop + row.node.offsetHeight
    const before = row && end()
    change()
    if (this.following) return this.toEnd()
    if (row?.node.isConnected) this.#scroll.scrollTop += end() - before
    this.#top = this.#scroll.scrollTop
  }
}

/** Where the item belongs among ascending ones, -1 where it is there already. */
function place(items, item) {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (order(items[middle], item) < 0) low = middle + 1
    else high = middle
  }
  return low < items.length && order(items[low], item) === 0 ? -1 : low
}

/** A gap stands before the comment of its own id, the last that it covers. */
const order = (a, b) => a.id - b.id || !!a.comment - !!b.comment
