// Comments on their way: shown at once, marked until the server has them on disk.

import { element } from './row.js'

const TIMEOUT_MS = 10_000
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 15_000

export class Outbox {
  #posts = []
  #sending = false
  #wake = () => {}
  #path
  #list
  #accepted
  #changed

  constructor(path, list, accepted, changed) {
    this.#path = path
    this.#list = list
    this.#accepted = accepted
    this.#changed = changed
  }

  get length() {
    return this.#posts.length
  }

  send(content, authorId) {
    const post = { key: newKey(), content, authorId, row: element('li'), refused: false }
    this.#posts.push(post)
    this.#list.append(post.row)
    this.#mark(post, 'Sending…')
    this.#work()
  }

  /** The line is up again: what waits is tried now. */
  retry() {
    this.#wake()
  }

  /** Whether the comment is one of these. The stream can be faster than the answer: it must not stand here as well. */
  seen({ content, authorId }) {
    const post = this.#posts.find(post => post.content === content && (post.authorId || 'anonymous') === authorId && !post.refused && !post.row.hidden)
    if (post) post.row.hidden = true
    return post !== undefined
  }

  /** One at a time: what a person says stays in its order. */
  async #work() {
    if (this.#sending) return
    this.#sending = true
    let waitMs = FIRST_WAIT_MS
    for (let post; (post = this.#posts.find(({ refused }) => !refused)); ) {
      const { comment, refusal, againMs } = await this.#try(post)
      if (comment) {
        waitMs = FIRST_WAIT_MS
        this.#drop(post)
        this.#accepted(comment)
      } else if (refusal) {
        post.refused = true
        this.#mark(post, `Not sent: ${refusal}. `)
      } else {
        this.#mark(post, navigator.onLine ? 'Not sent yet: the server cannot be reached. Trying again…' : 'Not sent yet: you are offline. It goes when the network is back.')
        await this.#wait(againMs || waitMs)
        waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)
      }
    }
    this.#sending = false
  }

  /** Always under the key of the first try: a post whose answer was lost is not stored twice. */
  async #try({ key, content, authorId }) {
    try {
      const response = await fetch(this.#path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ content, authorId: authorId || undefined }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const answer = await response.json()
      if (response.ok) return { comment: answer }
      if (response.status < 500 && response.status !== 429) return { refusal: answer.error.message }
      return { againMs: Number(response.headers.get('retry-after')) * 1000 }
    } catch {
      return {}
    }
  }

  #wait(ms) {
    return new Promise(resolve => {
      this.#wake = resolve
      setTimeout(resolve, ms)
    })
  }

  #drop(post) {
    post.row.remove()
    this.#posts = this.#posts.filter(other => other !== post)
    this.#changed()
  }

  #mark(post, words) {
    const { row, refused } = post
    const text = element('p', post.content)
    const note = element('small', words)
    text.dir = 'auto'
    row.replaceChildren(text, note)
    row.hidden = false
    if (refused) {
      row.className = 'refused'
      note.role = 'alert'
      const discard = element('button', 'Discard')
      discard.onclick = () => {
        document.getElementById('content').focus() // before the button that has it goes
        this.#drop(post)
      }
      row.append(discard)
    }
    this.#changed()
  }
}

/** crypto.randomUUID is there in secure contexts only: not over plain http. */
function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-')
}
