// What stands in the list. Others' words go in as text, never as markup.

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' })

export function element(name, text = '') {
  const made = document.createElement(name)
  made.textContent = text
  return made
}

/** Somebody's words, in the direction of their own script. */
function said(name, text) {
  const made = element(name, text)
  made.dir = 'auto'
  return made
}

export function commentRow({ id, authorId, authorName = authorId, content, createdAt }, mine) {
  const row = element('li')
  row.dataset.id = id
  row.dataset.initial = /[\p{L}\p{N}]/u.exec(authorName)?.[0].toUpperCase() ?? '?'
  row.style.setProperty('--hue', hue(authorId))
  if (mine) row.className = 'mine'
  const when = new Date(createdAt)
  const time = element('time', clock.format(when))
  time.dateTime = when.toISOString()
  row.append(said('b', authorName), ' ', time, said('p', content))
  return row
}

/** In the place of comments that were not sent. */
export function gapRow(load) {
  const row = element('li')
  row.className = 'gap'
  const button = element('button', 'Load what was missed here')
  button.onclick = load
  row.append(button)
  return row
}

/** An author's colour, always the same. */
function hue(name) {
  let sum = 0
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360
  return sum
}
