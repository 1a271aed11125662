import { crowded } from './ask.js'
import { author, element, folded, paragraph, SPACE } from './row.js'
import { framed } from './site.js'
import { words } from './words.js'

/** The reader's comments on their way: shown in a list at once, marked until the server has them on disk. Tells
 * `accepted(comment)`, `wait(ms)` for slow mode, and `changed()`. */
export function unsentIn(list, comments, { accepted, wait, changed }) {
  /** In the order in which the client sends them; those that are refused between. */
  let posts = []
  /** Whom the token says we are, as the last answer had it. */
  let me

  comments.on('posts', ([first]) => {
    const post = posts.find(({ refusal, isHeld }) => !refusal && !isHeld)
    if (!first?.error || !post) return
    const { code, afterMs } = first.error
    if (code === 'SLOW_MODE') wait(afterMs)
    mark(post, words.notYet(code === 'SLOW_MODE' ? words.slow : crowded() ? words.noConnection : navigator.onLine ? words.unreachable : words.youAreOffline))
  })

  async function send(post) {
    posts = [...posts.filter(other => other !== post), post]
    post.refusal = undefined
    list.append(post.row)
    mark(post, words.sending)
    try {
      const comment = await comments.post(post.content, post.authorId)
      if (comment.held) return hold(post)
      me = comment.authorId
      drop(post)
      accepted(comment)
    } catch (refusal) {
      post.refusal = refusal
      const { status, code, message } = refusal
      mark(post, status === 401 && framed ? words.notYet(words.signingIn) : words.notSent({ COMMENTS_CLOSED: words.closed, BANNED: words.banned }[code] ?? message))
    }
  }

  /** A moderator decides: the stream brings it, or nothing does. */
  function hold(post) {
    post.isHeld = true
    mark(post, words.held)
    wait((comments.settings?.slowModeSeconds ?? 0) * 1_000)
  }

  function drop(post) {
    post.row.remove()
    posts = posts.filter(other => other !== post)
    changed()
  }

  function mark(post, said) {
    const { row, refusal, content, authorId } = post
    const name = authorId === undefined ? [] : [author(row, authorId), SPACE]
    const note = element('small', said)
    row.replaceChildren(folded(...name, paragraph(content)), note)
    row.hidden = false
    const isRefused = refusal !== undefined && !(refusal.status === 401 && framed)
    row.className = isRefused ? 'refused' : ''
    if (isRefused || post.isHeld) {
      note.role = isRefused ? 'alert' : 'status'
      const discard = element('button', isRefused ? words.discard : words.hide)
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

    /** Without those that are held. */
    get sending() {
      return posts.filter(({ isHeld }) => !isHeld).length
    },

    get me() {
      return me
    },

    /** @param authorId none where a token says it */
    send: (content, authorId) => void send({ content, authorId, row: element('li') }),

    /** There is a token: what was refused for want of one is sent. */
    retry() {
      for (const post of posts.filter(({ refusal }) => refusal?.status === 401)) send(post)
    },

    /** Whether the comment is one of these. The stream can be faster than the answer: it must not stand here as well. */
    seen({ content, authorId }) {
      const post = posts.find(post => post.content === content && (post.authorId ?? me) === authorId && !post.refusal && !post.row.hidden)
      if (post?.isHeld) drop(post)
      else if (post) post.row.hidden = true
      return post !== undefined
    },
  }
}
