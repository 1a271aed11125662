// What stands in the list. Others' words go in as text, never as markup.

import { hue } from './hue.js'
import { parts } from './links.js'
import { language, words } from './words.js'

const clock = new Intl.DateTimeFormat(language, { timeStyle: 'short' })
const full = new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'medium' })
const thisYear = new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long' })
const otherYear = new Intl.DateTimeFormat(language, { dateStyle: 'full' })

/** Between a name and the text beside it, whichever way either runs. */
export const SPACE = '\u2002'

export function element(name, text = '') {
  const made = document.createElement(name)
  made.textContent = text
  return made
}

/** Somebody's words, in the direction of their own script and isolated from what stands beside them. */
function said(name, text) {
  const made = element(name, text)
  made.dir = 'auto'
  return made
}

export function commentRow({ id, authorId, authorName, by, content, createdAt }, mine) {
  const row = element('li')
  row.dataset.id = id
  if (mine) row.className = 'mine'
  const when = new Date(createdAt)
  const time = element('time', clock.format(when))
  time.dateTime = when.toISOString()
  time.title = full.format(when)
  row.append(folded(time, author(row, authorId, authorName), ...(by ? [SPACE, element('small', words.moderator)] : []), SPACE, paragraph(content)))
  return row
}

/** The author's name, and before the row its initial, both in the author's colour. */
export function author(row, id, name = nameOf(id)) {
  row.dataset.initial = [.../[\p{L}\p{N}]/u.exec(name)?.[0].toUpperCase() ?? '?'][0]
  row.style.setProperty('--hue', hue(id))
  return said('b', name)
}

export const nameOf = id => (id === 'anonymous' ? words.anonymous : id)

/** A comment's text, with links that can be followed. */
export function paragraph(text) {
  const made = said('p', '')
  for (const part of parts(text)) made.append(typeof part === 'string' ? part : link(part))
  return made
}

function link({ text, href }) {
  const made = element('a', text)
  made.href = made.title = href
  made.dir = 'ltr'
  made.rel = 'nofollow ugc noopener'
  made.target = '_blank'
  return made
}

/** A block that shows eight lines and, if there are more, a button for the rest. It dispatches `unfold` when it grows. */
export function folded(...children) {
  const block = element('div')
  block.className = 'fold'
  block.append(...children)
  // What the keyboard comes to is seen.
  block.addEventListener('focusin', ({ target }) => target.className === 'more' || unfold(block))
  folds.observe(block)
  return block
}

const folds = new ResizeObserver(entries => {
  for (const { target } of entries) {
    const button = target.querySelector('.more')
    if (!target.isConnected) folds.unobserve(target)
    else if (target.scrollHeight <= target.clientHeight + 1) button?.remove()
    else if (!button) {
      const more = element('button', words.more)
      more.className = 'more'
      more.onclick = () => unfold(target)
      target.append(more)
    }
  }
})

function unfold(block) {
  const button = block.querySelector('.more')
  if (!button) return
  folds.unobserve(block)
  button.remove()
  block.className = ''
  block.dispatchEvent(new Event('unfold', { bubbles: true }))
}

/** The day of a comment where its reader is; a comment's own, so that days can be compared. */
export const dayOf = ({ createdAt }) => new Date(createdAt).toDateString()

/** Puts the day above a row, or takes it away. */
export function date(row, { createdAt }, shown) {
  const there = row.querySelector('.day')
  if (Boolean(there) === shown) return
  if (there) return there.remove()
  const when = new Date(createdAt)
  const day = element('div', (when.getFullYear() === new Date().getFullYear() ? thisYear : otherYear).format(when))
  day.className = 'day'
  row.prepend(day)
}

/** The line in the place of comments that were not sent. */
export function gapRow(load) {
  const row = element('li')
  row.className = 'gap'
  const button = element('button', words.missedHere)
  button.onclick = load
  row.append(button)
  return row
}
