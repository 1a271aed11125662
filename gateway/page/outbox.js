import { ask, crowded } from './ask.js'
import { author, element, folded, paragraph, SPACE } from './row.js'
import { words } from './words.js'

const TIMEOUT_MS = 10_000
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 15_000

/** Comments on their way: shown in a list at once, marked until the server has them on disk. Tells `accepted(comment)`
 * and `changed()`. */
export function outbox(path, list, accepted, changed) {
  let posts = []
  let sending = false
  let wake = () => {}
  /** Whom the token says we are, as the last answer had it. */
  let me

  /** One at a time: what a person says stays in its order. */
  async function work() {
    if (sending) return
    sending = true
    let waitMs = FIRST_WAIT_MS
    for (let post; (post = posts.find(({ refused }) => !refused)); ) {
      const { comment, refusal, tokenless, againMs, why } = await attempt(post)
      if (comment) {
        waitMs = FIRST_WAIT_MS
        me = comment.authorId
        drop(post)
        accepted(comment)
      } else if (refusal) {
        post.refused = true
        post.tokenless = tokenless
        mark(post, words.notSent(refusal))
      } else {
        mark(post, words.notYet(navigator.onLine ? (why ?? words.unreachable) : words.youAreOffline))
        await new Promise(resolve => setTimeout((wake = resolve), againMs || waitMs))
        waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)
      }
    }
    sending = false
  }

  /** Always under the key of the first try: a post whose answer was lost is not stored twice. */
  async function attempt({ key, content, authorId }) {
    try {
      const response = await ask(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ content, authorId }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const answer = await response.json()
      if (response.ok) return { comment: answer }
      if (response.asked) return { why: words.signingIn }
      if (response.status < 500 && response.status !== 429) return { refusal: answer.error.message, tokenless: response.status === 401 }
      return { againMs: Number(response.headers.get('retry-after')) * 1000 }
    } catch {
      return crowded() ? { why: words.noConnection } : {}
    }
  }

  function drop(post) {
    post.row.remove()
    posts = posts.filter(other => other !== post)
    changed()
  }

  function mark(post, said) {
    const { row, refused, content, authorId } = post
    const name = authorId === undefined ? [] : [author(row, authorId), SPACE]
    const note = element('small', said)
    row.replaceChildren(folded(...name, paragraph(content)), note)
    row.hidden = false
    row.className = refused ? 'refused' : ''
    if (refused) {
      note.role = 'alert'
      const discard = element('button', words.discard)
      discard.onclick = () => {
        document.getElementById('content').focus() // before the button that has it goes
        drop(post)
      }
      row.append(discard)
    }
    changed()
  }

  return {
    get length() {
      return posts.length
    },

    /** @param authorId none where a token says it */
    send(content, authorId) {
      const post = { key: newKey(), content, authorId, row: element('li'), refused: false }
      posts.push(post)
      list.append(post.row)
      mark(post, words.sending)
      work()
    },

    /** The line is up again, or there is a token: what waits for either is tried now. */
    retry() {
      for (const post of posts.filter(({ tokenless }) => tokenless)) {
        post.refused = post.tokenless = false
        mark(post, words.sending)
      }
      wake()
      work()
    },

    /** Whether the comment is one of these. The stream can be faster than the answer: it must not stand here as well. */
    seen({ content, authorId }) {
      const post = posts.find(post => post.content === content && (post.authorId ?? me) === authorId && !post.refused && !post.row.hidden)
      if (post) post.row.hidden = true
      return post !== undefined
    },
  }
}

/** crypto.randomUUID is there in secure contexts only: not over plain http. */
function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-')
}
