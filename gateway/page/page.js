// One video's comments, live. Text from others goes into the page as text and never as markup.

const RECENT = 50
const OLDER = 50
/** The newest ones that stay in the page while the reader is at the end of the list. */
const KEEP = 500
/** The server says something at least every 15 s; a line silent for this long is dead. */
const SILENCE_MS = 35_000
const RECONNECT_MS = 3_000
const BATCH_MS = 50

const video = new URLSearchParams(location.search).get('video') || 'demo'
const path = `/comments/${encodeURIComponent(video)}`
const $ = id => document.getElementById(id)
const [scroll, list, older, empty, form, content, author, send] = ['scroll', 'comments', 'older', 'empty', 'form', 'content', 'author', 'send'].map($)

/** Ids are decimal strings below 2^53: as numbers they are exact, and ascend in the order of the comments. */
const shown = new Map()
let lastEventId = ''
let arrived = []

$('video').textContent = video
document.title = `${video} · Live comments`
author.value = stored('author') ?? ''

// ---- watch

let source
let silence

function connect() {
  source?.close()
  const from = lastEventId === '' ? `recent=${RECENT}` : `lastEventId=${lastEventId}`
  source = new EventSource(`${path}?${from}`)
  const heard = (name, then) =>
    source.addEventListener(name, event => {
      if (event.lastEventId) lastEventId = event.lastEventId
      listen()
      then(event.data)
    })
  heard('message', data => arrive(JSON.parse(data)))
  heard('ready', data => {
    state('live')
    viewers(JSON.parse(data).viewers)
    insertArrived()
    if (shown.size === 0) empty.hidden = false
    else if (from.startsWith('recent')) older.hidden = shown.size < RECENT
  })
  heard('viewers', data => viewers(JSON.parse(data).viewers))
  heard('gap', data => void fill(JSON.parse(data)))
  source.addEventListener('error', () => {
    state('connecting')
    // The browser connects again by itself, unless the answer was an error.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS)
  })
  listen()
}

function listen() {
  clearTimeout(silence)
  silence = setTimeout(() => {
    state('connecting')
    connect()
  }, SILENCE_MS)
}

function state(text) {
  $('state').textContent = text
  document.body.dataset.state = text
}

function viewers(count) {
  $('viewers').textContent = `${count.toLocaleString()} watching`
}

// ---- show

/** Under load comments come many at a time: they enter the page together. */
function arrive(comment) {
  if (arrived.length === 0) setTimeout(insertArrived, BATCH_MS)
  arrived.push(comment)
}

function insertArrived() {
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80
  for (const comment of arrived) insert(comment)
  arrived = []
  if (!atEnd) return
  while (list.childElementCount > KEEP) {
    shown.delete(Number(list.firstElementChild.dataset.id))
    list.firstElementChild.remove()
    older.hidden = false
  }
  scroll.scrollTop = scroll.scrollHeight
}

/** Puts a comment where its id belongs; one that is there already stays. */
function insert(comment) {
  const id = Number(comment.id)
  if (shown.has(id)) return
  empty.hidden = true
  const item = element('li', '')
  item.dataset.id = comment.id
  const time = element('time', new Date(comment.createdAt).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }))
  time.dateTime = new Date(comment.createdAt).toISOString()
  item.append(said('b', comment.authorId), time, said('p', comment.content))
  shown.set(id, item)
  let after = list.lastElementChild
  while (after && Number(after.dataset.id) > id) after = after.previousElementSibling
  if (after) after.after(item)
  else list.prepend(item)
}

/** Somebody's words: in the direction of their own script, whatever the line around them. */
function said(name, text) {
  const made = element(name, text)
  made.dir = 'auto'
  return made
}

function element(name, text) {
  const made = document.createElement(name)
  made.textContent = text
  return made
}

// ---- scroll back

async function page(query) {
  const response = await fetch(`${path}?${query}`)
  if (!response.ok) throw new Error(`status ${response.status}`)
  return response.json()
}

older.addEventListener('click', async () => {
  older.disabled = true
  try {
    const oldest = list.firstElementChild?.dataset.id
    const { comments, nextCursor } = await page(`direction=before&pageSize=${OLDER}${oldest ? `&cursor=${oldest}` : ''}`)
    const fromEnd = scroll.scrollHeight - scroll.scrollTop
    comments.forEach(insert)
    scroll.scrollTop = scroll.scrollHeight - fromEnd
    older.hidden = nextCursor === null
  } catch {
    complain('Older comments cannot be read just now.')
  }
  older.disabled = false
})

/** Reads what the stream left out: the newest of the comments after `from`, up to `to`. */
async function fill({ from, to }) {
  try {
    let cursor = String(Number(to) + 1)
    for (let left = KEEP; left > 0 && cursor !== null && Number(cursor) > Number(from); left -= OLDER) {
      const { comments, nextCursor } = await page(`direction=before&pageSize=${OLDER}&cursor=${cursor}`)
      for (const comment of comments) if (Number(comment.id) > Number(from)) arrive(comment)
      cursor = nextCursor
    }
  } catch {
    complain('Some comments were left out: reload to see them.')
  }
}

// ---- post

/** A post that is tried again goes under the key of the first try, so that it cannot be stored twice. */
let attempt = { content: '', key: '' }

form.addEventListener('submit', async event => {
  event.preventDefault()
  const text = content.value.trim()
  if (text === '' || send.disabled) return
  if (attempt.content !== text) attempt = { content: text, key: newKey() }
  send.disabled = true
  complain('')
  try {
    const name = author.value.trim()
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': attempt.key },
      body: JSON.stringify(name === '' ? { content: text } : { content: text, authorId: name }),
    })
    const answer = await response.json()
    if (!response.ok) throw new Error(answer.error?.message)
    attempt = { content: '', key: '' }
    if (content.value.trim() === text) content.value = ''
    arrive(answer)
    store('author', name)
  } catch (error) {
    complain(`Not sent: ${(!(error instanceof TypeError) && error.message) || 'the server cannot be reached'}. Try again.`)
  }
  send.disabled = false
  content.focus()
})

content.addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  form.requestSubmit()
})

function complain(text) {
  $('error').textContent = text
  $('error').hidden = text === ''
}

/** crypto.randomUUID is there in secure contexts only, which plain http over the network is not. */
function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID()
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('')
}

function stored(name) {
  try {
    return localStorage.getItem(name)
  } catch {
    return null // storage is switched off
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value)
  } catch {
    // Storage is switched off: the name is asked for again next time.
  }
}

connect()
